"""One difference as text that is safe to show."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from msgspec import Struct

from fleetenv.report.text import clipped, visible_line
from fleetenv.state import Content, Difference, Leaf

NOTHING = "(none)"
_MAX_VALUE = 300
_MAX_LINE = 300
_MAX_LINES = 4000  # of a file; comparing more takes too long, and nobody reads it


def value_text(value: Leaf) -> str:
    """Return a value on one line, at most 300 characters of it; contents are named by their hash."""
    match value:
        case None:
            return NOTHING
        case bool():
            return "yes" if value else "no"
        case Content():
            return f"sha256 {value.sha256[:12]}"
        case tuple():
            return clipped(", ".join(value_text(each) for each in value), _MAX_VALUE) or NOTHING
        case Mapping():
            return clipped(
                ", ".join(f"{visible_line(str(key))}: {value_text(value[key])}" for key in value), _MAX_VALUE
            )
        case _:
            return clipped(visible_line(clipped(str(value), _MAX_VALUE)), _MAX_VALUE) or '""'


def unified_diff(difference: Difference) -> list[str] | None:
    """Return how a file's content would change, as the lines of a unified diff from what was found to what is wanted.

    None where there is no content to compare: not a file, not fetched, not text, or too long.
    """
    if not (isinstance(difference.found, Content) or isinstance(difference.wanted, Content)):
        return None
    found, wanted = _lines(difference.found), _lines(difference.wanted)
    if found is None or wanted is None:
        return None
    lines = difflib.unified_diff(found, wanted, "found", "wanted", n=2, lineterm="")
    return [clipped(visible_line(line[: _MAX_LINE + 1]), _MAX_LINE) for line in lines]


class ContentDiff(Struct, frozen=True):
    """How the content at a key would change: lines of a unified diff."""

    key: str
    lines: list[str]


def part(differences: Iterable[Difference]) -> tuple[list[Difference], list[ContentDiff]]:
    """Part differences into values, and contents of files that can be shown line by line."""
    values: list[Difference] = []
    contents: list[ContentDiff] = []
    for each in differences:
        lines = unified_diff(each)
        if lines:
            contents.append(ContentDiff(each.key, lines))
        else:
            values.append(each)
    return values, contents


def _lines(content: Leaf) -> list[str] | None:
    """Split a content into lines; one that is not there has none, one that was not fetched or is not text is None."""
    if content is None:
        return []
    if not isinstance(content, Content) or content.data is None:
        return None
    try:
        lines = content.data.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        return None
    if len(lines) > _MAX_LINES:
        return None
    last = lines.pop()
    return [*lines, f"{last} (no newline at the end)"] if last else lines
