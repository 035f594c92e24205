"""The fleet: hosts by items, as the last look at each host found them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Literal

from msgspec import Struct

from fleetenv.drift.finding import Finding
from fleetenv.history.model import HostRun, Kind, RunPoint, Standing
from fleetenv.history.store import History
from fleetenv.web.fleet import Cell, Mark, cells, host_mark, mark_of
from fleetenv.web.page import Page, PageNumber, Slice, cut, has_words, words_of
from fleetenv.web.plot import Plot, plot

_HOSTS = 100
_COLUMNS = 60
_TREND = 200
_FEWEST_POINTS = 3
_STALE = timedelta(days=7)

Sort = Literal["worst", "-worst", "host", "-host", "seen", "-seen", "findings", "-findings"]


class MatrixQuery(Struct, frozen=True):
    """Which hosts, in which order. `columns` `trouble`: only items that somebody should look at on a host shown."""

    q: str = ""
    group: str = ""
    mark: Mark | None = None
    sort: Sort = "worst"
    columns: Literal["trouble", "all"] = "trouble"
    page: PageNumber = 1


class MatrixRow(Struct, frozen=True, kw_only=True):
    """One host. `cells` are by the matrix's columns; None: that was not looked at here."""

    host: str
    mark: Mark
    run: int
    seen: datetime
    is_stale: bool  # other hosts were seen long after it
    groups: tuple[str, ...]
    errors: int
    warnings: int
    notes: int
    waived: int
    brief: str  # what is wrong, in a line
    simulated: bool
    cells: tuple[Cell | None, ...] = ()


class Matrix(Struct, frozen=True, kw_only=True):
    """The fleet. `counts` are of all hosts by how they fare; `hidden` columns had no trouble, or were too many."""

    rows: tuple[MatrixRow, ...]
    columns: tuple[str, ...]
    hidden: int
    part: Slice
    counts: dict[Mark, int]
    hosts: int
    groups: dict[str, int]
    trend: tuple[RunPoint, ...]

    @property
    def plots(self) -> tuple[Plot, ...]:
        """What the looks of the past found, as plots."""
        if len(self.trend) < _FEWEST_POINTS:
            return ()
        until = self.trend[-1].started
        lines = {
            "hosts with drift": [each.tally.hosts - each.tally.same for each in self.trend],
            "hosts not reached": [each.tally.lost for each in self.trend],
            "errors": [each.tally.errors for each in self.trend],
            "warnings": [each.tally.warnings for each in self.trend],
        }
        times = [each.started for each in self.trend]
        drawn = (plot(title, list(zip(times, values, strict=True)), until) for title, values in lines.items())
        return tuple(each for each in drawn if each)


class _Host(Struct, frozen=True):
    """What is known of a host, before hosts are filtered and sorted."""

    visit: HostRun  # in the last run that went there
    look: HostRun  # in the last run that looked for findings, if there was one
    seen: datetime
    kind: Kind  # of the look's run
    findings: Sequence[Finding]  # the worst first, waived ones last
    mark: Mark

    @property
    def brief(self) -> str:
        """What is wrong, where there is room for one thing."""
        if self.visit.lost is not None:
            return self.visit.lost
        if self.findings:
            return f"{self.findings[0].subject}: {self.findings[0].text}"
        return f"a task failed in run {self.visit.run}" if self.visit.standing is Standing.FAILED else ""


def _matrix(history: History, query: MatrixQuery) -> Matrix:
    today = date.today()
    hosts = _hosts(history, today)
    words = words_of(query.q)
    chosen = [
        each
        for each in hosts
        if query.mark in (None, each.mark)
        and (not query.group or query.group in each.visit.groups)
        and has_words(words, each.visit.host, *each.visit.groups, *_texts(each))
    ]
    rows, part = cut(_ordered(chosen, query.sort), query.page, _HOSTS)
    shown = [
        cells(history.runs.results(each.look.run, each.look.host), each.findings, each.kind, today) for each in rows
    ]
    columns, hidden = _columns(shown, everything=query.columns == "all")
    newest = max((each.seen for each in hosts), default=datetime.min)
    return Matrix(
        rows=tuple(
            _row(each, found, columns, newest=newest, today=today) for each, found in zip(rows, shown, strict=True)
        ),
        columns=columns,
        hidden=hidden,
        part=part,
        counts=dict(Counter(each.mark for each in hosts)),
        hosts=len(hosts),
        groups=dict(sorted(Counter(group for each in hosts for group in each.visit.groups).items())),
        trend=tuple(history.series.runs(limit=_TREND)),
    )


def _hosts(history: History, today: date) -> list[_Host]:
    findings: dict[str, list[Finding]] = {}
    for each in history.findings.open():
        findings.setdefault(each.finding.host, []).append(each.finding)
    looks = {each.host: each for each in history.runs.latest(looked=True)}
    visits = history.runs.latest()
    runs = {number: history.runs.get(number) for number in {each.run for each in (*visits, *looks.values())}}
    hosts = []
    for visit in visits:
        look = looks.get(visit.host, visit)
        run, looked = runs[visit.run], runs[look.run]
        found = sorted(findings.get(visit.host, []), key=lambda each: mark_of(each, today).rank)
        mark = host_mark(visit, found, today)
        hosts.append(_Host(visit, look, run.started, looked.errand.kind, found, mark))
    return hosts


def _texts(host: _Host) -> Iterator[str]:
    yield host.visit.lost or ""
    for each in host.findings:
        yield from (each.code, each.subject, each.text)


def _ordered(hosts: list[_Host], sort: Sort) -> list[_Host]:
    match sort.removeprefix("-"):
        case "seen":
            ordered = sorted(hosts, key=lambda each: each.seen)
        case "findings":
            ordered = sorted(hosts, key=lambda each: -len(each.findings))
        case "worst":
            ordered = sorted(hosts, key=lambda each: (each.mark.rank, -each.look.errors, -each.look.warnings))
        case _:
            ordered = hosts  # the history gives them by name
    return ordered[::-1] if sort.startswith("-") else ordered


def _columns(shown: Sequence[Mapping[str, Cell]], *, everything: bool) -> tuple[tuple[str, ...], int]:
    """Return the matrix's columns, in the order of the hosts' tasks, and how many are left out."""
    known: dict[str, int] = {}  # with how many hosts that somebody should look at
    for mapping in shown:
        for subject, cell in mapping.items():
            known[subject] = known.get(subject, 0) + cell.mark.is_trouble
    kept = [subject for subject, troubled in known.items() if everything or troubled]
    if len(kept) > _COLUMNS:
        most = set(sorted(kept, key=lambda subject: -known[subject])[:_COLUMNS])
        kept = [subject for subject in kept if subject in most]
    return tuple(kept), len(known) - len(kept)


def _row(host: _Host, found: Mapping[str, Cell], columns: Sequence[str], *, newest: datetime, today: date) -> MatrixRow:
    marks = Counter(mark_of(each, today) for each in host.findings)
    return MatrixRow(
        host=host.visit.host,
        mark=host.mark,
        run=host.visit.run,
        seen=host.seen,
        is_stale=newest - host.seen > _STALE,
        groups=host.visit.groups,
        errors=marks[Mark.ERROR] + marks[Mark.UNREACHABLE],
        warnings=marks[Mark.WARNING],
        notes=marks[Mark.NOTE],
        waived=marks[Mark.WAIVED],
        brief=host.brief,
        simulated=any(cell.simulated for cell in found.values()),
        cells=tuple(found.get(subject) for subject in columns),
    )


MATRIX = Page("/", "matrix", MatrixQuery, _matrix)
