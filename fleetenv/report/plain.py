"""Differences as plain data, for JSON."""

from __future__ import annotations

from collections.abc import Mapping

from fleetenv.events import TaskFinished
from fleetenv.report.difference import unified_diff
from fleetenv.source import Value
from fleetenv.state import Content, Difference, Leaf


def plain_differences(event: TaskFinished) -> list[dict[str, Value]]:
    """Return all that differs, each difference as [`plain_difference`][] has it."""
    return [plain_difference(each) for each in event.diff.differences] if event.diff else []


def plain_difference(difference: Difference) -> dict[str, Value]:
    """Return `{"key", "wanted", "found"}`, and `diff`, the lines of a unified diff, where contents can be compared."""
    result: dict[str, Value] = {
        "key": difference.key,
        "wanted": plain(difference.wanted),
        "found": plain(difference.found),
    }
    lines = unified_diff(difference)
    if lines is not None:
        result["diff"] = "\n".join(lines)
    return result


def plain(value: Leaf) -> Value:
    """Return a value as JSON can hold it; a file's content is named by its hash."""
    match value:
        case Content():
            return {"sha256": value.sha256}
        case tuple():
            return [plain(each) for each in value]
        case Mapping():
            return {str(key): plain(each) for key, each in value.items()}
        case _:
            return value
