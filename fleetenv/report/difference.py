"""One difference as text that is safe to show."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from fleetenv.report.text import visible_line
from fleetenv.state import Content, Difference, Leaf

NOTHING = "(none)"
_MAX_VALUE = 300


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
            return _shortened(", ".join(value_text(each) for each in value)) or NOTHING
        case Mapping():
            return _shortened(", ".join(f"{visible_line(str(key))}: {value_text(value[key])}" for key in value))
        case _:
            return _shortened(visible_line(str(value))) or '""'


def unified_diff(difference: Difference) -> list[str] | None:
    """Return how a file's content would change, as the lines of a unified diff from what was found to what is wanted.

    None where there is no content to compare: not a file, not fetched, or not text.
    """
    if not (isinstance(difference.found, Content) or isinstance(difference.wanted, Content)):
        return None
    found, wanted = _lines(difference.found), _lines(difference.wanted)
    if found is None or wanted is None:
        return None
    lines = difflib.unified_diff(found, wanted, "found", "wanted", n=2, lineterm="")
    return [visible_line(line) for line in lines]


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
    last = lines.pop()
    return [*lines, f"{last} (no newline at the end)"] if last else lines


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_VALUE else f"{text[: _MAX_VALUE - 3]}..."
