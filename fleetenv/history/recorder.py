"""The sink that writes the history: a run's events, and what drift adds, into the store.

The file is opened and the run entered by a thread of its own, beside the first messages to the hosts; all that came of
the run is written at its end. Whatever goes wrong there is a warning, never a failed run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from fleetenv.errors import FleetenvError
from fleetenv.events import (
    Event,
    HostBegun,
    HostEnded,
    HostLost,
    RunFinished,
    RunStarted,
    Sink,
    Status,
    TaskFinished,
    TaskRef,
    Warned,
)
from fleetenv.history.counting import count, standing
from fleetenv.history.errand import Errand
from fleetenv.history.outcome import HostOutcome, HostRun, StoredDifference, StoredResult
from fleetenv.history.storable import MOST_ENTRIES, storable, storable_text

if TYPE_CHECKING:
    from fleetenv.drift.finding import Finding
    from fleetenv.drift.snapshot import Snapshot
    from fleetenv.history.model import RunPoint
    from fleetenv.history.store import History


class _Host:
    """What is known of one host so far."""

    def __init__(self) -> None:
        self.tasks: dict[TaskRef, int] = {}  # with their places
        self.results: list[StoredResult] = []
        self.lost: str | None = None
        self.early = False
        self.begun: float | None = None
        self.seconds = 0.0


class Recorder(Sink):
    """Records one run. A sink until the run is over; then [`finish`][] writes it down.

    Drift reads [`history`][] (what was seen before) and hands over snapshots and findings before it finishes.
    """

    def __init__(self, file: Path, errand: Errand, warn: Callable[[str], None]) -> None:
        """Prepare; nothing is opened before the run starts.

        Args:
            file: the history's.
            errand: what is known of the run.
            warn: is told, once, when the history cannot be written.
        """
        self.run: int | None = None  # its number, once it was entered
        self.started = datetime.now().astimezone()
        self._file = file
        self._errand = errand
        self._warn = warn
        self._hosts: dict[str, _Host] = {}
        self._groups: Mapping[str, Sequence[str]] = {}
        self._warnings: list[str] = []
        self._seconds = 0.0
        self._interrupted = False
        self._entering: threading.Thread | None = None
        self._history: History | None = None
        self._failed = False

    def __call__(self, event: Event) -> None:
        """Take one event."""
        match event:
            case Warned():
                self._warnings.append(event.text)
            case RunStarted():
                self._groups = event.groups
                self._hosts = {host: _Host() for host in event.hosts}
                self.started = datetime.now().astimezone()
                self._entering = threading.Thread(target=self._enter, name="history")
                self._entering.start()
            case HostBegun():
                self._host(event.host).begun = time.monotonic()
            case HostEnded():
                self._host(event.host).early |= event.early
                self._clock(event.host)
            case HostLost():
                self._host(event.host).lost = event.reason
                self._clock(event.host)
            case TaskFinished():
                self._take(event)
            case RunFinished():
                self._seconds = event.seconds
                self._interrupted = event.interrupted

    def close(self) -> None:
        """Nothing yet: the exit status, and what drift found, are still to come."""

    @property
    def history(self) -> History | None:
        """The open history, for what was seen before; None where it cannot be used, which the user was told."""
        if self._history is None and self._is_entered() and not self._failed:
            with self._tolerant():
                from fleetenv.history.store import open_history

                self._history = open_history(self._file)
        return self._history

    def dated(self, findings: Sequence[Finding]) -> tuple[Finding, ...]:
        """Return findings with since when hosts have them; as they are where the history cannot be read."""
        dated = tuple(findings)
        if self.history is not None:
            with self._tolerant():
                dated = tuple(self.history.findings.dated(findings, self.started))
        return dated

    def known(self, findings: Iterable[Finding]) -> frozenset[tuple[str, str, str]]:
        """Return the identities of those findings, dated, that are no news: their hosts had them before, not waived."""
        before = {each.identity for each in findings if each.first_seen is not None and each.first_seen < self.started}
        if self.history is not None:
            with self._tolerant():
                last = self.history.findings.open(playbook=self._errand.playbook.place)
                before -= {each.finding.identity for each in last if each.finding.waiver is not None}
        return frozenset(before)

    def earlier(self) -> list[RunPoint]:
        """Return what earlier looks with this playbook found, the oldest first."""
        points: list[RunPoint] = []
        if self.history is not None:
            with self._tolerant():
                points = self.history.series.runs(playbook=self._errand.playbook.place)
        return points

    def finish(
        self,
        exit_status: int,
        *,
        snapshots: Mapping[str, Snapshot] | None = None,
        findings: Sequence[Finding] | None = None,
    ) -> None:
        """Write down what came of the run.

        Args:
            exit_status: the command's.
            snapshots: of the hosts that were looked at, by name.
            findings: all of them; None: the run looked for none. Those against time follow from snapshots: not kept.
        """
        if self._history is not None:
            self._history.close()
        if not self._is_entered() or self.run is None:
            return
        with self._tolerant():
            from fleetenv.history.database import open_database
            from fleetenv.history.outcome import RunOutcome
            from fleetenv.history.record import finish_run

            outcome = RunOutcome(
                finished=datetime.now().astimezone(),
                seconds=self._seconds,
                exit_status=exit_status,
                hosts=self._outcomes(snapshots or {}, findings),
                interrupted=self._interrupted,
                warnings=self._warnings,
            )
            with closing(open_database(self._file)) as connection:
                finish_run(connection, self.run, outcome)

    def _is_entered(self) -> bool:
        """Wait until the run is entered, which takes milliseconds; false when it could not be."""
        if self._entering is not None:
            self._entering.join()
        return self.run is not None

    def _enter(self) -> None:
        """Run by the thread: open the file, look up the revisions, enter the run."""
        with self._tolerant():
            from fleetenv.history.database import open_database
            from fleetenv.history.record import enter_run
            from fleetenv.history.revision import origins

            inventory = [each.path for each in self._errand.inventory]
            known = origins([self._errand.playbook.path, *inventory])
            self._errand = replace(
                self._errand,
                playbook=known[self._errand.playbook.path],
                inventory=tuple(known[path] for path in inventory),
            )
            with closing(open_database(self._file)) as connection:
                self.run = enter_run(connection, self._errand, self.started)

    @contextmanager
    def _tolerant(self) -> Iterator[None]:
        """Turn whatever the history's file does into one warning: it must never fail a run."""
        from fleetenv.history.database import explained

        try:
            with explained(self._file):
                yield
        except FleetenvError as error:
            if not self._failed:
                self._warn(f"this run is not in the history: {error}")
            self._failed = True
        except Exception as error:  # whatever it is: the hosts are as they should be, and that is what counts
            self._warn(f"this run is not in the history: {type(error).__name__}: {error}")
            self._failed = True

    def _host(self, name: str) -> _Host:
        if name not in self._hosts:
            self._hosts[name] = _Host()
        return self._hosts[name]

    def _clock(self, name: str) -> None:
        host = self._host(name)
        if host.begun is not None:
            host.seconds += time.monotonic() - host.begun
            host.begun = None

    def _take(self, event: TaskFinished) -> None:
        host = self._host(event.host)
        differences = event.diff.differences[:MOST_ENTRIES] if event.diff is not None else ()
        host.results.append(
            StoredResult(
                task=host.tasks.setdefault(event.task, len(host.tasks)),
                status=event.status,
                item=None if event.item is None else storable_text(event.item),
                msg=storable_text(event.msg),
                differences=tuple(
                    StoredDifference(storable_text(each.key), storable(each.wanted), storable(each.found))
                    for each in differences
                ),
                simulated=getattr(event.found, "simulated", False) is True,
            )
        )
        if event.status is Status.UNREACHABLE and host.lost is None:
            host.lost = event.msg

    def _outcomes(self, snapshots: Mapping[str, Snapshot], findings: Sequence[Finding] | None) -> Sequence[HostOutcome]:
        found: dict[str, list[Finding]] = {}
        for each in findings or ():
            found.setdefault(each.host, []).append(each)
        return [
            HostOutcome(
                visit=_visit(name, host, tuple(self._groups.get(name, ()))),
                tasks=tuple(host.tasks),
                results=tuple(host.results),
                findings=None if findings is None else found.get(name, []),
                snapshot=snapshots.get(name),
                early=host.early,
            )
            for name, host in self._hosts.items()
        ]


def _visit(name: str, host: _Host, groups: tuple[str, ...]) -> HostRun:
    counts = count(host.results)
    return HostRun(
        run=0,
        host=name,
        standing=standing(counts, host.lost),
        ok=counts[Status.OK] + counts[Status.CHANGED] + counts[Status.IGNORED],
        changed=counts[Status.CHANGED],
        failed=counts[Status.FAILED],
        skipped=counts[Status.SKIPPED],
        rescued=counts[Status.RESCUED],
        ignored=counts[Status.IGNORED],
        lost=host.lost,
        seconds=host.seconds,
        groups=groups,
    )
