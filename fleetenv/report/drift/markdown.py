"""The drift report in Markdown, for an issue or a chat: a table, and below it what is longer, folded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape

from fleetenv.drift.changed_files import by_package
from fleetenv.drift.report import Cell, DriftReport, Uneven, Verdict
from fleetenv.report.difference import part, value_text
from fleetenv.report.drift import words
from fleetenv.report.drift.sections import Shared, Sharing, untold_notes
from fleetenv.report.text import clipped, counted, visible_line
from fleetenv.severity import Severity

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&@$]|:(?=//))")
_MAX_SIZE = 60_000  # characters; an issue on GitHub holds 65536
_ROWS = (60, 15, 5, 0)  # of a table or a list: the most that fit
_MAX_DIFF_LINES = 60
_MAX_DIFFERENCES = 20  # of one task on one host
_MAX_TEXT = 300  # characters in a cell of the table
_MAX_NAMES = 400  # characters of folded host names


def drift_markdown(report: DriftReport) -> str:
    """Return the document (GitHub's Markdown), which an issue can hold.

    Texts from hosts stand escaped, or in code that they cannot end.
    """
    for rows in _ROWS:
        document = "\n".join([*_lines(report, rows), ""])
        if len(document) <= _MAX_SIZE:
            break
    return document


def _lines(report: DriftReport, rows: int) -> Iterator[str]:
    sharing = Sharing(report)
    findings = sharing.shared(report.drifting)
    yield f"## Drift: {_escaped(report.playbook)}"
    yield ""
    yield _summary(report)
    if findings:
        yield from ("", "| | hosts | what | found | mend |", "| --- | --- | --- | --- | --- |")
        yield from (_row(report, shared) for shared in findings[:rows])
        if len(findings) > rows:
            yield f"| | | and {len(findings) - rows} more kinds | | |"
    yield from _details(report, findings, rows // 3)
    yield from _notes(sharing.shared([*untold_notes(report), *(each for each in report.findings if each.waiver)]), rows)
    uneven = [each for each in report.uneven if not each.in_playbook]
    if uneven:
        more = [f"and {len(uneven) - rows} more values"] if len(uneven) > rows else []
        told = [line for each in uneven[:rows] for line in _uneven(each)]
        yield from _folded("Not the same everywhere", [*told, *more])


def _summary(report: DriftReport) -> str:
    counts = report.counts
    taken = f"{report.taken:%Y-%m-%d %H:%M %Z}: " if report.taken else ""
    return (
        f"{taken}{counted(len(report.hosts), 'host')}: **{counts[Verdict.DRIFT] + counts[Verdict.FAILED]} differ** "
        f"from the playbook, {counts[Verdict.UNREACHABLE]} could not be looked at; "
        f"{counted(len(report.drifting), 'finding')} in {report.seconds:.1f} s."
        + (f" The GPUs of {counted(report.simulated, 'host')} are simulated." if report.simulated else "")
        + (" **Interrupted.**" if report.interrupted else "")
    )


def _row(report: DriftReport, shared: Shared) -> str:
    finding = shared.first
    what = "*could not be looked at*" if words.is_lost(finding) else _what(shared)
    since = words.since(shared.findings, report)
    cells = (
        f"**{finding.severity}**" if finding.severity is Severity.ERROR else str(finding.severity),
        _escaped(words.hosts(shared.hosts, _MAX_NAMES)),
        f"{what}, {since}" if since else what,
        _code(words.line(finding, _MAX_TEXT)),
        _code(words.advice_for(finding, shared.hosts)) if finding.advice else "",
    )
    return f"| {' | '.join(cells)} |"


def _what(shared: Shared) -> str:
    return _escaped(shared.subject) + (" (simulated)" if shared.first.simulated else "")


def _details(report: DriftReport, findings: Sequence[Shared], most: int) -> Iterator[str]:
    """Yield all that differs, folded: of findings whose row cannot hold it."""
    detailed = [(each, each.cell) for each in findings if each.cell is not None and _is_long(each.cell)]
    for shared, cell in detailed[:most]:
        item = None if shared.first.item is None else report.items[shared.first.item]
        where = f" ({item.task.location.file}:{item.task.location.line})" if item else ""
        title = f"{words.hosts(shared.hosts, _MAX_NAMES)}: {shared.subject}{where}"
        yield from _folded(title, [*_differences(cell)])
    if len(detailed) > most:
        yield from ("", f"Of {len(detailed) - most} more kinds the details are left out.")


def _is_long(cell: Cell) -> bool:
    values, contents = part(cell.essential)
    return bool(contents) or len(values) > 1


def _differences(cell: Cell) -> Iterator[str]:
    values, contents = part(by_package(cell.essential))
    if values:
        yield from ("| | wanted | found |", "| --- | --- | --- |")
        for each in values[:_MAX_DIFFERENCES]:
            wanted, found = _code(value_text(each.wanted)), _code(value_text(each.found))
            yield f"| {_code(words.name(each.key))} | {wanted} | {found} |"
        if len(values) > _MAX_DIFFERENCES:
            yield f"| and {len(values) - _MAX_DIFFERENCES} more | | |"
    for content in contents:
        yield from ("", f"{_escaped(words.name(content.key))}:", "", *_fenced(content.lines))


def _notes(notes: Sequence[Shared], most: int) -> Iterator[str]:
    """Yield what does not count: notes, and what is waived."""
    lines = []
    for shared in notes[:most]:
        finding = shared.first
        waiver = finding.waiver
        why = f", *waived: {_escaped(words.waiver(waiver))}*" if waiver else ""
        hosts = _escaped(words.hosts(shared.hosts, _MAX_NAMES))
        lines.append(f"- {hosts}: {_what(shared)}: {_code(words.line(finding, _MAX_TEXT))}{why}")
    if len(notes) > most:
        lines.append(f"- and {len(notes) - most} more")
    if lines:
        yield from _folded("Notes, and what is waived", lines)


def _uneven(uneven: Uneven) -> Iterator[str]:
    simulated = " (simulated)" if uneven.simulated else ""
    yield f"{_escaped(words.title(uneven.item))}{simulated}: {_code(words.name(uneven.key))}"
    yield ""
    for value, hosts in uneven.values[:_MAX_DIFFERENCES]:
        yield f"- {_code(value_text(value))} on {len(hosts)}: {_escaped(words.hosts(hosts, _MAX_NAMES))}"
    yield ""


def _folded(title: str, lines: Sequence[str]) -> Iterator[str]:
    """Yield a section that GitHub and GitLab show closed: its title is HTML, what follows the blank line Markdown."""
    yield from ("", f"<details><summary>{escape(visible_line(title))}</summary>", "", *lines, "", "</details>")


def _escaped(text: str) -> str:
    """Escape Markdown, and so HTML: a backslash before `<` and `&` makes them text for both."""
    return _SPECIAL.sub(r"\\\1", visible_line(clipped(text, _MAX_NAMES)))


def _code(text: str) -> str:
    """Return inline code in a table cell: its fence is longer than any run of backticks, and no bar ends the cell."""
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    bare = text.replace("|", "\\|")
    return f"{fence}{bare}{fence}" if len(fence) == 1 else f"{fence} {bare} {fence}"


def _fenced(lines: Sequence[str]) -> list[str]:
    shown = lines[:_MAX_DIFF_LINES]
    fence = "`" * max(3, 1 + max((len(run) for line in shown for run in re.findall("`+", line)), default=0))
    more = [f"... and {len(lines) - len(shown)} more lines"] if len(lines) > len(shown) else []
    return [f"{fence}diff", *shown, *more, fence]
