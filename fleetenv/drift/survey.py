"""The events of a check-mode run, into a drift report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from msgspec import Struct, field

from fleetenv.drift.assessment import assessed
from fleetenv.drift.fleet import Sighting, unevenness
from fleetenv.drift.report import Cell, DriftReport, HostReport, Item, Verdict
from fleetenv.drift.snapshot import Plain
from fleetenv.drift.states import observed
from fleetenv.drift.tasks import task_subjects
from fleetenv.errors import Location
from fleetenv.events import (
    Event,
    HostEnded,
    HostLost,
    PlayStarted,
    RunFinished,
    RunStarted,
    Sink,
    Status,
    TaskFinished,
    TaskRef,
)

_Key: TypeAlias = tuple[str, str, Location, str | None, int]  # play, module, where, loop item, and which time

_MAX_MESSAGE = 4000  # characters: hosts may write much

_VERDICTS = {
    Status.OK: Verdict.SAME,
    Status.CHANGED: Verdict.DRIFT,
    Status.FAILED: Verdict.FAILED,
    Status.IGNORED: Verdict.IGNORED,
    Status.RESCUED: Verdict.IGNORED,
    Status.SKIPPED: Verdict.SKIPPED,
    Status.UNREACHABLE: Verdict.UNREACHABLE,
}


def drift_report(events: Iterable[Event]) -> DriftReport:
    """Return the report of a whole run, with its findings against the playbook and among the hosts."""
    survey = Survey()
    for event in events:
        survey(event)
    return assessed(survey.report())


class _Host(Struct):
    """What is known of one host so far."""

    cells: dict[_Key, Cell] = field(default_factory=dict)
    lost: str | None = None
    early: bool = False
    seen: Counter[tuple[TaskRef, str | None]] = field(default_factory=Counter)
    last: _Key | None = None
    states: dict[_Key, Plain] = field(default_factory=dict)


class Survey(Sink):
    """Collects a check-mode run.

    Handlers are left out: they follow from a difference and are none. Tasks of one place in the playbook are one item,
    whatever each host's variables make of its name.
    """

    def __init__(self) -> None:
        self._playbook = ""
        self._groups: Mapping[str, tuple[str, ...]] = {}
        self._seconds = 0.0
        self._interrupted = False
        self._hosts: dict[str, _Host] = {}
        self._plays: dict[str, int] = {}
        self._order: list[_Key] = []
        self._tasks: dict[_Key, TaskRef] = {}
        self._sightings: dict[_Key, dict[str, Sighting]] = {}

    def __call__(self, event: Event) -> None:
        """Take one event."""
        match event:
            case RunStarted():
                self._playbook = event.playbook
                self._groups = event.groups
                for name in event.hosts:
                    self._host(name)
            case PlayStarted():
                self._plays.setdefault(event.play, len(self._plays))
            case TaskFinished() if not event.task.handler:
                self._task(event)
            case HostEnded():
                self._host(event.host).early |= event.early
            case HostLost():
                self._host(event.host).lost = event.reason
            case RunFinished():
                self._seconds = event.seconds
                self._interrupted = event.interrupted

    def close(self) -> None:
        """Nothing to write: the report is asked for."""

    def report(self) -> DriftReport:
        """Return what was found so far: cells, and no findings yet (see [`assessed`][])."""
        order = self._ordered()
        items = {key: Item(number, self._tasks[key], key[3]) for number, key in enumerate(order)}
        return DriftReport(
            playbook=self._playbook,
            items=tuple(items.values()),
            hosts=tuple(
                HostReport(
                    name,
                    {items[key].number: cell for key, cell in host.cells.items()},
                    host.lost,
                    self._groups.get(name, ()),
                    host.early,
                )
                for name, host in self._hosts.items()
            ),
            uneven=tuple(each for key in order for each in unevenness(items[key], self._sightings.get(key, {}))),
            seconds=self._seconds,
            interrupted=self._interrupted,
        )

    def states(self, report: DriftReport) -> Mapping[str, Plain]:
        """Return for each host the section `tasks` of its snapshot: what was seen of what the playbook speaks of."""
        subjects = dict(zip(self._ordered(), task_subjects(report.items), strict=True))
        return {
            name: {subjects[key]: state for key, state in host.states.items() if state}
            for name, host in self._hosts.items()
        }

    def _ordered(self) -> list[_Key]:
        return sorted(self._order, key=lambda key: self._plays.get(key[0], len(self._plays)))

    def _host(self, name: str) -> _Host:
        return self._hosts.setdefault(name, _Host())

    def _task(self, event: TaskFinished) -> None:
        host, ref = self._host(event.host), event.task
        nth = host.seen[(ref, event.item)]
        host.seen[(ref, event.item)] += 1
        key = (ref.play, ref.module, ref.location, event.item, nth)
        if key not in self._tasks:
            self._tasks[key] = ref
            # hosts walk side by side: a task that only some have goes after the one that they had before it
            self._order.insert(self._order.index(host.last) + 1 if host.last else 0, key)
        host.last = key
        host.cells[key] = _cell(event)
        if event.status is Status.UNREACHABLE and host.lost is None:
            host.lost = event.msg
        if event.found is not None:
            wanted = event.diff.wanted if event.diff is not None else None
            if all(place.kind == "gpu-setting" for place in event.places):  # the others are in the host's census
                host.states[key] = observed(event.found, wanted)
            self._sightings.setdefault(key, {})[event.host] = Sighting(event.found, wanted)


def _cell(event: TaskFinished) -> Cell:
    differences = event.diff.differences if event.diff is not None else ()
    verdict = _VERDICTS[event.status]
    if differences and verdict in (Verdict.SAME, Verdict.IGNORED):
        verdict = Verdict.DRIFT
    msg = event.msg[:_MAX_MESSAGE] if verdict is not Verdict.SKIPPED else ""
    return Cell(verdict, differences, msg, _is_simulated(event.found), event.places)


def _is_simulated(found: object) -> bool:
    """Whether a state was seen on hardware that fleetenv's lab simulates."""
    return getattr(found, "simulated", False) is True
