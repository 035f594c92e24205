"""Hosts and groups, as they are once every source was read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct, field

from fleetenv.source import Value


class Host(Struct, frozen=True, eq=False):
    """One host. `vars` is what inventory files and scripts say of it; merged ones are `Inventory.variables`."""

    name: str
    vars: Mapping[str, Value] = field(default_factory=dict)
    groups: tuple[str, ...] = ()  # without 'all'; the weakest first, so that later ones override
    source: str | None = None  # the file (or comma list) that named it first; None: an implicit localhost

    def __repr__(self) -> str:
        return f"Host({self.name!r})"  # its variables may be secret

    @property
    def implicit(self) -> bool:
        """Whether it is a localhost that no source names."""
        return self.source is None


class Group(Struct, frozen=True, eq=False):
    """One group, with its own hosts and variables; those of its children are theirs."""

    name: str
    vars: Mapping[str, Value]
    hosts: tuple[Host, ...]
    children: tuple[Group, ...]
    depth: int  # steps from 'all', on the longest way; deeper groups override
    priority: int = 1  # ansible_group_priority: decides among groups of one depth

    def __repr__(self) -> str:
        return f"Group({self.name!r})"  # its variables may be secret

    def descendants(self) -> Iterator[Group]:
        """Yield the group itself, its children, their children, and so on: level by level, each group once."""
        seen = {self.name}
        level = [self]
        while level:
            yield from level
            below = {child.name: child for group in level for child in group.children if child.name not in seen}
            seen.update(below)
            level = list(below.values())

    def all_hosts(self) -> tuple[Host, ...]:
        """Return the hosts of the group and of all groups below it, each once."""
        return tuple({host.name: host for group in self.descendants() for host in group.hosts}.values())
