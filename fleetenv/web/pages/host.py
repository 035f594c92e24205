"""One host: what it is, what is on it, what is wrong with it, how it changed, and the runs that went there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from itertools import pairwise

from msgspec import Struct
from msgspec.structs import replace

from fleetenv.drift.finding import Finding
from fleetenv.drift.snapshot import Change, Plain
from fleetenv.errors import InputError
from fleetenv.history.model import HostRun, HostSnapshot, Run, Streak
from fleetenv.history.store import History
from fleetenv.report.drift.sections import alike
from fleetenv.report.drift.words import subject_of
from fleetenv.web.contents import Gpus, Thing, environments_of, gpus_of, things_of
from fleetenv.web.counters import counter_plots, counters
from fleetenv.web.fleet import Mark, MarkedFinding, host_mark, marked
from fleetenv.web.page import Page
from fleetenv.web.plot import Plot

_RUNS = 30
_FINDINGS = 100
_STEPS = 20
_CHANGES = 40  # of one step
_STREAKS = 50
_SECTIONS = ("facts", "miniconda", "condarc", "virtualenvs", "kernels")


class HostQuery(Struct, frozen=True):
    """Which host."""

    host: str


class HostStep(Struct, frozen=True):
    """What a look found changed since the look before it; `total` changes, of which the first few are here."""

    run: int
    taken: datetime
    before: int  # the run that took the snapshot before
    changes: tuple[Change, ...]
    total: int


class Visit(Struct, frozen=True):
    """One run that went there, and how the host fared."""

    run: Run
    host: HostRun


class HostShown(Struct, frozen=True, kw_only=True):
    """Everything about one host. Sections of its snapshot are empty where no snapshot was ever taken."""

    host: str
    mark: Mark
    latest: Visit
    taken: datetime | None  # when its newest snapshot was
    snapshot_run: int | None
    simulated: bool
    findings: tuple[MarkedFinding, ...]  # the worst few of `all_findings`
    all_findings: int
    gone: tuple[Streak, ...]
    sections: dict[str, tuple[Thing, ...]]
    environments: tuple[Thing, ...]
    gpus: Gpus
    plots: tuple[Plot, ...]  # error counters of its GPUs
    steps: tuple[HostStep, ...]
    runs: tuple[Visit, ...]


def _host(history: History, query: HostQuery) -> HostShown:
    today = date.today()
    visits = tuple(_visits(history, query.host))
    if not visits:
        raise InputError(f"the history has no host '{query.host}'")
    found = [each.finding for each in history.findings.open([query.host])]
    told = _by_gpu(found)
    taken = history.snapshots.of_host(query.host, limit=_STEPS + 1)
    newest = history.snapshots.latest([query.host]).get(query.host)
    snapshot = newest.snapshot if newest else {}
    gpus = gpus_of(snapshot)
    return HostShown(
        host=query.host,
        mark=host_mark(visits[0].host, found, today),
        latest=visits[0],
        taken=newest.taken if newest else None,
        snapshot_run=newest.run if newest else None,
        simulated=gpus.simulated or any(each.simulated for each in found),
        findings=marked(told, today)[:_FINDINGS],
        all_findings=len(told),
        gone=tuple(each for each in history.findings.of_host(query.host, limit=_STREAKS) if each.gone),
        sections={name: things_of(snapshot[name]) for name in _order(snapshot)},
        environments=environments_of(snapshot),
        gpus=gpus,
        plots=tuple(_plots(gpus, taken, newest.taken)) if newest else (),
        steps=tuple(_steps(taken, history)),
        runs=visits,
    )


def _by_gpu(found: Iterable[Finding]) -> list[Finding]:
    """Tell once what several GPUs have alike."""
    return [replace(group[0], subject=subject_of(group)) if len(group) > 1 else group[0] for group in alike(found)]


def _visits(history: History, host: str) -> Iterable[Visit]:
    for each in history.runs.of_host(host, limit=_RUNS):
        yield Visit(history.runs.get(each.run), each)


def _order(snapshot: Mapping[str, Plain]) -> list[str]:
    """Return the sections that have no table of their own, known ones first."""
    others = sorted(snapshot.keys() - {*_SECTIONS, "environments", "gpus", "tasks"})
    return [name for name in (*_SECTIONS, *others) if name in snapshot]


def _steps(snapshots: list[HostSnapshot], history: History) -> Iterable[HostStep]:
    """Yield what changed from one snapshot to the next, the newest first."""
    pairs = list(pairwise(snapshots))
    for before, after in reversed(pairs):
        found = history.changes.of(before, after)
        if found:
            yield HostStep(after.run, after.taken, before.run, tuple(found[:_CHANGES]), len(found))


def _plots(gpus: Gpus, snapshots: list[HostSnapshot], until: datetime) -> Iterable[Plot]:
    """Yield the error counters of each GPU that has any."""
    for device in gpus.devices:
        yield from counter_plots(f"GPU {device.index}", snapshots, counters([device]), until, gpu=device.index)


HOST = Page("/hosts/{host:path}", "host", HostQuery, _host)
