"""Hosts and groups, as they are once every source was read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from fleetenv.source import Value


@dataclass(frozen=True, slots=True, eq=False)
class Host:
    """One host. `vars` is what inventory files and scripts say of it; merged ones are `Inventory.variables`."""

    name: str
    vars: Mapping[str, Value] = field(default_factory=dict, repr=False)
    groups: tuple[str, ...] = ()  # without 'all'; the weakest first, so that later ones override
    source: str | None = None  # the file (or comma list) that named it first; None: an implicit localhost

    @property
    def implicit(self) -> bool:
        """Whether it is a localhost that no source names."""
        return self.source is None


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """One group, with its own hosts and variables; those of its children are theirs."""

    name: str
    vars: Mapping[str, Value] = field(repr=False)
    hosts: tuple[Host, ...]
    children: tuple[Group, ...]
    depth: int  # steps from 'all', on the longest way; deeper groups override
    priority: int = 1  # ansible_group_priority: decides among groups of one depth

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
