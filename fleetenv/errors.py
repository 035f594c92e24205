"""Every error that fleetenv raises, as one small hierarchy.

An [`InputError`][] is the user's mistake, found before any host is touched. A [`HostError`][] is the fault of
one host: it ends that host's walk, or one task of it, and never another host's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Location(NamedTuple):
    """A place in a file that the user wrote; `line` and `column` count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class FleetenvError(Exception):
    """Base of all errors that fleetenv raises on purpose."""


class InputError(FleetenvError):
    """The user's input cannot be used: what is wrong, where, and what would be right."""

    def __init__(self, message: str, *, location: Location | None = None, hint: str | None = None) -> None:
        self.message = message
        self.location = location
        self.hint = hint
        super().__init__(message)

    def __str__(self) -> str:
        where = f"{self.location}: " if self.location else ""
        hint = f"; {self.hint}" if self.hint else ""
        return f"{where}{self.message}{hint}"


class MissingFile(InputError):
    """A file of the controller's is not there (yet: a task may be about to make it)."""


class HostError(FleetenvError):
    """A fault of one host."""


class Unreachable(HostError):
    """No connection to the host, or the connection was lost."""


class TaskFailed(HostError):
    """A task cannot do what it says on this host; the message is the line that the user sees."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return a hint that names the known word nearest to a mistyped one, or None when none is near."""
    from difflib import get_close_matches

    matches = get_close_matches(word, list(known), n=1)
    return f"did you mean '{matches[0]}'?" if matches else None
