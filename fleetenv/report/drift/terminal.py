"""The drift report for a terminal or a pipe.

Hosts with the very same findings share a section, so that 400 hosts with three kinds of damage are three sections.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fleetenv.drift.report import Cell, DriftReport, HostReport, Item, Uneven, Verdict
from fleetenv.report.difference import part, value_text
from fleetenv.report.hosts import fold_hosts
from fleetenv.report.text import counted, visible, visible_line

_MAX_SECTIONS = 30
_MAX_DIFFERENCES = 8
_MAX_DIFF_LINES = 24
_MAX_UNEVEN = 12
_MAX_NAMES = 400  # characters of folded host names
_MAX_SAME = 160  # likewise, of hosts that nobody needs to look at
_ALL = "all of them with --format html or json"

_STYLES = {
    Verdict.UNREACHABLE: "bold red",
    Verdict.FAILED: "red",
    Verdict.DRIFT: "yellow",
    Verdict.IGNORED: "magenta",
    Verdict.SAME: "green",
    Verdict.SKIPPED: "dim",
}
_SYMBOLS = {
    Verdict.UNREACHABLE: "!",
    Verdict.FAILED: "✗",
    Verdict.DRIFT: "≠",
    Verdict.IGNORED: "~",
    Verdict.SAME: "✓",
    Verdict.SKIPPED: "·",
}
_ASCII = {"✗": "x", "≠": "#", "✓": "=", "·": "."}


@dataclass(frozen=True, slots=True)
class _Section:
    """Hosts that have the same findings."""

    hosts: tuple[HostReport, ...]

    @property
    def first(self) -> HostReport:
        return self.hosts[0]


def print_drift(report: DriftReport, console: Console) -> None:
    """Print the report: no line ends in blanks, and what the stream cannot encode is escaped."""
    with console.capture() as captured:
        _Printer(report, console).print()
    for line in captured.get().splitlines():
        encoded = line.rstrip().encode(console.encoding, "backslashreplace")
        console.file.write(encoded.decode(console.encoding) + "\n")


class _Printer:
    def __init__(self, report: DriftReport, console: Console) -> None:
        self._report = report
        self._console = console
        self._plain = not console.encoding.lower().startswith("utf")

    def print(self) -> None:
        sections = _sections(self._report)
        for section in sections[:_MAX_SECTIONS]:
            self._say(self._section(section))
        for section in sections[_MAX_SECTIONS:]:
            self._say(Text("  ").append(self._heading(section)))
        if len(sections) > _MAX_SECTIONS:
            self._say(Text(f"{len(sections) - _MAX_SECTIONS} kinds of findings are only named; {_ALL}", "dim"))
        uneven = [each for each in self._report.uneven if not each.in_playbook]
        if uneven:
            self._say(self._uneven(uneven))
        self._say(self._summary())

    def _say(self, renderable: RenderableType) -> None:
        self._console.print(renderable, highlight=False, markup=False)

    def _symbol(self, verdict: Verdict) -> str:
        symbol = _SYMBOLS[verdict]
        return _ASCII.get(symbol, symbol) if self._plain else symbol

    def _heading(self, section: _Section) -> Text:
        verdict = section.first.verdict
        heading = Text(f"{self._symbol(verdict)} ", _STYLES[verdict])
        heading.append(_names(host.name for host in section.hosts), "bold")
        if len(section.hosts) > 1:
            heading.append(f"  ({len(section.hosts)} hosts)", "dim")
        return heading

    def _section(self, section: _Section) -> RenderableType:
        parts: list[RenderableType] = [self._heading(section)]
        if section.first.lost is not None:
            lost = Text(f"could not be looked at: {visible_line(section.first.lost)}", "red")
            parts.append(_indented(lost, 2))
        for number, cell in section.first.findings:
            parts += [_indented(part, 2) for part in self._cell(self._report.items[number], cell)]
        return Group(*parts, Text())

    def _cell(self, item: Item, cell: Cell) -> Iterator[RenderableType]:
        yield (
            Text(_title(item))
            .append(" (simulated)" if cell.simulated else "", "magenta")
            .append(f"  {item.task.location.file}:{item.task.location.line}", "dim")
        )
        if cell.msg:
            yield _indented(Text(visible(cell.msg), _STYLES[cell.verdict]), 2)
        elif not cell.essential:
            yield _indented(Text("differs; how is not told (no_log, or an action)", "dim"), 2)
        values, contents = part(cell.essential)
        table = _table("", "wanted", "found")
        for each in values[:_MAX_DIFFERENCES]:
            wanted, found = Text(value_text(each.wanted), "green"), Text(value_text(each.found), "red")
            table.add_row(visible_line(each.key), wanted, found)
        if values:
            yield _indented(table, 2)
        if len(values) > _MAX_DIFFERENCES:
            yield _indented(Text(f"and {len(values) - _MAX_DIFFERENCES} more; {_ALL}", "dim"), 2)
        for content in contents:
            yield from _content(content.lines)

    def _uneven(self, uneven: Sequence[Uneven]) -> RenderableType:
        parts: list[RenderableType] = [Text("Not the same everywhere", "bold")]
        for each in uneven[:_MAX_UNEVEN]:
            title = Text(f"{_title(each.item)}: {visible_line(each.key)}")
            parts.append(_indented(title.append(" (simulated)" if each.simulated else "", "magenta"), 2))
            table = _table("", "", "")
            table.show_header = False
            for place, (value, hosts) in enumerate(each.values):
                most = place == 0 and each.has_majority
                value_shown = Text(value_text(value), "" if most else "yellow")
                table.add_row(value_shown, counted(len(hosts), "host"), "" if most else _names(hosts))
            parts.append(_indented(table, 4))
        if len(uneven) > _MAX_UNEVEN:
            more = Text(f"and {len(uneven) - _MAX_UNEVEN} more; {_ALL}", "dim")
            parts.append(_indented(more, 2))
        return Group(*parts, Text())

    def _summary(self) -> RenderableType:
        report, counts = self._report, self._report.counts
        parts: list[RenderableType] = []
        same = [host.name for host in report.hosts if not host.verdict.is_finding]
        if same:
            names = _names(same)
            shown = names if len(names) <= _MAX_SAME else counted(len(same), "host")
            line = Text(f"{self._symbol(Verdict.SAME)} ", _STYLES[Verdict.SAME])
            parts.append(line.append(f"as the playbook says: {shown}"))
        differ = counts[Verdict.DRIFT] + counts[Verdict.FAILED]
        words = [f"{differ} of {counted(len(report.hosts), 'host')} differ from the playbook"]
        words += [f"{counts[Verdict.UNREACHABLE]} could not be looked at"] if counts[Verdict.UNREACHABLE] else []
        words += ["interrupted"] if report.interrupted else []
        found = counted(len(report.drifting), "finding")
        text = f"{', '.join(words)}; {found} in {report.seconds:.1f} s, nothing was changed"
        parts.append(Text(text, "bold"))
        if report.simulated:
            parts.append(Text(f"the GPUs of {counted(report.simulated, 'host')} are simulated", "magenta"))
        return Group(*parts)


def _content(lines: Sequence[str]) -> Iterator[RenderableType]:
    for line in lines[:_MAX_DIFF_LINES]:
        yield _indented(Text(line, {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")), 2)
    if len(lines) > _MAX_DIFF_LINES:
        yield _indented(Text(f"and {len(lines) - _MAX_DIFF_LINES} more lines; {_ALL}", "dim"), 2)


def _sections(report: DriftReport) -> list[_Section]:
    """Group hosts by what would be printed of them: the worst first, then the commonest."""
    groups: dict[object, list[HostReport]] = {}
    for host in report.hosts:
        if host.verdict.is_finding:
            groups.setdefault(_signature(host), []).append(host)
    sections = [_Section(tuple(hosts)) for hosts in groups.values()]
    order = list(Verdict)
    return sorted(sections, key=lambda each: (order.index(each.first.verdict), -len(each.hosts)))


def _signature(host: HostReport) -> object:
    return host.lost, tuple(
        (
            number,
            cell.verdict,
            cell.msg,
            tuple((d.key, value_text(d.wanted), value_text(d.found)) for d in cell.essential),
        )
        for number, cell in host.findings
    )


def _indented(renderable: RenderableType, columns: int) -> Padding:
    return Padding(renderable, (0, 0, 0, columns), expand=False)


def _table(*headers: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for header in headers:
        table.add_column(header, overflow="fold")
    return table


def _title(item: Item) -> str:
    role = f"{item.task.role} : " if item.task.role else ""
    return visible_line(role + item.title)


def _names(names: Sequence[str] | Iterator[str]) -> str:
    folded = visible_line(fold_hosts(names))
    return folded if len(folded) <= _MAX_NAMES else f"{folded[:_MAX_NAMES]}..."
