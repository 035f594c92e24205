"""The drift report in Markdown, for an issue or a chat."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fleetenv.drift.report import Cell, DriftReport, Item, Uneven, Verdict
from fleetenv.report.difference import part, value_text
from fleetenv.report.hosts import fold_hosts
from fleetenv.report.text import counted, visible_line

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&@$]|:(?=//))")
_MAX_DIFF_LINES = 60
_MAX_DIFFERENCES = 20  # of one task on one host


def drift_markdown(report: DriftReport) -> str:
    """Return the document (GitHub's Markdown). Texts from hosts stand escaped, or in code that they cannot end."""
    return "\n".join([*_lines(report), ""])


def _lines(report: DriftReport) -> Iterator[str]:
    counts = report.counts
    yield f"## Drift: {_escaped(report.playbook)}"
    yield ""
    yield (
        f"{counted(len(report.hosts), 'host')}: **{counts[Verdict.DRIFT] + counts[Verdict.FAILED]} differ** from the "
        f"playbook, {counts[Verdict.UNREACHABLE]} could not be looked at; "
        f"{counted(len(report.drifting), 'finding')} in {report.seconds:.1f} s."
        + (f" The GPUs of {counted(report.simulated, 'host')} are simulated." if report.simulated else "")
        + (" **Interrupted.**" if report.interrupted else "")
    )
    yield from _findings(report)
    uneven = [each for each in report.uneven if not each.in_playbook]
    if uneven:
        yield ""
        yield "### Not the same everywhere"
        for each in uneven:
            yield from _uneven(each)


def _findings(report: DriftReport) -> Iterator[str]:
    """Yield a table of all findings, each with the hosts that have it, and below it how files differ."""
    rows: dict[str, list[str]] = {}
    contents: dict[tuple[str, ...], list[str]] = {}
    for host in report.hosts:
        if host.lost is not None:
            rows.setdefault(f"*could not be looked at* | {_code(visible_line(host.lost))} | |", []).append(host.name)
        for number, cell in host.findings:
            title = _title(report.items[number])
            for row in _rows(title, cell):
                rows.setdefault(row, []).append(host.name)
            for each in part(cell.essential)[1]:
                contents.setdefault((f"{title}: {_escaped(each.key)}", *each.lines), []).append(host.name)
    if rows:
        yield from ("", "| hosts | task | what | wanted | found |", "| --- | --- | --- | --- | --- |")
        yield from (f"| {_escaped(fold_hosts(hosts))} | {row} |" for row, hosts in rows.items())
    for (title, *lines), hosts in contents.items():
        yield from ("", f"{_escaped(fold_hosts(hosts))}, {title}", "", *_fenced(lines))


def _rows(title: str, cell: Cell) -> Iterator[str]:
    """Yield the cells after the host's, between bars."""
    shown = title + (" (simulated)" if cell.simulated else "")
    if cell.verdict is Verdict.FAILED or not cell.essential:
        what = _code(visible_line(cell.msg)) if cell.msg else "failed" if cell.verdict is Verdict.FAILED else "differs"
        yield f"{shown} | {what} | |"
    for each in cell.essential[:_MAX_DIFFERENCES]:
        wanted, found = _code(value_text(each.wanted)), _code(value_text(each.found))
        yield f"{shown} | {_code(visible_line(each.key))} | {wanted} | {found}"
    if len(cell.essential) > _MAX_DIFFERENCES:
        yield f"{shown} | and {len(cell.essential) - _MAX_DIFFERENCES} more | |"


def _uneven(uneven: Uneven) -> Iterator[str]:
    simulated = " (simulated)" if uneven.simulated else ""
    yield ""
    yield f"{_title(uneven.item)}{simulated}: {_code(visible_line(uneven.key))}"
    yield ""
    for value, hosts in uneven.values:
        yield f"- {_code(value_text(value))} on {len(hosts)}: {_escaped(fold_hosts(hosts))}"


def _title(item: Item) -> str:
    return _escaped(f"{item.task.role} : {item.title}" if item.task.role else item.title)


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", visible_line(text))


def _code(text: str) -> str:
    """Return inline code in a table cell: its fence is longer than any run of backticks, and no bar ends the cell."""
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    bare = text.replace("|", "\\|")
    return f"{fence}{bare}{fence}" if len(fence) == 1 else f"{fence} {bare} {fence}"


def _fenced(lines: list[str]) -> list[str]:
    shown = lines[:_MAX_DIFF_LINES]
    fence = "`" * max(3, 1 + max((len(run) for line in shown for run in re.findall("`+", line)), default=0))
    more = [f"... and {len(lines) - len(shown)} more lines"] if len(lines) > len(shown) else []
    return [f"{fence}diff", *shown, *more, fence]
