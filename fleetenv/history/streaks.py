"""Since when hosts have findings: a streak begins with the first look that has one, and ends with one that has not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from fleetenv.drift.finding import Against, Finding
from fleetenv.history.storable import storable_text

if TYPE_CHECKING:
    import sqlite3


class Look(Struct, frozen=True):
    """A run that looked for findings. `is_whole`: at all that its playbook speaks of, so that what it lacks is gone."""

    playbook: str
    started: float
    is_whole: bool


def kept_findings(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings as they are kept, without what other rows say: so hosts, and days, share what is the same.

    Those against time follow from the snapshots, and are not kept.
    """
    return [
        replace(
            each,
            host="",
            first_seen=None,
            subject=storable_text(each.subject),
            text=storable_text(each.text),
            advice=storable_text(each.advice),
        )
        for each in findings
        if each.against is not Against.TIME
    ]


def follow(connection: sqlite3.Connection, host: int, findings: Iterable[Finding], look: Look) -> None:
    """Begin a host's streaks of new findings, and end those that the look does not see any more."""
    seen = {(each.code, each.subject) for each in findings}
    rows = connection.execute(
        "SELECT id, code, subject, playbook FROM streak WHERE host = ? AND gone IS NULL", (host,)
    ).fetchall()
    known = {(code, subject) for _, code, subject, _ in rows}
    connection.executemany(
        "INSERT INTO streak (host, code, subject, playbook, first_seen) VALUES (?, ?, ?, ?, ?)",
        [(host, code, subject, look.playbook, look.started) for code, subject in sorted(seen - known)],
    )
    if look.is_whole:
        gone = [
            (look.started, number)
            for number, code, subject, playbook in rows
            if (code, subject) not in seen and playbook == look.playbook
        ]
        connection.executemany("UPDATE streak SET gone = ? WHERE id = ?", gone)
