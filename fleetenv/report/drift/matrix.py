"""The matrix of the page: a row a host, a column a task of the playbook or a kind of other finding. Plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from fleetenv.drift.finding import Against, Finding
from fleetenv.drift.report import Cell, DriftReport, HostReport, Verdict
from fleetenv.report.drift import words
from fleetenv.report.drift.sections import Shared
from fleetenv.severity import Severity

WAIVED = "waived"
SYMBOLS = {
    "unreachable": "!",
    str(Severity.ERROR): "✗",
    str(Severity.WARNING): "≠",
    str(Severity.NOTE): "i",
    WAIVED: "~",
    str(Verdict.IGNORED): "~",
    str(Verdict.SAME): "✓",
    str(Verdict.SKIPPED): "·",
}
"""What stands in a cell, so that its colour is not all that tells; the worst first."""

MEANINGS = {
    "unreachable": "could not be looked at",
    str(Severity.ERROR): "error",
    str(Severity.WARNING): "warning",
    str(Severity.NOTE): "note",
    WAIVED: "waived",
    str(Verdict.IGNORED): "failed, which the playbook ignores",
    str(Verdict.SAME): "as the playbook says",
    str(Verdict.SKIPPED): "not compared",
}
_ORDER = list(SYMBOLS)


class Column(Struct, frozen=True):
    """A task (`item` is its number), or a kind of finding that is about no task (`code`)."""

    title: str
    hint: str
    item: int | None = None
    code: str | None = None


class Mark(Struct, frozen=True):
    """What a host has in a column: a key of `SYMBOLS`, or nothing; and its findings, by their places in the list."""

    kind: str
    findings: tuple[int, ...] = ()


class Row(Struct, frozen=True):
    """A host; `marks` are in the order of columns, and none at all where all is well and need not be shown."""

    host: str
    kind: str
    findings: tuple[int, ...]
    groups: tuple[str, ...]
    marks: tuple[Mark, ...]
    lost: bool


class Matrix(Struct, frozen=True):
    """Columns, and rows in the report's order."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


def matrix(report: DriftReport, shared: Sequence[Shared], *, fold: bool) -> Matrix:
    """Return the matrix.

    Args:
        report: the report.
        shared: all its findings, as the page lists them.
        fold: whether rows without any finding are to have no marks.
    """
    columns = (*_tasks(report), *_kinds(report))
    found: dict[str, list[tuple[int, Finding]]] = {}
    for number, each in enumerate(shared):
        for finding in each.findings:
            found.setdefault(finding.host, []).append((number, finding))
    rows = tuple(_row(host, columns, found.get(host.name, []), fold) for host in report.hosts)
    return Matrix(columns, rows)


def kind(finding: Finding) -> str:
    """Return the key of `SYMBOLS` for a finding."""
    if finding.waiver is not None:
        return WAIVED
    return "unreachable" if words.is_lost(finding) else str(finding.severity)


def _tasks(report: DriftReport) -> list[Column]:
    return [
        Column(
            words.title(item),
            f"{item.task.module}, {item.task.location}",
            item=item.number,
        )
        for item in report.items
    ]


def _kinds(report: DriftReport) -> list[Column]:
    """Return a column for each code of findings that are not about a task, the worst first."""
    others = [each for each in report.findings if _code(each) is not None]
    codes: Mapping[str, Finding] = {each.code: each for each in sorted(others, key=lambda each: -each.severity.rank)}
    ordered = sorted(codes.values(), key=lambda each: (each.severity.rank, each.code))
    return [Column(each.code, words.AGAINST[each.against], code=each.code) for each in ordered]


def _code(finding: Finding) -> str | None:
    return None if finding.against is Against.PLAYBOOK or words.is_lost(finding) else finding.code


def _row(host: HostReport, columns: Sequence[Column], found: Sequence[tuple[int, Finding]], fold: bool) -> Row:
    of_items: dict[int | None, tuple[int, Finding]] = {}
    of_codes: dict[str | None, list[tuple[int, Finding]]] = {}
    for number, finding in found:
        if finding.against is Against.PLAYBOOK:
            of_items[finding.item] = number, finding
        else:
            of_codes.setdefault(_code(finding), []).append((number, finding))
    marks: list[Mark] = []
    if found or not fold:
        for column in columns:
            if column.code is not None:
                marks.append(_worst(of_codes.get(column.code, [])))
            elif column.item in of_items:
                number, finding = of_items[column.item]
                marks.append(Mark(kind(finding), (number,)))
            else:
                marks.append(_cell(host.cells.get(column.item or 0)))
    row = _worst(found)
    calm = str(host.verdict if not host.verdict.is_finding else Verdict.SAME)
    return Row(host.name, row.kind or calm, row.findings, host.groups, tuple(marks), host.lost is not None)


def _worst(found: Sequence[tuple[int, Finding]]) -> Mark:
    kinds = sorted((kind(finding) for _, finding in found), key=_ORDER.index)
    return Mark(kinds[0] if kinds else "", tuple(dict.fromkeys(number for number, _ in found)))


def _cell(cell: Cell | None) -> Mark:
    """Return the mark of a cell that is no finding; one that was not looked at has none."""
    return Mark("" if cell is None or cell.verdict.is_finding else str(cell.verdict))
