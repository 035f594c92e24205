"""Runs in the store: which there were, each one's hosts, and each host's results."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from fleetenv.errors import InputError
from fleetenv.events import TaskRef
from fleetenv.history.blobs import Blobs
from fleetenv.history.clock import local
from fleetenv.history.model import (
    Errand,
    HostRun,
    Kind,
    Run,
    RunState,
    Standing,
    StoredResult,
    Tally,
    TaskResult,
)
from fleetenv.history.process import is_alive, is_of_this_machine

if TYPE_CHECKING:
    import sqlite3

Since: TypeAlias = "int | datetime"
"""A run's number, or a moment."""

_RUN = """
    SELECT id, started, finished, seconds, exit_status, interrupted, process, errand, warnings,
    hosts, lost, failed, changed, same, error_findings, warning_findings, note_findings FROM run
"""
_VISITED = """
    EXISTS (SELECT 1 FROM visit WHERE visit.run = run.id AND visit.host IN
    (SELECT id FROM host WHERE name IN (SELECT value FROM json_each(?))))
"""
_AGO = re.compile(r"([0-9]{1,5})([hdw])")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


class Runs:
    """The runs of one open history."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._blobs = Blobs(connection)
        self._groups: dict[int, tuple[str, ...]] = {}

    def find(
        self,
        *,
        hosts: Iterable[str] | None = None,
        playbook: str | None = None,
        kind: Kind | None = None,
        since: Since | None = None,
        until: datetime | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> list[Run]:
        """Return runs, the newest first.

        Args:
            hosts: only those that went to one of these hosts.
            playbook: only of this one, as [`playbooks`][] names it: an `Origin.place`.
            kind: only of this kind.
            since: from this run on, or started at this moment or later.
            until: started before this moment.
            limit: at most so many.
            offset: passing over so many.
        """
        conditions: list[tuple[str, str | int | float]] = []
        if hosts is not None:
            conditions.append((_VISITED, msgspec.json.encode(list(hosts)).decode()))
        if playbook is not None:
            conditions.append(("playbook = ?", playbook))
        if kind is not None:
            conditions.append(("kind = ?", str(kind)))
        if isinstance(since, datetime):
            conditions.append(("started >= ?", since.timestamp()))
        elif since is not None:
            conditions.append(("id >= ?", since))
        if until is not None:
            conditions.append(("started < ?", until.timestamp()))
        where = f"WHERE {' AND '.join(text for text, _ in conditions)}" if conditions else ""
        values = [value for _, value in conditions]
        rows = self._connection.execute(f"{_RUN} {where} ORDER BY id DESC LIMIT ? OFFSET ?", (*values, limit, offset))
        return [_run(row) for row in rows]

    def get(self, number: int) -> Run:
        """Return one run.

        Raises:
            InputError: there is none of this number (any more).
        """
        row = self._connection.execute(f"{_RUN} WHERE id = ?", (number,)).fetchone()
        if row is None:
            raise InputError(f"there is no run {number}", hint="'fleetenv history' lists them")
        return _run(row)

    def resolve(self, text: str, *, before: int | None = None) -> int:
        """Return the number of the run that a user means: `17`, `last`, `last-1`, or the beginning of when it started.

        Args:
            text: what the user wrote.
            before: `last` is the newest before this run, which is the user's own.

        Raises:
            InputError: there is no such run, or several started so.
        """
        last = re.fullmatch(r"last(?:-([0-9]{1,9}))?", text)
        if last:
            row = self._connection.execute(
                "SELECT id FROM run WHERE id < ? ORDER BY id DESC LIMIT 1 OFFSET ?",
                (before or 2**62, int(last[1] or 0)),
            ).fetchone()
            if row is None:
                raise InputError(f"there is no run '{text}': the history does not go so far back")
            return int(row[0])
        if text.isascii() and text.isdigit():
            return self.get(int(text[:18])).number
        return self._started(text)

    def since(self, text: str, *, before: int | None = None) -> Since:
        """Return what a user means by RUN or DATE: as [`resolve`][], or `2026-11-21`, `36h`, `7d`, `2w`.

        Raises:
            InputError: it is neither.
        """
        if moment := _moment(text):
            if moment > datetime.now().astimezone():
                raise InputError(f"{text} lies in the future, and what was seen lies in the past")
            return moment
        try:
            return self.resolve(text, before=before)
        except InputError as error:
            if error.hint or "history" in error.message:
                raise
            raise InputError(
                f"'{text}' is neither a run nor a date",
                hint="17, last, last-1, 2026-11-21, 2026-11-21T18:00, 36h, 7d, 2w",
            ) from error

    def hosts(self, run: int) -> list[HostRun]:
        """Return the hosts of one run, by name."""
        return self._visits("WHERE visit.run = ? ORDER BY host.name", (run,))

    def host(self, run: int, host: str) -> HostRun | None:
        """Return one host of one run, or None where the run did not go there."""
        found = self._visits("WHERE visit.run = ? AND visit.host = (SELECT id FROM host WHERE name = ?)", (run, host))
        return found[0] if found else None

    def of_host(self, host: str, *, limit: int = 50, offset: int = 0) -> list[HostRun]:
        """Return how one host fared, the newest run first."""
        where = "WHERE visit.host = (SELECT id FROM host WHERE name = ?) ORDER BY visit.run DESC LIMIT ? OFFSET ?"
        return self._visits(where, (host, limit, offset))

    def latest(self, *, looked: bool = False) -> list[HostRun]:
        """Return how each host fared in the last run that went to it, by name.

        `looked`: in the last that looked for findings, for all of them if there is one (as `Findings.open`).
        """
        which = "AND findings IS NOT NULL ORDER BY whole DESC, run DESC" if looked else "ORDER BY run DESC"
        return self._visits(
            f"""WHERE (visit.host, visit.run) IN (SELECT id, (SELECT run FROM visit
            WHERE host = host_.id {which} LIMIT 1) FROM host AS host_) ORDER BY host.name""",
            (),
        )

    def results(self, run: int, host: str) -> list[TaskResult]:
        """Return how each task ended on one host in one run, in the order in which they did."""
        row = self._connection.execute(
            "SELECT tasks, results FROM visit WHERE run = ? AND host = (SELECT id FROM host WHERE name = ?)",
            (run, host),
        ).fetchone()
        if row is None or row[0] is None:
            return []
        tasks = msgspec.json.decode(self._blobs.get(row[0]), type=tuple[TaskRef, ...])
        stored = msgspec.json.decode(self._blobs.get(row[1]), type=tuple[StoredResult, ...])
        return [
            TaskResult(
                task=tasks[each.task],
                status=each.status,
                item=each.item,
                msg=each.msg,
                differences=each.differences,
                simulated=each.simulated,
            )
            for each in stored
        ]

    def known_hosts(self) -> list[str]:
        """Return the names of all hosts that any run went to."""
        return [name for (name,) in self._connection.execute("SELECT name FROM host ORDER BY name")]

    def playbooks(self) -> list[str]:
        """Return all playbooks there were runs of, each as an `Origin.place`."""
        return [path for (path,) in self._connection.execute("SELECT DISTINCT playbook FROM run ORDER BY playbook")]

    def _started(self, text: str) -> int:
        """Return the one run whose start, written as ISO 8601 in local time, begins with `text`."""
        wanted = text.replace(" ", "T")
        if not re.fullmatch(r"[0-9]{4}-[0-9T:.-]*", wanted):
            raise InputError(f"there is no run '{text}'")
        rows = self._connection.execute("SELECT id, started FROM run ORDER BY id DESC").fetchall()
        found = [number for number, started in rows if datetime.fromtimestamp(started).isoformat().startswith(wanted)]
        if not found:
            raise InputError(f"no run started at '{text}'", hint="'fleetenv history' lists them")
        if len(found) > 1:
            numbers = ", ".join(map(str, found[:5]))
            raise InputError(
                f"{len(found)} runs started at {text}: {numbers}{', ...' * (len(found) > 5)}", hint="name one"
            )
        return int(found[0])

    def _visits(self, where: str, values: tuple[str | int, ...]) -> list[HostRun]:
        rows = self._connection.execute(
            """SELECT visit.run, host.name, standing, ok, changed, failed, skipped, rescued, ignored, lost, seconds,
            groups, errors, warnings, notes, snapshot FROM visit JOIN host ON host.id = visit.host """
            + where,
            values,
        )
        return [
            HostRun(
                run=row[0],
                host=row[1],
                standing=Standing(row[2]),
                ok=row[3],
                changed=row[4],
                failed=row[5],
                skipped=row[6],
                rescued=row[7],
                ignored=row[8],
                lost=row[9],
                seconds=row[10],
                groups=self._named_groups(row[11]),
                errors=row[12],
                warnings=row[13],
                notes=row[14],
                has_snapshot=row[15] is not None,
            )
            for row in rows.fetchall()
        ]

    def _named_groups(self, blob: int) -> tuple[str, ...]:
        if blob not in self._groups:
            self._groups[blob] = msgspec.json.decode(self._blobs.get(blob), type=tuple[str, ...])
        return self._groups[blob]


def _moment(text: str) -> datetime | None:
    """Return the moment that a date, or `36h`, means; None: it is neither."""
    try:
        if ago := _AGO.fullmatch(text):
            return datetime.now().astimezone() - int(ago[1]) * _UNITS[ago[2]]
        return None if text.isdigit() else datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        return None


_Row: TypeAlias = "tuple[int, float, float | None, float | None, int | None, int, str, str, str, int, int, int, int, int, int, int, int]"  # noqa: E501


def _run(row: _Row) -> Run:
    number, started, finished, seconds, status, interrupted, process, errand, warnings, *counts = row
    return Run(
        number=number,
        errand=msgspec.json.decode(errand, type=Errand),
        state=_state(finished is not None, bool(interrupted), process),
        started=local(started),
        finished=None if finished is None else local(finished),
        seconds=seconds,
        exit_status=status,
        tally=Tally(*counts),
        warnings=msgspec.json.decode(warnings, type=tuple[str, ...]),
    )


def _state(finished: bool, interrupted: bool, process: str) -> RunState:
    if finished:
        return RunState.INTERRUPTED if interrupted else RunState.FINISHED
    if not is_of_this_machine(process):
        return RunState.UNFINISHED
    return RunState.RUNNING if is_alive(process) else RunState.DIED
