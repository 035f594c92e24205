"""Environments over all hosts: which there are, and in which versions each has what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from fleetenv.drift.snapshot import Plain
from fleetenv.errors import InputError
from fleetenv.history.store import History
from fleetenv.web.contents import mapping, packages_of
from fleetenv.web.fleet import Groups
from fleetenv.web.page import Page, PageNumber, Slice, cut, has_words, words_of
from fleetenv.web.variants import Row, Spread, Variant, rows_of, spreads_of, variants_of

_VARIANTS = 12
_ROWS = 400
_SPREADS = 50
_NAMES = 200


class EnvironmentsQuery(Struct, frozen=True):
    """Which environments."""

    q: str = ""
    group: str = ""
    page: PageNumber = 1


class EnvironmentLine(Struct, frozen=True):
    """One environment: how many hosts have it, in how many variants, and how many have the commonest."""

    name: str
    hosts: int
    variants: int
    commonest: int
    packages: int  # of the commonest variant


class EnvironmentsShown(Struct, frozen=True):
    """All environments, by name."""

    rows: tuple[EnvironmentLine, ...]
    part: Slice
    hosts: int  # that have a snapshot
    groups: tuple[str, ...]


class EnvironmentQuery(Struct, frozen=True):
    """One environment. `show` `different`: only what is not the same everywhere.

    `by` `variant`: a column for each; `package`: who has which version. Not said: by variant, if there are few.
    """

    name: str
    q: str = ""
    group: str = ""
    host: str = ""
    show: Literal["different", "all"] = "different"
    by: Literal["", "variant", "package"] = ""
    page: PageNumber = 1


class VariantShown(Struct, frozen=True):
    """Hosts that have the very same packages, `differs` of them otherwise than the commonest variant."""

    hosts: tuple[str, ...]
    packages: int
    differs: int


class EnvironmentShown(Struct, frozen=True, kw_only=True):
    """One environment over all hosts. `missing`: hosts that were looked at and do not have it."""

    name: str
    variants: tuple[VariantShown, ...]
    more_variants: int
    by: Literal["variant", "package"]
    rows: tuple[Row, ...]  # by variant
    spreads: tuple[Spread, ...]  # by package
    part: Slice
    missing: tuple[str, ...]
    hosts: int
    groups: tuple[str, ...]


def _environments(history: History, query: EnvironmentsQuery) -> EnvironmentsShown:
    groups = Groups(history)
    found: dict[str, dict[str, Mapping[str, Plain]]] = {}
    hosts = dict(_hosts(history, groups, query.group))
    for host, environments in hosts.items():
        for name, environment in environments.items():
            found.setdefault(name, {})[host] = packages_of(environment)
    words = words_of(query.q)
    lines = [_line(name, packages) for name, packages in sorted(found.items()) if has_words(words, name)]
    rows, part = cut(lines, query.page, _NAMES)
    return EnvironmentsShown(tuple(rows), part, len(hosts), groups.names)


def _hosts(history: History, groups: Groups, group: str) -> Iterator[tuple[str, Mapping[str, Plain]]]:
    """Yield the hosts of a group with their environments; hosts whose environments were not looked at are left out."""
    for host, look in history.snapshots.latest().items():
        if groups.has(group, host) and "environments" in look.snapshot:
            yield host, mapping(look.snapshot["environments"])


def _line(name: str, packages: Mapping[str, Mapping[str, Plain]]) -> EnvironmentLine:
    variants = variants_of(packages)
    return EnvironmentLine(name, len(packages), len(variants), len(variants[0].hosts), len(variants[0].values))


def _environment(history: History, query: EnvironmentQuery) -> EnvironmentShown:
    groups = Groups(history)
    hosts = dict(_hosts(history, groups, query.group))
    packages = {host: packages_of(found[query.name]) for host, found in hosts.items() if query.name in found}
    if not packages and not query.group:
        raise InputError(f"no host has an environment '{query.name}'")
    variants = variants_of(packages)
    shown = [*variants[:1], *(each for each in variants[1:] if not query.host or query.host in each.hosts)][:_VARIANTS]
    by = query.by or ("variant" if len(variants) <= _VARIANTS or query.host else "package")
    kept, part = _spreads(variants if by == "package" else shown, query, _SPREADS if by == "package" else _ROWS)
    keys = {each.key for each in kept}
    return EnvironmentShown(
        name=query.name,
        variants=tuple(_variant(each, variants[0]) for each in shown),
        more_variants=len(variants) - len(shown),
        by=by,
        rows=tuple(row for row in rows_of(shown) if row.key in keys) if by == "variant" else (),
        spreads=tuple(kept) if by == "package" else (),
        part=part,
        missing=tuple(host for host in hosts if host not in packages),
        hosts=len(packages),
        groups=groups.names,
    )


def _spreads(variants: Sequence[Variant], query: EnvironmentQuery, size: int) -> tuple[Sequence[Spread], Slice]:
    """Return the packages that were asked for, and stand on the page that was."""
    words = words_of(query.q)
    everything = query.show == "all" or len(variants) == 1
    chosen = [
        each for each in spreads_of(variants) if (everything or len(each.shares) > 1) and has_words(words, each.key)
    ]
    return cut(chosen, query.page, size)


def _variant(variant: Variant, commonest: Variant) -> VariantShown:
    keys = variant.values.keys() | commonest.values.keys()
    differs = sum(variant.values.get(key) != commonest.values.get(key) for key in keys)
    return VariantShown(variant.hosts, len(variant.values), differs)


ENVIRONMENTS = Page("/environments", "environments", EnvironmentsQuery, _environments)
ENVIRONMENT = Page("/environments/{name:path}", "environment", EnvironmentQuery, _environment)
