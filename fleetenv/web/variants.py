"""One thing that many hosts have, such as an environment: which kinds of it there are, and in what they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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

    @property
    def differs(self) -> bool:
        """Whether variants have different values."""
        return any(value != self.values[0] for value in self.values)


def variants_of(values: Mapping[str, Mapping[str, Plain]]) -> tuple[Variant, ...]:
    """Group hosts by what they have, the commonest first; `values` are by host, then by key."""
    kinds: list[tuple[Mapping[str, Plain], list[str]]] = []
    known: dict[int, int] = {}  # the history shares equal parts: most are told apart by identity
    for host in sorted(values):
        mine = values[host]
        if id(mine) not in known:
            found = next((index for index, (kind, _) in enumerate(kinds) if kind == mine), None)
            if found is None:
                kinds.append((mine, []))
            known[id(mine)] = len(kinds) - 1 if found is None else found
        kinds[known[id(mine)]][1].append(host)
    ordered = sorted(kinds, key=lambda kind: (-len(kind[1]), kind[1]))
    return tuple(Variant(tuple(hosts), kind) for kind, hosts in ordered)


def rows_of(variants: Sequence[Variant]) -> tuple[Row, ...]:
    """Return every key that any of these variants has, in the order of names."""
    keys = sorted({key for variant in variants for key in variant.values})
    return tuple(Row(key, tuple(variant.values.get(key) for variant in variants)) for key in keys)
