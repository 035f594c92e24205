"""Past runs: all of them, one with its hosts, and how each task ended on one host."""

from __future__ import annotations

from msgspec import Struct

from fleetenv.errors import InputError
from fleetenv.events import Status
from fleetenv.history.model import HostRun, Kind, Run, Standing, TaskResult
from fleetenv.history.store import History
from fleetenv.web.fleet import MarkedFinding, marked
from fleetenv.web.page import Page, PageNumber, RunNumber, Slice, cut, has_words, words_of

_RUNS = 50
_HOSTS = 200
_TASKS = 300
_FINDINGS = 100


class RunsQuery(Struct, frozen=True):
    """Which runs: of a host, a playbook, a kind."""

    host: str | None = None
    playbook: str | None = None
    kind: Kind | None = None
    page: PageNumber = 1


class RunsShown(Struct, frozen=True):
    """Runs, the newest first. `more`: there are older ones."""

    runs: tuple[Run, ...]
    playbooks: tuple[str, ...]
    more: bool


class RunQuery(Struct, frozen=True):
    """One run, and which of its hosts."""

    run: RunNumber
    q: str = ""
    standing: Standing | None = None
    page: PageNumber = 1


class RunShown(Struct, frozen=True):
    """A run and its hosts, those first that fared worst."""

    run: Run
    hosts: tuple[HostRun, ...]
    part: Slice
    newer: int | None
    older: int | None


class VisitQuery(Struct, frozen=True):
    """One host in one run, and which of its tasks."""

    run: RunNumber
    host: str
    q: str = ""
    status: Status | None = None
    page: PageNumber = 1


class VisitShown(Struct, frozen=True):
    """One host in one run: how each task ended."""

    run: Run
    host: HostRun
    findings: tuple[MarkedFinding, ...]  # as they counted then; the first few
    results: tuple[TaskResult, ...]
    part: Slice


def _runs(history: History, query: RunsQuery) -> RunsShown:
    found = history.runs.find(
        hosts=None if query.host is None else [query.host], playbook=query.playbook, kind=query.kind,
        limit=_RUNS + 1, offset=(query.page - 1) * _RUNS,
    )  # fmt: skip
    return RunsShown(tuple(found[:_RUNS]), tuple(history.runs.playbooks()), len(found) > _RUNS)


def _run(history: History, query: RunQuery) -> RunShown:
    run = history.runs.get(query.run)
    words = words_of(query.q)
    order = list(Standing)
    chosen = [
        each
        for each in history.runs.hosts(query.run)
        if query.standing in (None, each.standing) and has_words(words, each.host, *each.groups, each.lost or "")
    ]
    chosen.sort(key=lambda each: (order.index(each.standing), each.host))
    rows, part = cut(chosen, query.page, _HOSTS)
    return RunShown(
        run, tuple(rows), part, newer=_there(history, run.number + 1), older=_there(history, run.number - 1)
    )


def _visit(history: History, query: VisitQuery) -> VisitShown:
    run = history.runs.get(query.run)
    host = history.runs.host(query.run, query.host)
    if host is None:
        raise InputError(f"run {query.run} did not go to a host '{query.host}'")
    words = words_of(query.q)
    chosen = [
        each
        for each in history.runs.results(query.run, query.host)
        if query.status in (None, each.status)
        and has_words(words, each.task.name, each.task.role or "", each.task.module, each.item or "", each.msg)
    ]
    rows, part = cut(chosen, query.page, _TASKS)
    findings = marked(history.findings.of_run(query.run, host=query.host), run.started.date())
    return VisitShown(run, host, findings[:_FINDINGS], tuple(rows), part)


def _there(history: History, number: int) -> int | None:
    try:
        return history.runs.get(number).number
    except InputError:
        return None


RUNS = Page("/runs", "runs", RunsQuery, _runs)
RUN = Page("/runs/{run:int}", "run", RunQuery, _run)
VISIT = Page("/runs/{run:int}/{host:path}", "visit", VisitQuery, _visit)
