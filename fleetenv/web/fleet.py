"""Hosts as the last runs left them: how each fares, and what the matrix shows of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from enum import StrEnum

from msgspec import Struct

from fleetenv.drift.finding import Finding
from fleetenv.events import Status
from fleetenv.history.model import HostRun, Kind, Standing, TaskResult
from fleetenv.history.store import History
from fleetenv.report.drift.words import is_lost


class Mark(StrEnum):
    """How a host, or one item on it, fares. The worst comes first."""

    UNREACHABLE = "unreachable"
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"
    WAIVED = "waived"
    SAME = "same"
    SKIPPED = "skipped"

    @property
    def rank(self) -> int:
        """Its place, 0 for the worst."""
        return _RANKS[self]

    @property
    def is_trouble(self) -> bool:
        """Whether somebody should look."""
        return self.rank <= _RANKS[Mark.NOTE]


_RANKS = {mark: rank for rank, mark in enumerate(Mark)}

_MARKS = {
    Status.OK: Mark.SAME,
    Status.CHANGED: Mark.WARNING,
    Status.FAILED: Mark.ERROR,
    Status.IGNORED: Mark.NOTE,
    Status.RESCUED: Mark.NOTE,
    Status.SKIPPED: Mark.SKIPPED,
    Status.UNREACHABLE: Mark.UNREACHABLE,
}


class Cell(Struct, frozen=True):
    """One item on one host. `text` says what is wrong."""

    mark: Mark
    text: str = ""
    simulated: bool = False


_NOTHING = Cell(Mark.SKIPPED)


def waived(finding: Finding, today: date) -> bool:
    """Whether a finding is let pass today: a waiver that has run out since it was recorded does not count."""
    return finding.waiver is not None and finding.waiver.until >= today


def mark_of(finding: Finding, today: date) -> Mark:
    """Return how a finding is marked."""
    if waived(finding, today):
        return Mark.WAIVED
    return Mark.UNREACHABLE if is_lost(finding) else Mark(finding.severity)


class MarkedFinding(Struct, frozen=True):
    """A finding and how it counts."""

    mark: Mark
    finding: Finding


def marked(findings: Iterable[Finding], today: date) -> tuple[MarkedFinding, ...]:
    """Return findings with their marks, the worst first."""
    return tuple(
        sorted((MarkedFinding(mark_of(each, today), each) for each in findings), key=lambda each: each.mark.rank)
    )


def host_mark(visit: HostRun, findings: Iterable[Finding], today: date) -> Mark:
    """Return how a host fares: as its last run left it, and by the worst of its findings."""
    if visit.standing is Standing.LOST:
        return Mark.UNREACHABLE
    marks = [mark_of(each, today) for each in findings]
    if visit.standing is Standing.FAILED:
        marks.append(Mark.ERROR)
    return min(marks, key=lambda mark: mark.rank, default=Mark.SAME)


def cells(results: Sequence[TaskResult], findings: Iterable[Finding], kind: Kind, today: date) -> dict[str, Cell]:
    """Return what the matrix shows of one host, by subject: tasks in their order, then what only findings speak of."""
    shown = {subject: _task_cell(result, kind) for subject, result in _subjects(results)}
    for each in findings:
        subject = each.subject if each.subject in shown else each.code
        known = shown.get(subject, _NOTHING)
        mark = mark_of(each, today)
        if each.subject in shown or mark.rank < known.mark.rank:
            shown[subject] = Cell(mark, each.text, each.simulated or known.simulated)
    return shown


def _task_cell(result: TaskResult, kind: Kind) -> Cell:
    mark = _MARKS[result.status]
    if mark is Mark.WARNING and kind is Kind.APPLY:
        mark = Mark.SAME  # it was changed to what it should be
    text = result.msg or ", ".join(each.key for each in result.differences)
    return Cell(mark, text if mark.is_trouble else "", result.simulated)


def _subjects(results: Sequence[TaskResult]) -> Iterator[tuple[str, TaskResult]]:
    """Name results as the subjects of findings are named: by role, task and item; a number where those are equal."""
    seen: Counter[str] = Counter()
    for each in results:
        if each.task.handler:
            continue
        title = each.task.name if each.item is None else f"{each.task.name} ({each.item})"
        name = f"{each.task.role} : {title}" if each.task.role else title
        seen[name] += 1
        yield (name if seen[name] == 1 else f"{name} #{seen[name]}"), each


class Groups:
    """Which hosts are in which groups, as of the last run at each."""

    def __init__(self, history: History) -> None:
        self._of = {each.host: each.groups for each in history.runs.latest()}

    def has(self, group: str, host: str) -> bool:
        """Whether a host is in a group; every host is in the group without a name."""
        return not group or group in self._of.get(host, ())

    @property
    def names(self) -> tuple[str, ...]:
        """All groups."""
        return tuple(sorted({group for groups in self._of.values() for group in groups}))
