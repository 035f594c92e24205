"""`group`: groups of a host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

import msgspec

from fleetenv.modules.accounts import check_name
from fleetenv.modules.base import StateModule
from fleetenv.remote import Completed, Lookup, Run, Step, sh
from fleetenv.source import Value
from fleetenv.state import UNSET, Diff, State, UnsetType

_LOOK = r"""printf '%s\0' "$@"; printf '\0'; getent group -- "$@"; :"""


class GroupState(State, frozen=True, kw_only=True):
    """A group."""

    gid: int | UnsetType = UNSET


class Group(StateModule[GroupState], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keep a group on the host.

    ```yaml
    - group: {name: research, gid: 3000}
    ```
    """

    name: ClassVar[str] = "group"

    group: str = msgspec.field(name="name")
    """The group."""
    gid: int | None = None
    """Its number."""
    state: Literal["present", "absent"] = "present"
    """Whether it should be there."""
    system: bool = False
    """Make it with a number from those for system groups."""
    non_unique: bool = False
    """Let `gid` be one that another group has, too."""

    def __post_init__(self) -> None:
        check_name(self.group)

    def observe(self) -> Lookup[GroupState | None]:
        """Ask getent."""
        return Lookup(_LOOK, _parse, self.group)

    def desired(self, found: GroupState | None) -> GroupState | None:
        """Return the group, or that it should not be there."""
        if self.state == "absent":
            return None
        return GroupState(gid=UNSET if self.gid is None else self.gid)

    def converge(self, diff: Diff[GroupState]) -> Iterator[Step]:
        """Add, change or remove it."""
        options = [] if self.gid is None else ["-g", str(self.gid)]
        options += ["-o"] if self.non_unique and self.gid is not None else []
        if diff.wanted is None:
            yield Run(sh("groupdel", self.group))
        elif diff.found is None:
            yield Run(sh("groupadd", *(["-r"] if self.system else []), *options, self.group))
        else:
            yield Run(sh("groupmod", *options, self.group))

    def returns(self, found: GroupState | None) -> Mapping[str, Value]:
        """Return Ansible's keys."""
        keys: dict[str, Value] = {"name": self.group, "state": self.state, "system": self.system}
        if found is not None and isinstance(found.gid, int):
            keys["gid"] = found.gid
        return keys


def _parse(completed: Completed) -> Mapping[str, GroupState | None]:
    names, _, lines = completed.text.partition("\0\0")
    found = {}
    for line in lines.splitlines():
        fields = line.split(":")
        if len(fields) == 4:
            found[fields[0]] = GroupState(gid=int(fields[2]))
    return {name: found.get(name) for name in names.split("\0")}
