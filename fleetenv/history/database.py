"""Opening the history's file: made on first use, migrated when it is older, refused when it is newer or no history.

The journal is SQLite's rollback journal, not WAL: homes are often on NFS, where WAL's shared memory does not work.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from fleetenv.errors import InputError
from fleetenv.history.schema import APPLICATION, MIGRATIONS, VERSION

_HINTS = {
    "unable to open": "see that it is a file that you may read: only its owner can, who began it",
    "locked": "another process has been writing to it for long",
    # who only reads may not roll back what a killed process left half-written: https://www.sqlite.org/lockingv3.html
    "readonly database": "if a run was killed while it wrote, 'fleetenv history' mends it",
}
_WAIT = 10.0  # seconds for another process to finish writing; one run's writing takes well under one


class HistoryError(InputError):
    """The history cannot be opened, read or written: which file, why, and what would help."""


def open_database(file: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open a history, for one thread; an empty one is made where there is none.

    Args:
        file: where it is.
        read_only: nothing is made, migrated or written, and threads may take turns with the connection.

    Raises:
        HistoryError: it is damaged, of a newer fleetenv, no history, or cannot be opened or made; read only: it is of
            an older fleetenv.
    """
    with explained(file):
        if not read_only:
            _make(file)
        mode = "rw" if os.access(file, os.W_OK) and not read_only else "ro"
        connection = sqlite3.connect(
            f"file:{quote(str(file.absolute()))}?mode={mode}",
            uri=True,
            timeout=_WAIT,
            isolation_level=None,
            check_same_thread=not read_only,
        )
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA trusted_schema = OFF")  # nothing in the file is code to run
            if read_only:
                _refuse_older(connection, file)
            else:
                _migrate(connection, file)
        except BaseException:
            connection.close()
            raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Write all or nothing; waits until no other process writes."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:  # SQLite ends some by itself: when the disk is full, for one
            connection.execute("ROLLBACK")


@contextmanager
def explained(file: Path) -> Iterator[None]:
    """Say in the user's words what SQLite, or the file system, did not do.

    Raises:
        HistoryError: instead of `sqlite3.Error` and `OSError`.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        hint = next((hint for words, hint in _HINTS.items() if words in str(error)), None)
        raise HistoryError(f"cannot use the history {file}: {error}", hint=hint) from error
    except sqlite3.DatabaseError as error:
        raise HistoryError(
            f"the history {file} is damaged or no history: {error}", hint="move it away, and a new one is begun"
        ) from error
    except OSError as error:
        raise HistoryError(f"cannot open the history {file}: {error.strerror}") from error


def _make(file: Path) -> None:
    """Make an empty file that only its owner can read: it tells who did what on which machine."""
    if file.exists():
        return
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))


def _migrate(connection: sqlite3.Connection, file: Path) -> None:
    version = _version(connection, file)
    if version == VERSION:
        return
    with transaction(connection):
        version = _version(connection, file)  # another process may have been first
        for number, script in enumerate(MIGRATIONS[version:], version + 1):
            for statement in script.split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
        connection.execute(f"PRAGMA application_id = {APPLICATION}")


def _refuse_older(connection: sqlite3.Connection, file: Path) -> None:
    version = _version(connection, file)
    if version < VERSION:
        raise HistoryError(
            f"the history {file} is of an older fleetenv (its format is {version}, this one reads {VERSION})",
            hint="'fleetenv history' brings it up to date",
        )


def _version(connection: sqlite3.Connection, file: Path) -> int:
    # In one statement, and so at one moment: another process may be making it.
    version, application, tables = connection.execute(
        "SELECT user_version, application_id, (SELECT count(*) FROM sqlite_master)"
        " FROM pragma_user_version, pragma_application_id"
    ).fetchone()
    if application != APPLICATION and (application or version or tables):
        raise HistoryError(f"{file} is a database of another program's", hint="name another file with --history")
    if version > VERSION:
        raise HistoryError(
            f"the history {file} is of a newer fleetenv (its format is {version}, this one knows up to {VERSION})",
            hint="update fleetenv, or name another file with --history",
        )
    assert isinstance(version, int)
    return version
