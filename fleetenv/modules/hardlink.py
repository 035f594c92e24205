"""`file` with `state: hard`: a hard link."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from fleetenv.errors import TaskFailed
from fleetenv.modules.base import StateModule
from fleetenv.modules.hostpath import check_path, quoted
from fleetenv.remote import Completed, Probe, Run, Step
from fleetenv.source import Value
from fleetenv.state import UNSET, Diff, State, UnsetType


class HardLinkState(State, frozen=True, kw_only=True):
    """Two names; `same_file` when they name the same file."""

    same_file: bool
    source: bool | UnsetType = UNSET  # whether the file to link to is there


class HardLink(StateModule[HardLinkState], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A second name of a file."""

    name: ClassVar[str] = "file"

    path: str
    src: str
    force: bool = False

    def __post_init__(self) -> None:
        check_path(self.path)
        check_path(self.src)

    def observe(self) -> Probe[HardLinkState | None]:
        """Compare the two names' files."""
        path, src = quoted(self.path), quoted(self.src)
        return Probe(
            f"[ ! -e {src} ] || echo source\n[ ! -e {path} ] || echo there\n[ ! {path} -ef {src} ] || echo same", _parse
        )

    def desired(self, found: HardLinkState | None) -> HardLinkState:
        """Return that the names are of one file."""
        if found is None or not found.source:
            raise TaskFailed(f"{self.src} does not exist: nothing to link {self.path} to")
        return HardLinkState(same_file=True)

    def converge(self, diff: Diff[HardLinkState]) -> Iterator[Step]:
        """Link, by way of a name beside, so that a file that is there is replaced at once."""
        beside = quoted(f"{self.path}.fleetenv-link")
        guard = "" if self.force else f"[ ! -d {quoted(self.path)} ] && "
        yield Run(f"{guard}ln -f -- {quoted(self.src)} {beside} && mv -fT -- {beside} {quoted(self.path)}")

    def returns(self, found: HardLinkState | None) -> Mapping[str, Value]:
        """Return Ansible's keys."""
        return {"dest": self.path, "src": self.src, "state": "hard"}


def _parse(completed: Completed) -> HardLinkState:
    words = completed.text.split()
    return HardLinkState(same_file="same" in words, source="source" in words)
