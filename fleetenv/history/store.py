"""An open history: where all that reads it begins.

Example:
    with open_history(default_file(os.environ)) as history:
        for run in history.runs.find(kind=Kind.DRIFT, limit=10): ...
        newest = history.snapshots.latest()
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from types import TracebackType

from fleetenv.history.changes import Changes
from fleetenv.history.database import HistoryError, explained, open_database
from fleetenv.history.findings import Findings
from fleetenv.history.runs import Runs
from fleetenv.history.series import Series
from fleetenv.history.snapshots import Snapshots


class History:
    """A history that is open, for the thread that opened it. What it returns is as of each question.

    What was decoded is remembered, so that a second question is faster; a process that lives for long should open a
    history for each page or so: that takes a millisecond.
    """

    def __init__(self, file: Path, connection: sqlite3.Connection) -> None:
        self.file = file
        self.connection = connection
        self.runs = Runs(connection)
        self.snapshots = Snapshots(connection)
        self.findings = Findings(connection)
        self.changes = Changes(connection, self.snapshots)
        self.series = Series(connection, self.snapshots)

    def __enter__(self) -> History:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if isinstance(error, sqlite3.Error):  # others are not about the file: a pipe that broke
            with explained(self.file):
                raise error

    def close(self) -> None:
        """Close the file."""
        self.connection.close()


def open_history(file: Path, *, read_only: bool = False) -> History:
    """Open a history that exists, to read it.

    Args:
        file: where it is.
        read_only: an older one is not migrated, but refused; threads may take turns with the history.

    Raises:
        HistoryError: there is none, it is damaged, of a newer fleetenv, or no history.
    """
    with explained(file):
        is_there = file.exists()
    if not is_there:
        raise HistoryError(
            f"there is no history yet at {file}", hint="'apply' and 'drift' write one; --history names another file"
        )
    return History(file, open_database(file, read_only=read_only))
