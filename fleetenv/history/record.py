"""Entering a run, and writing down what came of it: two short transactions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from fleetenv.drift.finding import Against, Finding
from fleetenv.drift.snapshot import Snapshot
from fleetenv.events import TaskRef
from fleetenv.history.blobs import Blobs
from fleetenv.history.database import HistoryError, transaction
from fleetenv.history.model import Errand, HostRun, Kind, Standing, StoredResult
from fleetenv.history.process import this_process
from fleetenv.history.snapshots import put_snapshot
from fleetenv.history.storable import encoded, storable_text
from fleetenv.severity import Severity

if TYPE_CHECKING:
    import sqlite3


class HostOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a run on one host. `findings` None: none were looked for."""

    visit: HostRun
    tasks: tuple[TaskRef, ...] = ()
    results: tuple[StoredResult, ...] = ()
    findings: Sequence[Finding] | None = None
    snapshot: Snapshot | None = None


class RunOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a run."""

    finished: datetime
    seconds: float
    exit_status: int
    hosts: Sequence[HostOutcome]
    interrupted: bool = False
    warnings: Sequence[str] = ()


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
        self._started, self._playbook, errand = row
        self._errand = msgspec.json.decode(errand, type=Errand)
        self._blobs = Blobs(connection)

    def put(self, outcome: HostOutcome) -> None:
        """Write one host."""
        visit = outcome.visit
        host = self._host(visit.host)
        put = self._blobs.put
        snapshot = None
        if outcome.snapshot is not None:
            snapshot = put_snapshot(self._connection, self._blobs, outcome.snapshot)
        findings, counts = None, Counter[Severity]()
        if outcome.findings is not None:
            kept = [_storable(each) for each in outcome.findings if each.against is not Against.TIME]
            findings = put(encoded(kept))
            counts.update(each.severity for each in kept if each.waiver is None)
            self.findings.update(counts)
            self._follow(host, kept, is_complete=visit.standing is not Standing.LOST)
        self._connection.execute(
            f"INSERT INTO visit VALUES ({', '.join('?' * 19)})",
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
            ),
        )

    def _follow(self, host: int, findings: Iterable[Finding], *, is_complete: bool) -> None:
        """Begin streaks of new findings; end those that a look at everything does not see any more."""
        connection = self._connection
        seen = {(each.code, each.subject) for each in findings}
        known: Mapping[tuple[str, str], tuple[int, str]] = {
            (code, subject): (number, owner)
            for number, code, subject, owner in connection.execute(
                "SELECT id, code, subject, playbook FROM streak WHERE host = ? AND gone IS NULL", (host,)
            ).fetchall()
        }
        connection.executemany(
            "INSERT INTO streak (host, code, subject, playbook, first_seen) VALUES (?, ?, ?, ?, ?)",
            [
                (host, code, subject, self._playbook, self._started)
                for code, subject in sorted(seen)
                if (code, subject) not in known
            ],
        )
        if is_complete and self._errand.is_whole and self._errand.kind is Kind.DRIFT:
            gone = [number for key, (number, owner) in known.items() if key not in seen and owner == self._playbook]
            connection.executemany(
                "UPDATE streak SET gone = ? WHERE id = ?", [(self._started, number) for number in gone]
            )

    def _host(self, name: str) -> int:
        name = storable_text(name)
        self._connection.execute("INSERT OR IGNORE INTO host (name) VALUES (?)", (name,))
        (number,) = self._connection.execute("SELECT id FROM host WHERE name = ?", (name,)).fetchone()
        return int(number)


def _storable(finding: Finding) -> Finding:
    """Return a finding as it is kept: what other rows say is left out, so that hosts share what they share."""
    return replace(
        finding,
        host="",
        first_seen=None,
        subject=storable_text(finding.subject),
        text=storable_text(finding.text),
        advice=storable_text(finding.advice),
    )
