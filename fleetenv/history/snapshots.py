"""Snapshots in the store: cut into parts that hosts and days share, and put together again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from fleetenv.drift.snapshot import Plain, Snapshot
from fleetenv.history.blobs import Blobs
from fleetenv.history.model import HostSnapshot
from fleetenv.history.parts import WHOLE

if TYPE_CHECKING:
    import sqlite3

_TAKEN = """
    SELECT host.name, visit.run, run.started, visit.snapshot FROM visit
    JOIN host ON host.id = visit.host JOIN run ON run.id = visit.run
"""


class Snapshots:
    """The snapshots of one open history. Decoded parts are remembered, and shared by what is returned."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._blobs = Blobs(connection)
        self._parts: dict[int, Plain] = {}
        self._snapshots: dict[int, Snapshot] = {}

    def latest(self, hosts: Iterable[str] | None = None, *, before: int | None = None) -> dict[str, HostSnapshot]:
        """Return the newest snapshot of each host (of `hosts`, else of all), by name.

        Args:
            hosts: only these.
            before: only from runs before this number: how hosts were when that run began.
        """
        rows = self._connection.execute(
            _TAKEN
            + """WHERE (visit.host, visit.run) IN (
                SELECT id, (SELECT max(run) FROM visit WHERE host = host_.id AND run < ? AND snapshot IS NOT NULL)
                FROM host AS host_
            ) ORDER BY host.name""",
            (_or_all(before),),
        ).fetchall()
        chosen = None if hosts is None else set(hosts)
        return {row[0]: self._made(row) for row in rows if chosen is None or row[0] in chosen}

    def at(self, moment: datetime, hosts: Iterable[str] | None = None) -> dict[str, HostSnapshot]:
        """Return each host's snapshot as of a moment: the newest of a run that had started by then."""
        row = self._connection.execute("SELECT min(id) FROM run WHERE started > ?", (moment.timestamp(),)).fetchone()
        return self.latest(hosts, before=row[0])

    def of_run(self, run: int) -> dict[str, HostSnapshot]:
        """Return the snapshots that one run took, by host."""
        rows = self._connection.execute(
            _TAKEN + "WHERE visit.run = ? AND visit.snapshot IS NOT NULL ORDER BY host.name", (run,)
        ).fetchall()
        return {row[0]: self._made(row) for row in rows}

    def first(self, host: str) -> HostSnapshot | None:
        """Return the oldest snapshot of a host, or None where none was taken."""
        row = self._connection.execute(
            _TAKEN
            + """WHERE visit.host = (SELECT id FROM host WHERE name = ?) AND visit.snapshot IS NOT NULL
            ORDER BY visit.run LIMIT 1""",
            (host,),
        ).fetchone()
        return None if row is None else self._made(row)

    def of_host(self, host: str, *, since: int = 0, limit: int = 1000, distinct: bool = True) -> list[HostSnapshot]:
        """Return a host's snapshots, the oldest first.

        Args:
            host: its name in the inventory.
            since: from this run on.
            limit: the newest so many.
            distinct: only those that differ from the one before.
        """
        rows = self._connection.execute(
            _TAKEN
            + """WHERE visit.host = (SELECT id FROM host WHERE name = ?) AND visit.run >= ?
            AND visit.snapshot IS NOT NULL ORDER BY visit.run""",
            (host, since),
        )
        kept = [*_changed(rows)] if distinct else rows.fetchall()
        return [self._made(row) for row in kept[-limit:]]

    def _made(self, row: tuple[str, int, float, int]) -> HostSnapshot:
        host, run, started, number = row
        return HostSnapshot(host, run, datetime.fromtimestamp(started).astimezone(), self._snapshot(number))

    def _snapshot(self, number: int) -> Snapshot:
        if number not in self._snapshots:
            rows = self._connection.execute(
                "SELECT section, name, blob FROM part WHERE snapshot = ? ORDER BY section, name", (number,)
            )
            snapshot: Snapshot = {}
            for section, name, blob in rows:
                if name == WHOLE:
                    snapshot[section] = self._part(blob)
                    continue
                things = snapshot.setdefault(section, {})
                assert isinstance(things, dict)  # a section is cut, or it is not
                things[name] = self._part(blob)
            self._snapshots[number] = snapshot
        return self._snapshots[number]

    def _part(self, number: int) -> Plain:
        if number not in self._parts:
            part: Plain = msgspec.json.decode(self._blobs.get(number))
            self._parts[number] = part
        return self._parts[number]


def _changed(rows: Iterable[tuple[str, int, float, int]]) -> Iterator[tuple[str, int, float, int]]:
    last = None
    for row in rows:
        if row[3] != last:
            yield row
        last = row[3]


def _or_all(before: int | None) -> int:
    return before if before is not None else 2**62
