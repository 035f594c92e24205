"""One thing that many hosts have, such as an environment: which kinds of it there are, and in what they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from fleetenv.drift.snapshot import Plain


class Variant(Struct, frozen=True):
    """Hosts that have the very same."""

    hosts: tuple[str, ...]
    values: Mapping[str, Plain]


class Row(Struct, frozen=True):
    """One value over all variants, in their order; None: not there."""

    key: str
    values: tuple[Plain, ...]


class Share(Struct, frozen=True):
    """One value and the hosts that have it; None: that do not have the thing."""

    value: Plain
    hosts: tuple[str, ...]


class Spread(Struct, frozen=True):
    """One value over all hosts, the commonest first."""

    key: str
    shares: tuple[Share, ...]


def variants_of(values: Mapping[str, Mapping[str, Plain]]) -> tuple[Variant, ...]:
    """Group hosts by what they have, the commonest first; `values` are by host, then by key."""
    kinds: dict[bytes, list[str]] = {}
    for host in sorted(values):
        kinds.setdefault(msgspec.json.encode(values[host], order="deterministic"), []).append(host)
    ordered = sorted(kinds.values(), key=lambda hosts: (-len(hosts), hosts))
    return tuple(Variant(tuple(hosts), values[hosts[0]]) for hosts in ordered)


def rows_of(variants: Sequence[Variant]) -> tuple[Row, ...]:
    """Return every key that any of these variants has, in the order of names."""
    return tuple(Row(key, tuple(variant.values.get(key) for variant in variants)) for key in _keys(variants))


def spreads_of(variants: Sequence[Variant]) -> tuple[Spread, ...]:
    """Return which hosts have which value, for every key that any of these variants has."""
    return tuple(Spread(key, tuple(_shares(key, variants))) for key in _keys(variants))


def _shares(key: str, variants: Sequence[Variant]) -> list[Share]:
    found: dict[str | bytes, tuple[Plain, list[str]]] = {}
    for variant in variants:
        value = variant.values.get(key)
        same = value if isinstance(value, str) else msgspec.json.encode(value, order="deterministic")
        found.setdefault(same, (value, []))[1].extend(variant.hosts)
    shares = [Share(value, tuple(sorted(hosts))) for value, hosts in found.values()]
    return sorted(shares, key=lambda share: (-len(share.hosts), share.hosts))


def _keys(variants: Sequence[Variant]) -> list[str]:
    return sorted({key for variant in variants for key in variant.values})
