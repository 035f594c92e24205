"""The inventory as `ansible-inventory` shows it: `--list`, `--graph`, `--host`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fleetenv.errors import InputError, nearest
from fleetenv.inventory.inventory import Inventory
from fleetenv.inventory.model import Group
from fleetenv.source import SourceText, Value

# Names that are Ansible's own wherever they come from: they are not shown as variables.
_INTERNAL = frozenset(
    [
        "ansible_async_path",
        "ansible_collection_name",
        "ansible_config_file",
        "ansible_dependent_role_names",
        "ansible_diff_mode",
        "ansible_facts",
        "ansible_forks",
        "ansible_inventory_sources",
        "ansible_limit",
        "ansible_play_batch",
        "ansible_play_hosts",
        "ansible_play_hosts_all",
        "ansible_play_role_names",
        "ansible_playbook_python",
        "ansible_role_name",
        "ansible_role_names",
        "ansible_run_tags",
        "ansible_skip_tags",
        "ansible_verbosity",
        "ansible_version",
        "inventory_dir",
        "inventory_file",
        "inventory_hostname",
        "inventory_hostname_short",
        "groups",
        "group_names",
        "hostvars",
        "playbook_dir",
        "play_hosts",
        "role_name",
        "role_names",
        "role_path",
        "role_uuid",
    ]
)


class Listing:
    """What is shown of an inventory, before it becomes text.

    Args:
        inventory: Whose hosts are shown, and whose variables of hosts, merged.
        own: Whose variables of groups are shown; Ansible leaves out those beside a playbook that nobody named.
        limit: A pattern that narrows the hosts down.
        export: Show each variable where it was set, instead of merging all into the hosts.
    """

    def __init__(self, inventory: Inventory, own: Inventory, *, limit: str | None = None, export: bool = False) -> None:
        self._inventory = inventory
        self._own = own
        self._hosts = {host.name for host in inventory.select("all", limit=limit)}
        self._export = export

    def as_json(self) -> dict[str, Value]:
        """Return the form of `--list`: groups by name, and in `_meta` the variables of each host."""
        listing: dict[str, Value] = {}
        for group in self._inventory.groups["all"].descendants():
            hosts, variables = self._hosts_of(group), self._variables_of(group)
            children: list[Value] = [child.name for child in group.children]
            shown = _without_empty(hosts=hosts, children=children, vars=_marked(variables))
            if shown:
                listing[group.name] = shown
        order = [host.name for host in self._inventory.select("all") if host.name in self._hosts]
        hostvars = {name: _marked(self._host_variables(name)) for name in order}
        meta: dict[str, Value] = {name: variables for name, variables in hostvars.items() if variables}
        listing["_meta"] = {"hostvars": meta, "profile": "inventory_legacy"}
        return listing

    def as_yaml(self) -> dict[str, Value]:
        """Return the form of `--list --yaml`: itself a YAML inventory."""
        return self._nested(self._inventory.groups["all"], set(), set())

    def host(self, name: str) -> dict[str, Value]:
        """Return the form of `--host`: the variables of one host.

        Raises:
            InputError: the name stands for no host, or for several.
        """
        found = self._inventory.select(name)
        if not found:
            raise InputError(f"the inventory has no host '{name}'", hint=nearest(name, self._inventory.hosts))
        if len(found) > 1:
            raise InputError(f"--host takes the name of one host, but '{name}' is {len(found)} hosts")
        return self._host_variables(found[0].name)

    def graph(self, group: str, *, variables: bool = False) -> str:
        """Return the text of `--graph`: the tree of groups and hosts below a group, perhaps with their variables.

        Raises:
            InputError: there is no such group.
        """
        if group not in self._inventory.groups:
            hint = nearest(group, self._inventory.groups)
            raise InputError(f"the inventory has no group '{group}'", hint=hint)
        return "\n".join(self._graph_lines(self._inventory.groups[group], 0, variables))

    def _nested(self, group: Group, seen_groups: set[str], seen_hosts: set[str]) -> dict[str, Value]:
        children: dict[str, Value] = {}
        for child in group.children:
            if child.name in seen_groups:
                children[child.name] = {}
            else:
                children |= self._nested(child, seen_groups, seen_hosts)
                seen_groups.add(child.name)
        hosts: dict[str, Value] = {}
        for host in self._hosts_of(group):
            name = str(host)
            hosts[name] = {} if name in seen_hosts else self._host_variables(name)
            seen_hosts.add(name)
        shown = _without_empty(children=children, hosts=hosts, vars=self._variables_of(group))
        return {group.name: shown} if shown else {}

    def _graph_lines(self, group: Group, depth: int, variables: bool) -> Iterator[str]:
        yield _branch(f"@{group.name}:", depth)
        for child in group.children:
            yield from self._graph_lines(child, depth + 1, variables)
        for host in group.hosts if group.name != "all" else ():
            yield _branch(host.name, depth + 1)
            if variables:
                yield from _variable_lines(self._host_variables(host.name), depth + 2)
        if variables:
            yield from _variable_lines(self._group_variables(group), depth + 1)

    def _hosts_of(self, group: Group) -> list[Value]:
        if group.name == "all":  # every host is in another group, too: in 'ungrouped' at least
            return []
        return [host.name for host in group.hosts if host.name in self._hosts]

    def _host_variables(self, host: str) -> dict[str, Value]:
        return _shown(self._own.host_variables(host) if self._export else self._inventory.variables(host))

    def _variables_of(self, group: Group) -> dict[str, Value]:
        return self._group_variables(group) if self._export else {}

    def _group_variables(self, group: Group) -> dict[str, Value]:
        priority: dict[str, Value] = {"ansible_group_priority": group.priority} if group.priority != 1 else {}
        return _shown({**self._own.group_variables(group.name), **priority})


def _branch(text: str, depth: int) -> str:
    return f"{'  |' * depth}--{text}" if depth else text


def _variable_lines(variables: Mapping[str, Value], depth: int) -> Iterator[str]:
    for name, value in sorted(variables.items()):
        yield _branch(f"{{{name} = {value}}}", depth)


def _shown(variables: Mapping[str, Value]) -> dict[str, Value]:
    return {name: value for name, value in variables.items() if name not in _INTERNAL}


def _without_empty(**sections: Value) -> dict[str, Value]:
    return {name: section for name, section in sections.items() if section}


def _marked(value: Value) -> Value:
    """Mark text that must not be evaluated (`!unsafe`), so that the listing can be an inventory again."""
    if isinstance(value, dict):
        return {key: _marked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_marked(item) for item in value]
    if isinstance(value, str) and not isinstance(value, SourceText):
        return {"__ansible_unsafe": value}
    return value
