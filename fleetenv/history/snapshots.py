"""Snapshots in the store: cut into parts that hosts and days share, and put together again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from fleetenv.drift.snapshot import Path, Plain, Snapshot
from fleetenv.history.blobs import Blobs
from fleetenv.history.clock import local
from fleetenv.history.model import HostSnapshot
from fleetenv.history.parts import WHOLE

if TYPE_CHECKING:
    import sqlite3

_TAKEN = """
    SELECT host.name, visit.run, run.started, visit.snapshot FROM visit
    JOIN host ON host.id = visit.host JOIN run ON run.id = visit.run
"""


_Row: TypeAlias = tuple[str, int, float, int]  # host, run, started, snapshot

_REMEMBERED = 5000  # decoded parts: at most some 100 MB


class Step(msgspec.Struct, frozen=True):
    """A snapshot that is not decoded yet, and the run that took it. `parts` are blobs, by section and name."""

    run: int
    taken: datetime
    parts: Mapping[str, Mapping[str, int]]


class Snapshots:
    """The snapshots of one open history. Decoded parts are remembered, and shared by what is returned."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._blobs = Blobs(connection)
        self._decoded: dict[int, Plain] = {}
        self._snapshots: dict[tuple[int, frozenset[str] | None], Snapshot] = {}

    def latest(
        self,
        hosts: Iterable[str] | None = None,
        *,
        before: int | None = None,
        sections: frozenset[str] | None = None,
    ) -> dict[str, HostSnapshot]:
        """Return the newest snapshot of each host (of `hosts`, else of all), by name.

        Args:
            hosts: only these.
            before: only from runs before this number: how hosts were when that run began.
            sections: only these of each snapshot, which is faster; None: all.
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
        return {row[0]: self._made(row, sections) for row in rows if chosen is None or row[0] in chosen}

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

    def steps(self, host: str, *, after: int = 0, before: int | None = None) -> list[Step]:
        """Return when a host's snapshots became others, between two runs, the oldest first; nothing is decoded."""
        rows = self._connection.execute(
            _TAKEN
            + """WHERE visit.host = (SELECT id FROM host WHERE name = ?) AND visit.run > ? AND visit.run < ?
            AND visit.snapshot IS NOT NULL ORDER BY visit.run""",
            (host, after, _or_all(before)),
        )
        return [Step(run, local(started), self._parts_of(number)) for _, run, started, number in _changed(rows)]

    def value(self, step: Step, path: Path) -> Plain | UnsetType:
        """Return a value of a snapshot; None: there is nothing, UNSET: its whole section was not looked at."""
        names = step.parts.get(path[0])
        if names is None:
            return UNSET
        if WHOLE in names:
            return value_at(self._part(names[WHOLE]), path[1:])
        if len(path) == 1:
            return {name: self._part(blob) for name, blob in names.items()}
        return value_at(self._part(names[path[1]]), path[2:]) if path[1] in names else None

    def _made(self, row: _Row, sections: frozenset[str] | None = None) -> HostSnapshot:
        host, run, started, number = row
        return HostSnapshot(host, run, local(started), self._snapshot(number, sections))

    def _snapshot(self, number: int, sections: frozenset[str] | None = None) -> Snapshot:
        key = (number, sections)
        if key not in self._snapshots:
            self._snapshots[key] = {
                section: self._part(names[WHOLE])
                if WHOLE in names
                else {name: self._part(blob) for name, blob in names.items()}
                for section, names in self._parts_of(number).items()
                if sections is None or section in sections
            }
        return self._snapshots[key]

    def _parts_of(self, snapshot: int) -> dict[str, dict[str, int]]:
        """Return the blobs of a snapshot, by section and name."""
        rows = self._connection.execute(
            "SELECT section, name, blob FROM part WHERE snapshot = ? ORDER BY section, name", (snapshot,)
        )
        parts: dict[str, dict[str, int]] = {}
        for section, name, blob in rows:
            parts.setdefault(section, {})[name] = blob
        return parts

    def _part(self, number: int) -> Plain:
        part = self._decoded.get(number)
        if part is None:
            part = msgspec.json.decode(self._blobs.get(number))
            if len(self._decoded) >= _REMEMBERED:
                self._decoded.clear()
            self._decoded[number] = part
        return part


def value_at(value: Plain, path: Path) -> Plain:
    """Return what is at a path within a value, or None where there is nothing."""
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            return None
        value = value[key]
    return value


def _changed(rows: Iterable[_Row]) -> Iterator[_Row]:
    """Yield the rows whose snapshot is another than that of the row before."""
    last = None
    for row in rows:
        if row[3] != last:
            yield row
        last = row[3]


def _or_all(before: int | None) -> int:
    return before if before is not None else 2**62
