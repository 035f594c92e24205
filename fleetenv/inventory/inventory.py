"""The inventory as others use it: hosts by pattern, and each host's variables merged by Ansible's precedence."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from fleetenv.errors import InputError, nearest
from fleetenv.inventory import patterns
from fleetenv.inventory.address import short_name
from fleetenv.inventory.model import Group, Host
from fleetenv.inventory.vars_folder import Kind, VarsFolder
from fleetenv.source import SourceText, Value

_IMPLICIT_LOCALHOST: Mapping[str, Value] = {
    "ansible_connection": "local",
    "ansible_python_interpreter": sys.executable,
}


class Inventory:
    """Hosts, groups and their variables. Nothing that it returns may be changed: values are shared between hosts."""

    def __init__(
        self,
        hosts: Mapping[str, Host],
        groups: Mapping[str, Group],
        *,
        beside_inventory: Sequence[VarsFolder] = (),
        beside_playbook: Sequence[VarsFolder] = (),
    ) -> None:
        self.hosts = hosts
        self.groups = groups
        self._beside_inventory = tuple(beside_inventory)
        self._beside_playbook = tuple(beside_playbook)
        self._merged: dict[str, Mapping[str, Value]] = {}
        self._group_merged = cache(self._merge_groups)
        self._members = cache(lambda name: self.groups[name].all_hosts())
        # The inventory's own localhost answers to its other names, too; without one there is an implicit one.
        named = (host for name, host in hosts.items() if name in patterns.LOCALHOST)
        self._localhost = next(named, Host("localhost", _IMPLICIT_LOCALHOST))
        self._matcher = patterns.Matcher(hosts, groups, self._members, self._localhost)
        self._groups_value: dict[str, Value] | None = None

    def select(self, pattern: str | Sequence[str], *, limit: str | None = None) -> tuple[Host, ...]:
        """Return the hosts that a pattern matches, in Ansible's order, each once; `limit` narrows them down.

        A name in `pattern` that matches nothing is passed over, as in Ansible; [`unmatched`][] tells which.

        Raises:
            InputError: an invalid pattern, or a name in `limit` that is neither a host nor a group.
        """
        try:
            chosen = self._matcher.select(patterns.split(pattern))
        except InputError as error:
            if isinstance(pattern, SourceText) and error.location is None:
                raise InputError(error.message, location=pattern.location, hint=error.hint) from error
            raise
        if limit is None:
            return tuple(chosen)
        terms = self._limit_terms(limit)
        kept = {host.name for host in self._matcher.select(terms)}
        return tuple(host for host in chosen if host.name in kept)

    def named(self, pattern: str) -> tuple[Host, ...]:
        """Return the hosts that a pattern matches, as [`select`][] does, where every name must be one of something.

        Raises:
            InputError: an invalid pattern, or a name that is neither a host nor a group.
        """
        self._check_names(patterns.split(pattern), f"'{pattern}'")
        return self.select(pattern)

    def unmatched(self, pattern: str | Sequence[str]) -> tuple[str, ...]:
        """Return the terms of a pattern that match no host and no group."""
        terms = [term.lstrip("!&") for term in patterns.split(pattern)]
        return tuple(term for term in terms if term not in self.groups and not self._matcher.match(term))

    def variables(self, host: str) -> Mapping[str, Value]:
        """Return what inventory sources, `group_vars` and `host_vars` say of a host: Ansible's levels 3 to 10, merged.

        Raises:
            InputError: there is no such host, or a file of variables cannot be read.
        """
        if host not in self._merged:
            self._merged[host] = {**self._group_merged(self._host(host).groups), **self.host_variables(host)}
        return self._merged[host]

    def host_variables(self, host: str) -> Mapping[str, Value]:
        """Return what is said of one host itself, in the inventory and in `host_vars`; nothing of its groups."""
        found = self._host(host)
        return self._with_files(found.vars, "host_vars", found.name)

    def group_variables(self, group: str) -> Mapping[str, Value]:
        """Return what is said of one group itself, in the inventory and in `group_vars`."""
        return self._with_files(self.groups[group].vars, "group_vars", group)

    def levels(self, host: str) -> tuple[Mapping[str, Value], ...]:
        """Return what is said of a host's groups and of itself, each level by itself, the weakest first."""
        groups = dict.fromkeys(("all", *self._host(host).groups))
        return (*(self.group_variables(name) for name in groups), self.host_variables(host))

    def beside(self, playbook_folder: Path) -> Inventory:
        """Return the same hosts and groups with the `group_vars` and `host_vars` of another playbook's folder."""
        path = playbook_folder.resolve()
        known = [folder for folder in self._beside_inventory if folder.path == path]
        return Inventory(
            self.hosts,
            self.groups,
            beside_inventory=self._beside_inventory,
            beside_playbook=known[:1] or [VarsFolder(path)],
        )

    def magic(self, host: str) -> Mapping[str, Value]:
        """Return the variables that Ansible makes from the inventory: `groups`, `group_names`, `inventory_*`.

        Raises:
            InputError: there is no such host.
        """
        found = self._host(host)
        if self._groups_value is None:
            self._groups_value = {name: [host.name for host in self._members(name)] for name in self.groups}
        names: list[Value] = [*found.groups]
        magic: dict[str, Value] = {
            "groups": self._groups_value,
            "group_names": sorted(names, key=str),
            "inventory_hostname": found.name,
            "inventory_hostname_short": short_name(found.name),
        }
        if found.source is not None:
            path = Path(found.source)
            magic["inventory_file"] = found.source
            magic["inventory_dir"] = str(path.parent) if path.is_file() else None
        return magic

    def groups_of(self, host: str) -> tuple[str, ...]:
        """Return the names of a host's groups, without 'all'; the weakest first.

        Raises:
            InputError: there is no such host.
        """
        return self._host(host).groups

    def _host(self, name: str) -> Host:
        if name in self.hosts:
            return self.hosts[name]
        if name in patterns.LOCALHOST:
            return self._localhost
        raise InputError(f"the inventory has no host '{name}'", hint=nearest(name, self.hosts))

    def _limit_terms(self, limit: str) -> list[str]:
        terms: list[str] = []
        for term in patterns.split(limit):
            terms += _lines(Path(term[1:])) if term.startswith("@") else [term]
        self._check_names(terms, "the limit")
        return terms

    def _check_names(self, terms: Sequence[str], what: str) -> None:
        for term in terms:
            name = patterns.subscripted(term.lstrip("!&"))[0]
            known = name in self.hosts or name in self.groups or name in patterns.LOCALHOST
            if not known and patterns.is_name(name):
                raise InputError(
                    f"{what} names '{name}', which is neither a host nor a group of the inventory",
                    hint=nearest(name, [*self.groups, *self.hosts]),
                )

    def _with_files(self, given: Mapping[str, Value], kind: Kind, name: str) -> Mapping[str, Value]:
        merged = dict(given)
        for folder in (*self._beside_inventory, *self._beside_playbook):
            merged |= folder.variables(kind, name)
        return merged

    def _merge_groups(self, names: tuple[str, ...]) -> Mapping[str, Value]:
        """Merge the groups' variables, in Ansible's order: inventory, then 'all' in files, then the others in files."""
        merged: dict[str, Value] = dict(self.groups["all"].vars)
        for name in names:
            merged |= self.groups[name].vars
        for each in (("all",), names):
            for folder in (*self._beside_inventory, *self._beside_playbook):
                for name in each:
                    merged |= folder.variables("group_vars", name)
        return merged


def _lines(path: Path) -> list[str]:
    """Return the terms of a limit's @file, one a line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"cannot read the limit file {path}: {reason}") from error
    return [line.strip() for line in text.splitlines() if line.strip()]
