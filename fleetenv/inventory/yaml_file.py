"""Ansible's YAML inventories: groups with `hosts`, `vars` and `children`."""

from __future__ import annotations

from fleetenv.errors import InputError, Location, nearest
from fleetenv.inventory.address import expand, split_port
from fleetenv.inventory.draft import Draft
from fleetenv.source import SourceMap, Value

_SECTIONS = ("hosts", "vars", "children")


def read(data: SourceMap, draft: Draft) -> None:
    """Add what a parsed YAML inventory says to the draft.

    Raises:
        InputError: it is not of an inventory's form.
    """
    if "plugin" in data:
        raise InputError(
            f"the inventory plugin '{data['plugin']}' is not supported",
            location=data.keys_at["plugin"],
            hint="an executable inventory that answers --list can take its place",
        )
    for name in data:
        _read_group(name, data[name], data.values_at[name], draft)


def host_names(pattern: str, location: Location) -> tuple[list[str], int | None]:
    """Return the host names that a pattern with ranges stands for, and their port if it has one.

    Raises:
        InputError: a range is malformed.
    """
    name, port = split_port(pattern)
    try:
        return expand(name), port
    except ValueError as error:
        raise InputError(str(error), location=location) from error


def _read_group(name: str, data: Value, location: Location, draft: Draft) -> None:
    draft.add_group(name)
    if data is None:
        return
    if not isinstance(data, SourceMap):
        raise InputError(f"the group '{name}' must be a mapping of hosts, vars and children", location=location)
    for key in data:
        if key not in _SECTIONS:
            raise InputError(
                f"a group has hosts, vars and children, but not '{key}'",
                location=data.keys_at[key],
                hint=nearest(key, _SECTIONS) or f"a group of that name goes below 'children:' of '{name}'",
            )
    variables = _section(data, "vars", name)
    for key in variables:
        draft.set_group_variable(name, key, variables[key], variables.values_at[key])
    children = _section(data, "children", name)
    for child in children:
        _read_group(child, children[child], children.values_at[child], draft)
        draft.add_child(name, child, children.keys_at[child])
    hosts = _section(data, "hosts", name)
    for pattern in hosts:
        _read_host(pattern, hosts[pattern], hosts, name, draft)


def _section(data: SourceMap, key: str, group: str) -> SourceMap:
    value, location = data.get(key), data.values_at.get(key, data.location)
    if isinstance(value, SourceMap):
        return value
    section = SourceMap(location)
    if isinstance(value, str) and key != "vars":  # one name alone may be written as text
        section[value] = None
        section.keys_at[value] = section.values_at[value] = location
    elif value is not None:
        raise InputError(
            f"'{key}' of the group '{group}' must be a mapping",
            location=location,
            hint=None if key == "vars" else "each name is a key of its own: 'name:', not '- name'",
        )
    return section


def _read_host(pattern: str, variables: Value, hosts: SourceMap, group: str, draft: Draft) -> None:
    names, port = host_names(pattern, hosts.keys_at[pattern])
    if variables is not None and not isinstance(variables, SourceMap):
        raise InputError(f"the variables of the host '{pattern}' must be a mapping", location=hosts.values_at[pattern])
    for name in names:
        draft.add_host(name, group, port=port)
        if variables:
            for key, value in variables.items():
                draft.set_host_variable(name, key, value, variables.values_at[key])
