"""Findings in the store: of a run, of a host, those that are open, and since when."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

import msgspec
from msgspec.structs import replace

from fleetenv.drift.finding import Against, Finding
from fleetenv.history.blobs import Blobs
from fleetenv.history.clock import local
from fleetenv.history.model import RunFinding, Streak

if TYPE_CHECKING:
    import sqlite3

Identity: TypeAlias = tuple[str, str, str]
"""Host, code and subject, as `Finding.identity`."""

_NOW = 1e12
"""Later than any time that is kept."""

_FINDINGS = """
    SELECT visit.run, host.name, visit.findings FROM visit JOIN host ON host.id = visit.host
    WHERE visit.findings IS NOT NULL
"""


class Findings:
    """The findings of one open history."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._blobs = Blobs(connection)
        self._decoded: dict[int, tuple[Finding, ...]] = {}

    def of_run(self, run: int, host: str | None = None) -> list[Finding]:
        """Return the findings that a run made, by host; `first_seen` is when that streak began."""
        rows = self._connection.execute(
            _FINDINGS + "AND visit.run = ? AND (? IS NULL OR host.name = ?) ORDER BY host.name", (run, host, host)
        ).fetchall()
        row = self._connection.execute("SELECT started FROM run WHERE id = ?", (run,)).fetchone()
        if row is None:
            return []
        found = [each.finding for each in self._of(rows)]
        since = self._streaks({each.host for each in found}, float(row[0]))
        return [_with(each, since.get(each.identity)) for each in found]

    def open(self, hosts: Iterable[str] | None = None, *, playbook: str | None = None) -> list[RunFinding]:
        """Return what was found when each host was last looked at, by host; waived ones, too.

        Looks for some findings only (`--tags`, `--only`) count where there is no other.

        Args:
            hosts: only of these.
            playbook: as of the last look with this playbook (an `Origin.place`); else with any.
        """
        of_playbook = "" if playbook is None else "AND run IN (SELECT id FROM run WHERE playbook = ?)"
        rows = self._connection.execute(
            _FINDINGS
            + f"""AND (visit.host, visit.run) IN (SELECT id, (SELECT run FROM visit WHERE host = host_.id
            AND findings IS NOT NULL {of_playbook} ORDER BY whole DESC, run DESC LIMIT 1) FROM host AS host_)
            ORDER BY host.name""",
            () if playbook is None else (playbook,),
        ).fetchall()
        chosen = None if hosts is None else set(hosts)
        made = self._of([row for row in rows if chosen is None or row[1] in chosen])
        since = self.first_seen(each.finding.identity for each in made)
        return [RunFinding(each.run, _with(each.finding, since.get(each.finding.identity))) for each in made]

    def of_host(self, host: str, *, limit: int = 500) -> list[Streak]:
        """Return all findings that a host ever had, with when they came and went: open ones first, then the newest."""
        rows = self._connection.execute(
            """SELECT code, subject, first_seen, gone FROM streak WHERE host = (SELECT id FROM host WHERE name = ?)
            ORDER BY gone IS NOT NULL, first_seen DESC, code, subject LIMIT ?""",
            (host, limit),
        )
        return [
            Streak(
                host=host,
                code=code,
                subject=subject,
                first_seen=local(first),
                gone=None if gone is None else local(gone),
            )
            for code, subject, first, gone in rows
        ]

    def first_seen(self, identities: Iterable[Identity]) -> dict[Identity, datetime]:
        """Return since when hosts have findings without a break; those that they do not have are left out."""
        wanted = set(identities)
        return {key: seen for key, seen in self._streaks({host for host, _, _ in wanted}).items() if key in wanted}

    def dated(self, findings: Sequence[Finding], now: datetime) -> list[Finding]:
        """Return findings of a look that is not recorded yet with `first_seen`: `now` for the new.

        Those against time have theirs: they are left as they are.
        """
        since = self.first_seen(each.identity for each in findings)
        return [
            each if each.against is Against.TIME else _with(each, since.get(each.identity, now)) for each in findings
        ]

    def _of(self, rows: Iterable[tuple[int, str, int]]) -> list[RunFinding]:
        return [
            RunFinding(run, replace(finding, host=host)) for run, host, blob in rows for finding in self._decode(blob)
        ]

    def _decode(self, blob: int) -> tuple[Finding, ...]:
        if blob not in self._decoded:
            self._decoded[blob] = msgspec.json.decode(self._blobs.get(blob), type=tuple[Finding, ...])
        return self._decoded[blob]

    def _streaks(self, hosts: Iterable[str], moment: float = _NOW) -> dict[Identity, datetime]:
        """Return since when hosts had what they had at a moment, findings by identity."""
        return {
            (host, code, subject): local(first)
            for host in hosts
            for code, subject, first in self._connection.execute(
                """SELECT code, subject, first_seen FROM streak WHERE host = (SELECT id FROM host WHERE name = ?)
                AND first_seen <= ? AND (gone IS NULL OR gone > ?)""",
                (host, moment, moment),
            )
        }


def _with(finding: Finding, first_seen: datetime | None) -> Finding:
    return replace(finding, first_seen=first_seen)
