"""An inventory that is being written: every source adds to it, then it is finished into hosts and groups."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from msgspec import Struct, field

from fleetenv.errors import InputError, Location
from fleetenv.inventory.model import Group, Host
from fleetenv.source import Value


class _Host(Struct, eq=False):
    name: str
    source: str
    vars: dict[str, Value] = field(default_factory=dict)


class _Group(Struct, eq=False):
    name: str
    vars: dict[str, Value] = field(default_factory=dict)
    hosts: dict[str, None] = field(default_factory=dict)
    children: dict[str, None] = field(default_factory=dict)
    parents: dict[str, None] = field(default_factory=dict)
    priority: int = 1


class Draft:
    """Hosts and groups by name, in the order in which sources name them; `source` is the one being read."""

    def __init__(self) -> None:
        self.source = ""
        self.hosts: dict[str, _Host] = {}
        self.groups: dict[str, _Group] = {"all": _Group("all"), "ungrouped": _Group("ungrouped")}
        self._link("all", "ungrouped")

    def add_group(self, name: str) -> None:
        """Add a group, if it is not there yet."""
        self.groups.setdefault(name, _Group(name))

    def add_host(self, name: str, group: str, *, port: int | None = None) -> None:
        """Put a host into a group. A port counts only where the host is named for the first time, as in Ansible."""
        if name not in self.hosts:
            self.hosts[name] = _Host(name, self.source, {"ansible_port": port} if port else {})
        self.groups[group].hosts[name] = None

    def add_child(self, parent: str, child: str, location: Location) -> None:
        """Make one group the child of another.

        Raises:
            InputError: the groups would contain each other.
        """
        if child == parent or child in self._ancestors(parent):
            raise InputError(f"the group '{child}' would contain itself through '{parent}'", location=location)
        self._link(parent, child)

    def set_host_variable(self, host: str, key: str, value: Value, location: Location) -> None:
        """Set a variable of a host; of the group of the same name if there is one, as Ansible takes it."""
        if host in self.groups:
            self.set_group_variable(host, key, value, location)
        else:
            self.hosts[host].vars[key] = value

    def set_group_variable(self, group: str, key: str, value: Value, location: Location) -> None:
        """Set a variable of a group; `ansible_group_priority` sets its priority instead.

        Raises:
            InputError: a priority that is not a whole number.
        """
        if key != "ansible_group_priority":
            self.groups[group].vars[key] = value
            return
        try:
            self.groups[group].priority = int(str(value))
        except ValueError as error:
            raise InputError(
                f"ansible_group_priority must be a whole number, not '{value}'", location=location
            ) from error

    def finish(self) -> tuple[Mapping[str, Host], Mapping[str, Group]]:
        """Return hosts and groups; every group is below 'all', and hosts in no other group are 'ungrouped'."""
        for name, each in self.groups.items():
            if name != "all" and not each.parents:
                self._link("all", name)
        self._settle_ungrouped()
        depth = cache(self._depth)
        hosts = self._finished_hosts()

        @cache
        def finished(name: str) -> Group:
            each = self.groups[name]
            return Group(
                name=name,
                vars=each.vars,
                hosts=tuple(hosts[host] for host in each.hosts),
                children=tuple(finished(child) for child in each.children),
                depth=depth(name),
                priority=each.priority,
            )

        return hosts, {name: finished(name) for name in self.groups}

    def _settle_ungrouped(self) -> None:
        ungrouped = self.groups["ungrouped"].hosts
        grouped = {
            host for name, group in self.groups.items() if name not in ("all", "ungrouped") for host in group.hosts
        }
        for host in self.hosts:
            if host in grouped:
                ungrouped.pop(host, None)
            else:
                ungrouped[host] = None

    def _finished_hosts(self) -> dict[str, Host]:
        direct: dict[str, set[str]] = {name: set() for name in self.hosts}
        for name, group in self.groups.items():
            for host in group.hosts:
                direct[host].add(name)

        @cache
        def ordered(names: frozenset[str]) -> tuple[str, ...]:
            every = names.union(*(self._ancestors(name) for name in names)) - {"all"}
            return tuple(sorted(every, key=lambda name: (self._depth(name), self.groups[name].priority, name)))

        return {
            host.name: Host(host.name, host.vars, ordered(frozenset(direct[host.name])), host.source)
            for host in self.hosts.values()
        }

    def _link(self, parent: str, child: str) -> None:
        self.groups[parent].children[child] = None
        self.groups[child].parents[parent] = None

    def _ancestors(self, name: str) -> set[str]:
        found: set[str] = set()
        waiting = list(self.groups[name].parents)
        while waiting:
            parent = waiting.pop()
            if parent not in found:
                found.add(parent)
                waiting += self.groups[parent].parents
        return found

    def _depth(self, name: str) -> int:
        return max((self._depth(parent) + 1 for parent in self.groups[name].parents), default=0)
