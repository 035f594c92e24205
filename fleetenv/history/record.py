"""Entering a run, and writing down what came of it: two short transactions."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from fleetenv.history.blobs import Blobs
from fleetenv.history.database import HistoryError, transaction
from fleetenv.history.errand import Errand
from fleetenv.history.outcome import HostOutcome, RunOutcome, Standing
from fleetenv.history.parts import put_snapshot
from fleetenv.history.process import this_process
from fleetenv.history.storable import encoded, storable_text
from fleetenv.severity import Severity

if TYPE_CHECKING:
    import sqlite3


def enter_run(connection: sqlite3.Connection, errand: Errand, started: datetime) -> int:
    """Enter a run that begins, and return its number.

    Raises:
        sqlite3.Error: it could not be written.
    """
    with transaction(connection):
        number = connection.execute(
            "INSERT INTO run (kind, playbook, started, process, errand) VALUES (?, ?, ?, ?, ?)",
            (
                str(errand.kind),
                storable_text(errand.playbook.place or errand.playbook.path),
                started.timestamp(),
                this_process(),
                encoded(errand).decode(),
            ),
        ).lastrowid
    assert number is not None  # an INSERT has one
    return number


def finish_run(connection: sqlite3.Connection, number: int, outcome: RunOutcome) -> None:
    """Write down what came of a run, all or nothing.

    Raises:
        sqlite3.Error: it could not be written.
        HistoryError: somebody pruned it meanwhile.
    """
    with transaction(connection):
        writer = _Writer(connection, number)
        for host in outcome.hosts:
            writer.put(host)
        standings = Counter(each.visit.standing for each in outcome.hosts)
        connection.execute(
            """UPDATE run SET finished = ?, seconds = ?, exit_status = ?, interrupted = ?, warnings = ?, hosts = ?,
            lost = ?, failed = ?, changed = ?, same = ?, error_findings = ?, warning_findings = ?, note_findings = ?
            WHERE id = ?""",
            (
                outcome.finished.timestamp(),
                outcome.seconds,
                outcome.exit_status,
                outcome.interrupted,
                msgspec.json.encode([storable_text(each) for each in outcome.warnings]).decode(),
                len(outcome.hosts),
                standings[Standing.LOST],
                standings[Standing.FAILED],
                standings[Standing.CHANGED],
                standings[Standing.SAME],
                *(writer.findings[severity] for severity in (Severity.ERROR, Severity.WARNING, Severity.NOTE)),
                number,
            ),
        )


class _Writer:
    """Writes the hosts of one run, inside a transaction."""

    def __init__(self, connection: sqlite3.Connection, run: int) -> None:
        self.findings: Counter[Severity] = Counter()
        self._connection = connection
        self._run = run
        row = connection.execute("SELECT started, playbook, errand FROM run WHERE id = ?", (run,)).fetchone()
        if row is None:
            raise HistoryError(f"run {run} was pruned before it ended")
        self._started, self._playbook, written = row
        errand = msgspec.json.decode(written, type=Errand)
        self._is_whole = errand.is_whole
        self._blobs = Blobs(connection)

    def put(self, outcome: HostOutcome) -> None:
        """Write one host."""
        visit = outcome.visit
        host = self._host(visit.host)
        put = self._blobs.put
        came_to_end = not outcome.early and visit.standing is not Standing.LOST
        snapshot = None
        if outcome.snapshot is not None:
            snapshot = put_snapshot(self._connection, self._blobs, outcome.snapshot)
        findings, counts = None, Counter[Severity]()
        if outcome.findings is not None:
            from fleetenv.history.streaks import Look, follow, kept_findings

            kept = kept_findings(outcome.findings)
            findings = put(encoded(kept))
            counts.update(each.severity for each in kept if each.waiver is None)
            self.findings.update(counts)
            follow(self._connection, host, kept, Look(self._playbook, self._started, self._is_whole and came_to_end))
        self._connection.execute(
            f"INSERT INTO visit VALUES ({', '.join('?' * 20)})",
            (
                self._run,
                host,
                str(visit.standing),
                visit.ok,
                visit.changed,
                visit.failed,
                visit.skipped,
                visit.rescued,
                visit.ignored,
                None if visit.lost is None else storable_text(visit.lost),
                visit.seconds,
                put(encoded(visit.groups)),
                put(encoded(outcome.tasks)),
                put(encoded(outcome.results)),
                findings,
                counts[Severity.ERROR],
                counts[Severity.WARNING],
                counts[Severity.NOTE],
                snapshot,
                self._is_whole,
            ),
        )

    def _host(self, name: str) -> int:
        name = storable_text(name)
        self._connection.execute("INSERT OR IGNORE INTO host (name) VALUES (?)", (name,))
        (number,) = self._connection.execute("SELECT id FROM host WHERE name = ?", (name,)).fetchone()
        return int(number)
