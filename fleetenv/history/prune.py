"""Forgetting old runs, and all that only they had."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from fleetenv.history.database import HistoryError, transaction

if TYPE_CHECKING:
    import sqlite3

_MAY_RUN = timedelta(days=14)
"""A younger run that has not ended may still be at work: it is left alone."""

_ORPHANS = (
    "DELETE FROM visit WHERE run NOT IN (SELECT id FROM run)",
    "DELETE FROM snapshot WHERE id NOT IN (SELECT snapshot FROM visit WHERE snapshot IS NOT NULL)",
    "DELETE FROM part WHERE snapshot NOT IN (SELECT id FROM snapshot)",
    """DELETE FROM blob WHERE id NOT IN (
        SELECT blob FROM part UNION SELECT groups FROM visit
        UNION SELECT tasks FROM visit WHERE tasks IS NOT NULL
        UNION SELECT results FROM visit WHERE results IS NOT NULL
        UNION SELECT findings FROM visit WHERE findings IS NOT NULL
    )""",
    "DELETE FROM streak WHERE host NOT IN (SELECT host FROM visit)",
    "DELETE FROM streak WHERE gone <= (SELECT min(started) FROM run)",
    "DELETE FROM host WHERE id NOT IN (SELECT host FROM visit)",
)


def prune_older(connection: sqlite3.Connection, moment: datetime, now: datetime) -> int:
    """Remove the runs that started before a moment; return how many.

    Raises:
        sqlite3.Error: nothing was removed.
        HistoryError: likewise; it was not whole before.
    """
    return _prune(connection, "started < ?", moment.timestamp(), now)


def prune_to(connection: sqlite3.Connection, kept: int, now: datetime) -> int:
    """Remove all but the newest so many runs; return how many.

    Raises:
        sqlite3.Error: nothing was removed.
        HistoryError: likewise; it was not whole before.
    """
    return _prune(connection, "id NOT IN (SELECT id FROM run ORDER BY id DESC LIMIT ?)", kept, now)


def _prune(connection: sqlite3.Connection, condition: str, value: float, now: datetime) -> int:
    # SQLite would look through all visits for each blob that goes; what is left is checked once, before the commit
    connection.execute("PRAGMA foreign_keys = OFF")
    with transaction(connection):
        removed = connection.execute(
            f"DELETE FROM run WHERE {condition} AND (finished IS NOT NULL OR started < ?)",
            (value, (now - _MAY_RUN).timestamp()),
        ).rowcount
        for statement in _ORPHANS if removed else ():
            connection.execute(statement)
        if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
            raise HistoryError("the history is not whole: what its runs hold is missing")
    connection.execute("PRAGMA foreign_keys = ON")
    if removed:
        connection.execute("VACUUM")  # gives the space back to the file system
    return removed
