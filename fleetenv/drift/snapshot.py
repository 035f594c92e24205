"""All that was seen of one host in one look, in a form that hosts, and days, are compared by.

A snapshot is plain data: sections of named things of named values, `environments` -> `nlp_train` -> `packages` ->
`numpy` -> `1.26.4 py311h64a7726_0 conda-forge`. What changes by itself (temperatures, processes, free memory, times) is
not in it, so that two snapshots of a host to which nothing happened are equal, byte for byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import TypeAlias

import msgspec

Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"
Snapshot: TypeAlias = dict[str, Plain]
"""Sections: `facts`, `miniconda`, `condarc`, `environments`, `virtualenvs`, `kernels`, `gpus`, `tasks`."""

Path: TypeAlias = tuple[str, ...]


class Change(msgspec.Struct, frozen=True):
    """One value that differs between two snapshots; None: it is not there."""

    path: Path
    before: Plain
    after: Plain


def encode(snapshot: Snapshot) -> bytes:
    """Return the one way to write a snapshot: JSON with sorted keys. Equal snapshots give equal bytes."""
    return msgspec.json.encode(snapshot, order="deterministic")


def decode(data: bytes) -> Snapshot:
    """Return what [`encode`][] wrote.

    Raises:
        msgspec.DecodeError: it is not a snapshot.
    """
    snapshot: Snapshot = msgspec.json.decode(data, type=dict)
    return snapshot


def digest(data: bytes) -> bytes:
    """Return the sha256 of an encoded snapshot (32 bytes)."""
    return hashlib.sha256(data).digest()


def leaves(value: Plain, path: Path = ()) -> Iterator[tuple[Path, Plain]]:
    """Yield the path and the value of all that is no mapping; an empty mapping is a leaf. Lists are whole."""
    if isinstance(value, Mapping) and value:
        for key in sorted(value):
            yield from leaves(value[key], (*path, key))
    else:
        yield path, value


def changes(before: Snapshot, after: Snapshot) -> Iterator[Change]:
    """Yield what differs, in the order of paths. Sections that only one of the two has were not looked at: left out."""
    for section in sorted(before.keys() & after.keys()):
        yield from _changes((section,), before[section], after[section])


def _changes(path: Path, before: Plain, after: Plain) -> Iterator[Change]:
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted(before.keys() | after.keys()):
            yield from _changes((*path, key), before.get(key), after.get(key))
    else:
        yield Change(path, before, after)
