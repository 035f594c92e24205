"""The history's file as the dashboard reads it: never written, one reader at a time, followed while runs are added."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fleetenv.history.database import explained
from fleetenv.history.store import History, open_history

_MOST_READINGS = 500
"""After so many pages the history is opened anew: it remembers all that it ever decoded."""


class Archive:
    """A history that several threads read, one after the other.

    It stays open while nothing is written to it, so that what was decoded for one page serves the next.
    """

    def __init__(self, file: Path) -> None:
        """Open it.

        Raises:
            HistoryError: there is none, it is damaged, of another version of fleetenv, or cannot be read.
        """
        self.file = file
        self._lock = threading.Lock()
        self._history: History | None = None
        self._identity: tuple[int, int] | None = None
        self._written = 0
        self._readings = 0
        self._state = 0
        with self.reading():
            pass

    @contextmanager
    def reading(self) -> Iterator[tuple[History, int]]:
        """Give the history, which stays as it is meanwhile, and a number that is another one after it was written to.

        Raises:
            HistoryError: it is not there (any more), or cannot be read.
        """
        with self._lock, explained(self.file):
            history = self._begin()
            try:
                yield history, self._state
            finally:
                history.connection.execute("ROLLBACK")

    def _begin(self) -> History:
        """Begin to read: with what is open already, unless that remembers what is not so any more."""
        identity = _identity(self.file)
        history, self._history = self._history, None  # an error on the way leaves none open
        if history is not None:
            if identity == self._identity and self._readings < _MOST_READINGS:
                if _hold(history) == self._written:
                    self._readings += 1
                    self._history = history
                    return history
                history.connection.execute("ROLLBACK")
            history.close()
        history = open_history(self.file, read_only=True)
        self._written = _hold(history)
        self._identity, self._readings = identity, 1
        self._state += 1
        self._history = history
        return history


def _hold(history: History) -> int:
    """Begin a transaction that sees one state, and return what tells, for this connection, whether others wrote."""
    history.connection.execute("BEGIN")
    history.connection.execute("SELECT 1 FROM run LIMIT 1").fetchone()  # only now the file is locked against writing
    (version,) = history.connection.execute("PRAGMA data_version").fetchone()
    return int(version)


def _identity(file: Path) -> tuple[int, int] | None:
    """Return what tells a file from another one that took its name; None: there is none, as opening it will say."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
