"""States and differences as plain data for JSON, and as lines for people."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from fleetenv.report.text import visible_line
from fleetenv.source import Value
from fleetenv.state import UNSET, Content, Diff, Difference, State


def plain(value: object) -> Value:
    """Return a state, or a part of one, as JSON can hold it."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Content():
            text = None if value.data is None else value.data.decode("utf-8", "replace")
            return {"sha256": value.sha256, "text": text}
        case State():
            fields = ((name, getattr(value, name)) for name in value.__struct_fields__)
            return {name: plain(each) for name, each in fields if each is not UNSET}
        case Mapping():
            return {str(key): plain(each) for key, each in value.items()}
        case tuple() | list():
            return [plain(each) for each in value]
        case _:
            return str(value)


def plain_diff(diff: Diff[Any] | None) -> list[Value]:
    """Return the differences as a list of `{"key", "wanted", "found"}`; empty when there are none."""
    if diff is None:
        return []
    return [{"key": each.key, "wanted": plain(each.wanted), "found": plain(each.found)} for each in diff.differences]


def diff_lines(diff: Diff[Any]) -> Iterator[str]:
    """Yield lines that show a diff: contents as a unified diff, everything else as `key: found -> wanted`."""
    for each in diff.differences:
        if isinstance(each.wanted, Content) or isinstance(each.found, Content):
            yield from _content_lines(each)
        else:
            yield f"{each.key}: {_short(each.found)} -> {_short(each.wanted)}"


def _content_lines(difference: Difference) -> Iterator[str]:
    before, after = (_text(each) for each in (difference.found, difference.wanted))
    if before is None or after is None:
        yield f"{difference.key}: {_short(difference.found)} -> {_short(difference.wanted)}"
        return
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "found", "wanted", lineterm="")
    yield from (visible_line(line) for line in lines)


def _text(content: object) -> str | None:
    """Return a content as text; an absent file is empty, one that was not fetched or is not text is None."""
    if not isinstance(content, Content):
        return ""
    try:
        return None if content.data is None else content.data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _short(value: object) -> str:
    match value:
        case None:
            return "(none)"
        case Content():
            return f"content {value.sha256[:12]}"
        case tuple() | list():
            return visible_line(", ".join(str(each) for each in value)) or "(none)"
        case _:
            return visible_line(str(value))
