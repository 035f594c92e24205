"""States as data, and the one function that compares them.

A state is a frozen [`State`][] struct. What a module wants may leave fields `UNSET`: they are not compared. `None` in
place of a state means that the thing does not exist. Check mode, `--diff`, drift, JSON and history all come from
[`compare`][]; nothing else decides what 'changed' means.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Generic, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

__all__ = ["UNSET", "Content", "Diff", "Difference", "Place", "State", "UnsetType", "compare"]


class Content(msgspec.Struct, frozen=True, eq=False):
    """The content of a file: equal when the hashes are; `data` is there only where it was worth fetching."""

    sha256: str
    data: bytes | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Content) and self.sha256 == other.sha256

    def __ne__(self, other: object) -> bool:  # msgspec's own compares identity, and does not follow __eq__
        return not self == other

    def __hash__(self) -> int:
        return hash(self.sha256)


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all states. Fields are scalars, [`Content`][], tuples, or mappings from names to those.

    `alike` names the fields that one expects to be the same on all hosts of a play even where a task does not ask for
    it (the driver's version, an environment's packages): the drift report compares hosts by these, and no others.
    """

    alike: ClassVar[frozenset[str]] = frozenset()


class Place(Struct, frozen=True):
    """A thing of a host that a task speaks of: what lies there is not unmanaged."""

    kind: Literal["miniconda", "environment", "virtualenv", "kernel", "gpu-setting"]
    path: str  # absolute, or below `~`; of a setting its name


S = TypeVar("S", bound=State)

Leaf: TypeAlias = "bool | int | float | str | Content | tuple[Leaf, ...] | None"


class Difference(Struct, frozen=True):
    """One thing that is not as wanted: `key` is dotted (`packages.numpy`); None means that it is not there."""

    key: str
    wanted: Leaf
    found: Leaf


class Diff(Struct, Generic[S], frozen=True):
    """All that differs between what is wanted and what was found; false when nothing does."""

    wanted: S | None
    found: S | None
    differences: tuple[Difference, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.differences)

    def touches(self, *fields: str) -> bool:
        """Whether any of these top-level fields differs."""
        return any(each.key.partition(".")[0] in fields for each in self.differences)


def compare(wanted: S | None, found: S | None) -> Diff[S]:
    """Compare two states key by key."""
    if wanted is None and found is None:
        return Diff(None, None)
    if wanted is None:
        return Diff(None, found, (Difference("state", "absent", "present"),))
    if found is None:
        created = (Difference("state", "present", "absent"), *_differences("", _fields(wanted), {}))
        return Diff(wanted, None, created)
    return Diff(wanted, found, tuple(_differences("", _fields(wanted), _fields(found))))


def _fields(state: State) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(state).items() if value is not UNSET}


def _differences(prefix: str, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[Difference]:
    """Differences in what `wanted` speaks of; inside a mapping it speaks of every key, so extra ones differ too."""
    result: list[Difference] = []
    for key, want in wanted.items():
        have = found.get(key)
        if want == have:
            continue
        if isinstance(want, Mapping):
            have = have if isinstance(have, Mapping) else {}
            every = {**dict.fromkeys(have), **want}
            result += _differences(f"{prefix}{key}.", {name: every[name] for name in sorted(every)}, have)
        else:
            result.append(Difference(prefix + key, want, have))
    return result
