"""Histories that tests write days into."""

from datetime import UTC, datetime, timedelta

from fleetenv.drift.finding import Against, Finding
from fleetenv.history.database import open_database
from fleetenv.history.model import Errand, HostRun, Kind, Origin, Standing
from fleetenv.history.outcome import HostOutcome, RunOutcome
from fleetenv.history.record import enter_run, finish_run
from fleetenv.history.store import History
from fleetenv.severity import Severity

BEGUN = datetime(2026, 3, 1, 12, tzinfo=UTC)

ADVICE = f"fleetenv apply {'a-long-path/' * 20}site.yml -t motd"


class Book:
    """A history that days are written into."""

    def __init__(self, file):
        self.file = file
        self.connection = open_database(file)
        self.history = History(file, self.connection)

    def enter(self, number, *, kind=Kind.DRIFT, tags=(), only=(), playbook="site.yml"):
        """Enter a run of day `number` that does not end yet."""
        errand = Errand(kind=kind, playbook=Origin(playbook, playbook), tags=tags, only=only)
        return enter_run(self.connection, errand, BEGUN + timedelta(days=number))

    def day(
        self,
        number,
        hosts,
        *,
        kind=Kind.DRIFT,
        findings=None,
        changed=0,
        lost=(),
        early=(),
        tags=(),
        only=(),
        playbook="site.yml",
    ):
        """Record a run of day `number`; `hosts` are snapshots by name, `findings` (host, code, subject)."""
        started = BEGUN + timedelta(days=number)
        run = self.enter(number, kind=kind, tags=tags, only=only, playbook=playbook)
        outcomes = [
            HostOutcome(
                visit=HostRun(
                    run=run,
                    host=name,
                    standing=Standing.LOST if name in lost else Standing.CHANGED if changed else Standing.SAME,
                    changed=changed,
                ),
                snapshot=snapshot,
                early=name in early,
                findings=None if findings is None else [finding(*each) for each in findings if each[0] == name],
            )
            for name, snapshot in hosts.items()
        ]
        finish_run(self.connection, run, RunOutcome(finished=started, seconds=1, exit_status=0, hosts=outcomes))
        return run


def finding(host, code, subject, severity=Severity.WARNING):
    return Finding(
        code=code, host=host, subject=subject, against=Against.PLAYBOOK, severity=severity, text="t", advice=ADVICE
    )
