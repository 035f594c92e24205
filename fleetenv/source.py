"""What the user wrote, and where: values that remember it.

They are ordinary `str`, `dict` and `list`, of subclasses that also know their [`Location`][], so that an error found
much later still names file, line and column. [`fleetenv.source_yaml`][] reads them.

The subclass matters for safety, too: only [`SourceText`][] is ever evaluated as a template. Text that came from
anywhere else, a host above all, is a plain `str` and stays as it is.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TypeAlias

from fleetenv.errors import Location

Value: TypeAlias = "bool | int | float | str | datetime.date | list[Value] | dict[str, Value] | None"
"""What a variable, an argument or a setting can be."""


class SourceText(str):
    """A string that the user wrote: the only kind that may be evaluated as a template."""

    __slots__ = ("location",)
    location: Location

    def __new__(cls, text: str, location: Location) -> SourceText:
        """Mark `text` as written at `location`."""
        self = super().__new__(cls, text)
        self.location = location
        return self

    def __reduce__(self) -> tuple[type[SourceText], tuple[str, Location]]:
        """What a copy is made from."""
        return SourceText, (str(self), self.location)


class SourceList(list[Value]):
    """A YAML sequence; `items_at[i]` is where item `i` was written."""

    __slots__ = ("items_at", "location")

    def __init__(self, location: Location) -> None:
        super().__init__()
        self.location = location
        self.items_at: list[Location] = []


class SourceMap(dict[str, Value]):
    """A YAML mapping; `keys_at[k]` and `values_at[k]` are where a key and its value were written."""

    __slots__ = ("keys_at", "location", "values_at")

    def __init__(self, location: Location) -> None:
        super().__init__()
        self.location = location
        self.keys_at: dict[str, Location] = {}
        self.values_at: dict[str, Location] = {}


def shown(path: Path) -> str:
    """Return a path as errors show it: short where it is below the folder that one is in."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
