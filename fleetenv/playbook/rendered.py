"""What templates give: checked to be values, and with the places of what was written."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, cast

from fleetenv.playbook.reading import HostScopes, Omit, RawVariables, is_template, plain
from fleetenv.source import SourceMap, SourceText

_PLAIN = (bool, int, float, datetime.date, Omit)


def holds_template(value: object) -> bool:
    """Whether there is anything to render in a value."""
    if isinstance(value, str):
        return isinstance(value, SourceText) and is_template(value)
    if isinstance(value, RawVariables | HostScopes):
        return False  # they render themselves when they are read
    if isinstance(value, Mapping):
        return any(holds_template(key) or holds_template(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return any(map(holds_template, value))
    return False


def located(rendered: dict[Any, Any], source: SourceMap) -> SourceMap:
    """Keep the places of a mapping's keys and values, so that what is wrong with them can be shown where it is."""
    result = SourceMap(source.location)
    result.update(rendered)
    result.keys_at, result.values_at = source.keys_at, source.values_at
    return result


def checked_value(value: object) -> object:
    """Check that a result is a value; text of Jinja's own kind becomes ordinary text."""
    if value is None or isinstance(value, _PLAIN):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key) if isinstance(key, str) else key: checked_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple | range | set | frozenset) or hasattr(value, "__next__"):
        return [checked_value(item) for item in cast(Any, value)]
    if type(value).__name__ in {"dict_keys", "dict_values", "dict_items", "KeysView", "ValuesView", "ItemsView"}:
        return [checked_value(plain(item)) for item in cast(Any, value)]
    raise TypeError(f"a {type(value).__name__}")


def ended(result: object, source: str) -> object:
    """Give a text the newlines at its end that its source has: Jinja drops the last."""
    if not isinstance(result, str) or not source.endswith("\n"):
        return result
    return result + "\n" * (_newlines(source) - _newlines(result))


def _newlines(text: str) -> int:
    return len(text) - len(text.rstrip("\n"))


def shortened(text: str) -> str:
    """Return a text as one line of a message."""
    line = " ".join(text.split())
    return line if len(line) <= 80 else line[:77] + "..."
