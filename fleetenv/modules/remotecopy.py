"""`copy` with `remote_src`: from one place of the host to another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import ClassVar

import msgspec

from fleetenv.errors import TaskFailed
from fleetenv.modules.base import StateModule
from fleetenv.modules.filestate import FileState, ansible_keys, look_up, refuse_denied, wished
from fleetenv.modules.filesteps import attributes, mend
from fleetenv.modules.hostpath import check_path, quoted
from fleetenv.remote import Completed, Probe, Run, Step, sh
from fleetenv.source import Value
from fleetenv.state import UNSET, Content, Diff, UnsetType


class CopiedState(FileState, frozen=True, kw_only=True):
    """The copy, and beside it what it is to be a copy of."""

    original_kind: str | UnsetType = UNSET
    original_mode: str | UnsetType = UNSET
    original: Content | UnsetType = UNSET


class RemoteCopy(StateModule[CopiedState], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of the host that is equal to another file of the host."""

    name: ClassVar[str] = "copy"

    src: str
    dest: str
    mode: str | int | UnsetType = UNSET
    owner: str | UnsetType = UNSET
    group: str | UnsetType = UNSET
    force: bool = True
    backup: bool = False

    def __post_init__(self) -> None:
        check_path(self.src)

    def observe(self) -> Probe[CopiedState]:
        """Ask about both files."""
        original = look_up(self.src, follow=True, content=Content(""))
        copy = look_up(self.dest.rstrip("/"), content=Content(""), inside=PurePosixPath(self.src).name)

        def parse(completed: Completed) -> CopiedState:
            answers = original.parse(completed)
            first = answers.get(original.subject) or FileState(kind="absent")
            second = answers.get(copy.subject) or FileState(kind="absent")
            return CopiedState(
                **msgspec.structs.asdict(second),
                original_kind=first.kind,
                original_mode=first.mode,
                original=first.content,
            )

        return Probe(f"{sh('set', '--', original.subject, copy.subject)}\n{original.script}", parse)

    def desired(self, found: CopiedState | None) -> CopiedState:
        """Return the original's content, with mode and owner as the task says."""
        assert found is not None
        if found.original_kind != "file":
            what = "does not exist" if found.original_kind == "absent" else f"is a {found.original_kind}, not a file"
            raise TaskFailed(f"{self.src} on the host {what}")
        if not self.force and found.kind not in ("absent", "denied"):
            return found
        refuse_denied(found, self.dest)
        mode = found.original_mode if self.mode == "preserve" else self.mode
        there = None if found.kind == "absent" else found
        state = wished(
            there, self.dest, kind="file", mode=mode, owner=self.owner, group=self.group, content=found.original
        )
        return CopiedState(**msgspec.structs.asdict(state))

    def converge(self, diff: Diff[CopiedState]) -> Iterator[Step]:
        """Copy beside, then rename; or mend mode and owner alone."""
        found, wanted = diff.found, diff.wanted
        assert found is not None
        assert wanted is not None
        path = found.path if isinstance(found.path, str) else self.dest
        if not diff.touches("kind", "content"):
            yield from mend(path, Diff(wanted, found, diff.differences))
            return
        word, beside = quoted(path), quoted(f"{path}.fleetenv-copy")
        if self.backup and found.kind == "file":
            yield Run(f'cp -pP -- {word} {word}.$$."$(date +%Y-%m-%d@%H:%M:%S)~"')
        commands = [f"cp --no-preserve=mode -- {quoted(self.src)} {beside}"]
        if found.kind == "file":
            commands += [f"chown --reference={word} -- {beside}", f"chmod --reference={word} -- {beside}"]
        commands += attributes(beside, Diff(wanted, found, diff.differences))
        yield Run(" && ".join([*commands, f"mv -fT -- {beside} {word}"]) + f" || {{ rm -f -- {beside}; exit 1; }}")

    def returns(self, found: CopiedState | None) -> Mapping[str, Value]:
        """Return Ansible's keys."""
        path = found.path if found is not None and isinstance(found.path, str) else self.dest
        return {"src": self.src, "dest": path, **ansible_keys(found)}
