"""Series for small plots: run after run, the oldest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import UNSET

from fleetenv.drift.snapshot import Path
from fleetenv.history.clock import local
from fleetenv.history.model import Kind, RunPoint, Tally, ValuePoint
from fleetenv.history.snapshots import Snapshots

if TYPE_CHECKING:
    import sqlite3


class Series:
    """Series from one open history."""

    def __init__(self, connection: sqlite3.Connection, snapshots: Snapshots) -> None:
        self._connection = connection
        self._snapshots = snapshots

    def runs(
        self, *, kinds: Sequence[Kind] = (Kind.DRIFT,), playbook: str | None = None, limit: int = 200
    ) -> list[RunPoint]:
        """Return hosts by standing and findings by severity of the last finished runs of some kinds."""
        marks = ", ".join("?" * len(kinds))
        rows = self._connection.execute(
            f"""SELECT id, kind, started, hosts, lost, failed, changed, same, error_findings, warning_findings,
            note_findings
            FROM run WHERE finished IS NOT NULL AND kind IN ({marks}) AND (? IS NULL OR playbook = ?)
            ORDER BY id DESC LIMIT ?""",
            (*map(str, kinds), playbook, playbook, limit),
        ).fetchall()
        return [
            RunPoint(number, Kind(kind), local(started), Tally(*counts))
            for number, kind, started, *counts in reversed(rows)
        ]

    def value(self, host: str, path: Path, *, limit: int = 200) -> list[ValuePoint]:
        """Return what a value of a host was over time: a point where it changed, and at the first of its snapshots."""
        points: list[ValuePoint] = []
        for step in self._snapshots.steps(host):
            value = self._snapshots.value(step, path)
            if value is not UNSET and (not points or points[-1].value != value):
                points.append(ValuePoint(step.run, step.taken, value))
        return points[-limit:]
