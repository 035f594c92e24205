"""Host patterns, as `hosts:` and `--limit` take them: `a:b`, `a,b`, `!c`, `&d`, `gpu*`, `~gpu0[1-4]`, `a100[0:3]`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import translate

from msgspec import Struct

from fleetenv.errors import InputError
from fleetenv.inventory.address import is_host_or_range, split_port
from fleetenv.inventory.model import Group, Host

LOCALHOST = ("localhost", "127.0.0.1", "::1")

_TERM = re.compile(r"(?:[^\s:\[\]]|\[[^\]]*\])+")
_SUBSCRIPT = re.compile(r"(?P<name>.+)\[(?:(?P<index>-?[0-9]+)|(?P<first>[0-9]+)[:-](?P<last>[0-9]*))\]")
_GLOB = frozenset("*?[")


def split(pattern: str | Sequence[str]) -> list[str]:
    """Split a pattern into its terms: at commas if there are any, else at colons that belong to no address or range."""
    if not isinstance(pattern, str):
        return [term for each in pattern for term in split(each)]
    if "," in pattern:
        terms = pattern.split(",")
    else:
        terms = [pattern] if is_host_or_range(split_port(pattern)[0]) else _TERM.findall(pattern)
    return [term.strip() for term in terms if term.strip()]


def is_name(term: str) -> bool:
    """Whether a term (without `!` or `&`) is the name of one host or group, not a glob or a regular expression."""
    return not term.startswith("~") and not _GLOB & set(subscripted(term)[0])


def subscripted(term: str) -> tuple[str, re.Match[str] | None]:
    """Split `a100[0]` or `a100[0:3]` into the name and the match of its subscript."""
    match = None if term.startswith("~") else _SUBSCRIPT.fullmatch(term)
    return (match["name"], match) if match else (term, None)


class Matcher(Struct, frozen=True):
    """Finds hosts by patterns. `members` is each group's hosts, its children's too."""

    hosts: Mapping[str, Host]
    groups: Mapping[str, Group]
    members: Callable[[str], tuple[Host, ...]]
    localhost: Host  # what its names stand for when they match nothing else

    def select(self, terms: Sequence[str]) -> list[Host]:
        """Return the hosts that the terms choose together, each once: plain terms first, then each `&`, then each `!`.

        Raises:
            InputError: an invalid regular expression, or an index beyond the hosts.
        """
        plain = [term for term in terms if term[0] not in "!&"] or ["all"]
        chosen: dict[str, Host] = {}
        for term in plain:
            chosen |= {host.name: host for host in self.match(term) if host.name not in chosen}
        for term in (term for term in terms if term[0] == "&"):
            kept = {host.name for host in self.match(term[1:])}
            chosen = {name: host for name, host in chosen.items() if name in kept}
        for term in (term for term in terms if term[0] == "!"):
            dropped = {host.name for host in self.match(term[1:])}
            chosen = {name: host for name, host in chosen.items() if name not in dropped}
        return list(chosen.values())

    def match(self, term: str) -> Sequence[Host]:
        """Return what one term without `!` or `&` matches: a host, groups' hosts, hosts by glob or expression."""
        if term in self.hosts:
            return [self.hosts[term]]
        name, subscript = subscripted(term)
        found = self._by_name(name)
        return _pick(found, subscript, term) if subscript and found else found

    def _by_name(self, name: str) -> Sequence[Host]:
        groups = _matching(self.groups, name)
        found = [host for group in groups for host in self.members(group)]
        if not groups or name.startswith("~") or any(special in name for special in ".?*["):
            found += [self.hosts[host] for host in _matching(self.hosts, name)]
        if not found and name in LOCALHOST:
            found.append(self.localhost)
        return found


def _matching(names: Iterable[str], pattern: str) -> list[str]:
    try:
        expression = re.compile(pattern[1:] if pattern.startswith("~") else translate(pattern))
    except re.error as error:
        raise InputError(f"the host pattern '{pattern}' is not a valid regular expression: {error}") from error
    return [name for name in names if expression.match(name)]


def _pick(hosts: Sequence[Host], subscript: re.Match[str], term: str) -> Sequence[Host]:
    index, first, last = subscript["index"], subscript["first"], subscript["last"]
    if index is None and last != "0":  # [n:0] is the one host n, as in Ansible
        return hosts[int(first) : int(last) + 1 if last else None]
    try:
        return [hosts[int(index if index is not None else first)]]
    except IndexError as error:
        raise InputError(f"the host pattern '{term}' counts beyond its {len(hosts)} hosts") from error
