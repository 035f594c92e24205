"""Snapshots in the store: cut into parts that hosts and days share, and put together again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from fleetenv.drift.snapshot import Plain, Snapshot
from fleetenv.history.blobs import Blobs
from fleetenv.history.model import HostSnapshot
from fleetenv.history.storable import encoded, storable_text

if TYPE_CHECKING:
    import sqlite3

_WHOLE = ""  # the name of the one part of a section that is not cut

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
                if name == _WHOLE:
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


def put_snapshot(connection: sqlite3.Connection, blobs: Blobs, snapshot: Snapshot) -> int:
    """Keep a snapshot, and return its number; equal ones have the same. Inside a transaction."""
    parts = []
    whole = hashlib.sha256()
    for section, name, part in _cut(snapshot):
        data = encoded(part)
        digest = hashlib.sha256(data).digest()
        whole.update(msgspec.json.encode((section, name)) + digest)
        parts.append((section, name, digest, data))
    found = connection.execute("SELECT id FROM snapshot WHERE digest = ?", (whole.digest(),)).fetchone()
    if found is not None:
        return int(found[0])
    number = connection.execute("INSERT INTO snapshot (digest) VALUES (?)", (whole.digest(),)).lastrowid
    assert number is not None  # an INSERT has one
    connection.executemany(
        "INSERT OR IGNORE INTO part VALUES (?, ?, ?, ?)",
        [(number, section, name, blobs.put_digested(digest, data)) for section, name, digest, data in parts],
    )
    return number


def _cut(snapshot: Snapshot) -> Iterator[tuple[str, str, Plain]]:
    """Yield section, name and content of the parts; a section that holds named things of fields is cut into those."""
    for section in sorted(snapshot):
        content = snapshot[section]
        if isinstance(content, Mapping) and content and all(_is_thing(*each) for each in content.items()):
            yield from ((storable_text(section), storable_text(name), content[name]) for name in sorted(content))
        else:
            yield storable_text(section), _WHOLE, content


def _is_thing(name: str, content: Plain) -> bool:
    return name != _WHOLE and isinstance(content, Mapping) and storable_text(name) == name


def _changed(rows: Iterable[tuple[str, int, float, int]]) -> Iterator[tuple[str, int, float, int]]:
    last = None
    for row in rows:
        if row[3] != last:
            yield row
        last = row[3]


def _or_all(before: int | None) -> int:
    return before if before is not None else 2**62
