"""Single values out of nvidia-smi's XML, whose texts are written for people: `26.78 W`, `96 bank(s)`, `[N/A]`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from fleetenv.gpu.version import parse_version
from fleetenv.gpu.xml import Element

Path: TypeAlias = tuple[str, ...]

LOST = "gpu is lost"
"""What nvidia-smi writes in place of all values of a GPU that has fallen off the bus since the driver found it."""

UNKNOWN = frozenset(
    {
        "n/a",
        "[n/a]",
        "not supported",
        "[not supported]",
        "unknown error",
        "[unknown error]",
        LOST,
        f"[{LOST}]",
        "[insufficient permissions]",
        "requested functionality has been deprecated",
        "[requested functionality has been deprecated]",
    }
)
"""What nvidia-smi writes in place of a value that it cannot tell."""

MAX_TEXT = 200
MAX_NAMES = 100  # of values whose names only the host knows
_NUMBER = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,6})?", re.ASCII)
_YES = frozenset({"yes", "enabled", "active", "on", "true"})
_NO = frozenset({"no", "disabled", "not active", "off", "false"})


def text(element: Element, *path: str) -> str | None:
    """Return the text at a path below an element; None when it is not told."""
    found = element.text_at(*path)
    return None if found is None or found.lower() in UNKNOWN else found[:MAX_TEXT]


def version(element: Element, *path: str) -> str | None:
    """Return a dotted version; None when there is none."""
    found = text(element, *path)
    try:
        return found if found and parse_version(found) else None
    except ValueError:
        return None


def number(element: Element, *path: str) -> float | None:
    """Read the number in `26.78 W`, `16x`, `96 bank(s)`."""
    words = text(element, *path)
    found = _NUMBER.match(words) if words else None
    return float(found[0]) if found else None


def integer(element: Element, *path: str) -> int | None:
    """Read a number as [`number`][] does, without its fraction."""
    found = number(element, *path)
    return None if found is None else int(found)


def flag(element: Element, *path: str) -> bool | None:
    """Read `Enabled`, `Yes`, `Active`, and what they are opposed to."""
    words = (text(element, *path) or "").lower()
    return True if words in _YES else False if words in _NO else None


def texts(element: Element, table: Mapping[str, Path]) -> dict[str, str]:
    """Return those texts of a table of paths that are told."""
    found = {name: text(element, *path) for name, path in table.items()}
    return {name: value for name, value in found.items() if value is not None}


def numbers(element: Element, table: Mapping[str, Path]) -> dict[str, float]:
    """Return those numbers of a table of paths that are told."""
    found = {name: number(element, *path) for name, path in table.items()}
    return {name: value for name, value in found.items() if value is not None}


def integers(element: Element, table: Mapping[str, Path]) -> dict[str, int]:
    """Return those numbers of a table of paths that are told, without their fractions."""
    return {name: int(value) for name, value in numbers(element, table).items()}


def below(element: Element | None, prefix: str = "") -> dict[str, Path]:
    """Return a table of all elements right below one, each named by its tag without `prefix`."""
    children = element.children[:MAX_NAMES] if element else ()
    return {child.tag.removeprefix(prefix)[:MAX_TEXT]: (child.tag,) for child in children}


def first(values: Iterable[float | None]) -> float | None:
    """Return the first that is told. All are asked for: each is somebody's name of the same thing."""
    return next((value for value in list(values) if value is not None), None)


def total(values: Iterable[int | None]) -> int | None:
    """Add up what is known; None when nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None
