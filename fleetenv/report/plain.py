"""States and differences as plain data, for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fleetenv.source import Value
from fleetenv.state import UNSET, Content, Diff, State


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
