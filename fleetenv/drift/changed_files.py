"""Differences of many files, told package by package: a `pip install` is one thing that somebody did, not forty."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol, TypeVar

from msgspec.structs import replace

FILES = "files."
"""What the keys of files begin with: `files.lib/python3.11/site-packages/numpy/version.py`."""

_MOST = 3  # files that are told one by one
_PACKAGE = re.compile(
    r".*/site-packages/(?:__pycache__/)?(?P<name>[^/]+?)(?:-[^/-]+\.(?:dist|egg)-info|(?:\.[^/]*)?\.(?:pyc?|so))?(?:/.*)?"
)


class _Differing(Protocol):
    @property
    def key(self) -> str: ...
    @property
    def wanted(self) -> object: ...
    @property
    def found(self) -> object: ...


D = TypeVar("D", bound=_Differing)


def by_package(differences: Sequence[D]) -> list[D]:
    """Return differences with those of more than a few files folded: `8 files of numpy` for all that differ alike."""
    files = [each for each in differences if each.key.startswith(FILES)]
    if len(files) <= _MOST:
        return list(differences)
    groups: dict[tuple[str, str], list[D]] = {}
    for each in files:
        path = each.key.removeprefix(FILES)
        groups.setdefault((_owner(path), repr((each.wanted, each.found))), []).append(each)
    told = [
        group[0] if len(group) == 1 else _renamed(group[0], f"{len(group)} files {owner}")
        for (owner, _), group in groups.items()
    ]
    return [*(each for each in differences if not each.key.startswith(FILES)), *told]


def _renamed(difference: D, key: str) -> D:
    return replace(difference, key=key)  # type: ignore[type-var]  # no bound says both: a Struct, and these fields


def _owner(path: str) -> str:
    """Return `of numpy` for a package's file, else `in bin`, its first folder."""
    if found := _PACKAGE.fullmatch(path):
        return f"of {found['name']}"
    folder, slash, _ = path.partition("/")
    return f"in {folder}" if slash else "of the environment"
