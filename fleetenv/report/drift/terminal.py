"""The drift report for a terminal or a pipe.

Hosts with the very same findings share a section, so that 400 hosts with three kinds of damage are three sections.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fleetenv.drift.changed_files import by_package
from fleetenv.drift.report import Cell, DriftReport, Uneven, Verdict
from fleetenv.report.difference import part, value_text
from fleetenv.report.drift import words
from fleetenv.report.drift.sections import Section, Shared, Sharing, untold_notes
from fleetenv.report.text import clipped, counted, visible_line
from fleetenv.severity import Severity

_MAX_TOLD = 40  # findings that are told in full
_MAX_NAMED = 12  # sections of which only the heading is shown
_MAX_SHARED = 12  # findings of a section, where there are more than that in all
_MAX_DIFFERENCES = 8
_MAX_DIFF_LINES = 24
_MAX_TEXT = 400  # characters of what is wrong
_MAX_UNEVEN = 12
_MAX_NOTES = 12
_MAX_NAMES = 240  # characters of folded host names
_MAX_SAME = 160  # likewise, of hosts that nobody needs to look at
_ALL = "all of them with --format html or json"
_WIDTH = 100  # columns of a file
_UNBROKEN = "\ue000"  # a space at which no line is broken; in texts of others it is escaped

_STYLES = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
_SYMBOLS = {Severity.ERROR: "✗", Severity.WARNING: "≠", Severity.NOTE: "·"}
_SAME, _LOST, _WAIVED, _MENDS = "✓", "!", "~", "→"
_ASCII = {"✗": "x", "≠": "#", "✓": "=", "·": ".", "→": "->"}


def drift_text(report: DriftReport) -> str:
    """Return the report as plain text, for a file."""
    stream = io.StringIO()
    print_drift(report, Console(file=stream, width=_WIDTH, color_system=None, force_terminal=False))
    return stream.getvalue()


def print_drift(report: DriftReport, console: Console) -> None:
    """Print the report: no line ends in blanks, and what the stream cannot encode is escaped.

    Lines are no wider than the console, but for commands: those are to be copied.
    """
    with console.capture() as captured:
        _Printer(report, console).print()
    for line in captured.get().splitlines():
        encoded = line.replace(_UNBROKEN, " ").rstrip().encode(console.encoding, "backslashreplace")
        console.file.write(encoded.decode(console.encoding) + "\n")


class _Printer:
    def __init__(self, report: DriftReport, console: Console) -> None:
        self._report = report
        self._console = console
        self._plain = not console.encoding.lower().startswith("utf")
        self._sharing = Sharing(report)

    def print(self) -> None:
        sections = self._sharing.sections(self._report.drifting)
        told = _fitting(sections)
        few = sum(len(section.shared) for section in sections) <= _MAX_TOLD
        for section in sections[:told]:
            self._section(section, _MAX_TOLD if few else _MAX_SHARED)
        self._named(sections[told:])
        uneven = [each for each in self._report.uneven if not each.in_playbook]
        if uneven:
            self._uneven(uneven)
        self._notes()
        self._waived()
        self._summary()

    def _say(self, renderable: RenderableType, indent: int = 0) -> None:
        padded = Padding(renderable, (0, 0, 0, indent), expand=False) if indent else renderable
        self._console.print(padded, highlight=False, markup=False)

    def _symbol(self, symbol: str) -> str:
        return _ASCII.get(symbol, symbol) if self._plain else symbol

    def _heading(self, section: Section) -> Text:
        worst = section.worst
        symbol = _LOST if words.is_lost(worst) else _SYMBOLS[worst.severity]
        heading = Text(f"{self._symbol(symbol)} ", f"bold {_STYLES[worst.severity]}")
        heading.append(words.hosts(section.hosts, _MAX_NAMES), "bold")
        if len(section.hosts) > 1:
            heading.append(f"  ({len(section.hosts)} hosts)", "dim")
        return heading

    def _section(self, section: Section, most: int) -> None:
        self._say(self._heading(section))
        for shared in section.shared[:most]:
            self._shared(shared)
        if len(section.shared) > most:
            self._say(Text(f"and {counted(len(section.shared) - most, 'more finding')}; {_ALL}", "dim"), 2)
        self._say(Text())

    def _named(self, sections: Sequence[Section]) -> None:
        """Only name what would be too long."""
        for section in sections[:_MAX_NAMED]:
            subjects = ", ".join(each.subject for each in section.shared)
            self._say(self._heading(section).append(f"  {clipped(subjects, _MAX_NAMES)}", "dim"))
        if sections:
            hosts = {host for section in sections for host in section.hosts}
            told = (
                f"these, and more on {counted(len(hosts), 'host')}, are" if len(sections) > _MAX_NAMED else "these are"
            )
            self._say(Text(f"{told} not told in full; {_ALL}", "dim"))
            self._say(Text())

    def _shared(self, shared: Shared) -> None:
        finding, style = shared.first, _STYLES[shared.first.severity]
        text = Text(clipped(words.text(finding), _MAX_TEXT), style)
        if words.is_lost(finding):
            self._say(text.append(self._since(shared), "dim"), 2)
        else:
            title = Text(f"{self._symbol(_SYMBOLS[finding.severity])} ", style)
            title.append(shared.subject).append(" (simulated)" if finding.simulated else "", "magenta")
            self._say(title.append(self._where(shared), "dim"), 2)
            if not shared.is_told_by_values:
                self._say(text, 4)
        if shared.cell is not None:
            self._differences(shared.cell)
        if finding.advice:
            advice = Text(f"    {self._symbol(_MENDS)} ").append(words.advice_for(finding, shared.hosts), "cyan")
            self._console.print(advice, highlight=False, markup=False, soft_wrap=True)

    def _where(self, shared: Shared) -> str:
        """Return what is small print beside a finding's name: where the playbook speaks of it, its code, since when."""
        if shared.first.item is not None and shared.cell is not None:
            place = self._report.items[shared.first.item].task.location
            where = f"{visible_line(place.file)}:{place.line}"
        else:
            where = f"[{shared.first.code}]"
        return f"  {where}{self._since(shared)}"

    def _since(self, shared: Shared) -> str:
        since = words.since(shared.findings, self._report).replace(" ", _UNBROKEN)
        return f"  {since}" if since else ""

    def _differences(self, cell: Cell) -> None:
        values, contents = part(by_package(cell.essential))
        table = _table("", "wanted", "found")
        for each in values[:_MAX_DIFFERENCES]:
            wanted, found = Text(value_text(each.wanted), "green"), Text(value_text(each.found), "red")
            table.add_row(words.name(each.key), wanted, found)
        if values:
            self._say(table, 4)
        if len(values) > _MAX_DIFFERENCES:
            self._say(Text(f"and {len(values) - _MAX_DIFFERENCES} more; {_ALL}", "dim"), 4)
        for content in contents:
            for line in _content(content.lines):
                self._say(line, 4)

    def _uneven(self, uneven: Sequence[Uneven]) -> None:
        self._say(Text("Not the same everywhere", "bold"))
        for each in uneven[:_MAX_UNEVEN]:
            title = Text(f"{words.title(each.item)}: {words.name(each.key)}")
            self._say(title.append(" (simulated)" if each.simulated else "", "magenta"), 2)
            table = _table("", "", "")
            table.show_header = False
            for place, (value, hosts) in enumerate(each.values):
                most = place == 0 and each.has_majority
                value_shown = Text(value_text(value), "" if most else "yellow")
                table.add_row(value_shown, counted(len(hosts), "host"), "" if most else words.hosts(hosts, _MAX_NAMES))
            self._say(table, 4)
        if len(uneven) > _MAX_UNEVEN:
            self._say(Text(f"and {len(uneven) - _MAX_UNEVEN} more; {_ALL}", "dim"), 2)
        self._say(Text())

    def _notes(self) -> None:
        """Say what is worth knowing, in a line each."""
        notes = self._sharing.shared(untold_notes(self._report))
        if not notes:
            return
        self._say(Text("Worth knowing", "bold"))
        for shared in notes[:_MAX_NOTES]:
            note = Text(f"{self._symbol(_SYMBOLS[Severity.NOTE])} ", "cyan")
            note.append(words.hosts(shared.hosts, _MAX_SAME), "bold").append(f"  {shared.subject}: ")
            note.append(words.line(shared.first, _MAX_SAME)).append(self._where(shared), "dim")
            self._say(note, 2)
        if len(notes) > _MAX_NOTES:
            self._say(Text(f"and {len(notes) - _MAX_NOTES} more; {_ALL}", "dim"), 2)
        self._say(Text())

    def _waived(self) -> None:
        waived = [each for each in self._report.findings if each.waiver is not None]
        if waived:
            reasons = dict.fromkeys(words.waiver(each.waiver) for each in waived if each.waiver)
            hosts = words.hosts(sorted({each.host for each in waived}), _MAX_SAME)
            why = clipped("; ".join(reasons), _MAX_SAME)
            self._say(
                Text(f"{_WAIVED} ", "magenta").append(f"waived: {counted(len(waived), 'finding')} on {hosts}: {why}")
            )

    def _summary(self) -> None:
        report, verdicts = self._report, self._report.counts
        counts = Counter(each.severity for each in report.findings if each.waiver is None)
        drifting = {each.host for each in report.drifting}
        same = [host.name for host in report.hosts if not host.verdict.is_finding and host.name not in drifting]
        if same:
            names = words.hosts(same, _MAX_NAMES)
            shown = names if len(names) <= _MAX_SAME else counted(len(same), "host")
            self._say(Text(f"{self._symbol(_SAME)} ", "green").append(f"as the playbook says: {shown}"))
        differ = verdicts[Verdict.DRIFT] + verdicts[Verdict.FAILED]
        other = sum(not host.verdict.is_finding and host.name in drifting for host in report.hosts)
        verb = "differs" if 1 in (differ, len(report.hosts)) else "differ"
        parts = [f"{differ} of {counted(len(report.hosts), 'host')} {verb} from the playbook"]
        parts += [f"{other} {'has' if other == 1 else 'have'} other findings"] if other else []
        parts += [f"{verdicts[Verdict.UNREACHABLE]} could not be looked at"] if verdicts[Verdict.UNREACHABLE] else []
        parts += ["interrupted"] if report.interrupted else []
        findings = [counted(len(report.drifting), "finding")]
        findings += [counted(counts[Severity.NOTE], "note")] if counts[Severity.NOTE] else []
        told = f"{', '.join(parts)}; {', '.join(findings)} in {report.seconds:.1f} s, nothing was changed"
        self._say(Text(told, "bold"))
        if report.simulated:
            self._say(Text(f"the GPUs of {counted(report.simulated, 'host')} are simulated", "magenta"))


def _fitting(sections: Sequence[Section]) -> int:
    """Return how many sections are told in full: the first, and those with which it is not too much."""
    left = _MAX_TOLD
    for place, section in enumerate(sections):
        left -= min(len(section.shared), _MAX_SHARED)
        if left < 0 and place:
            return place
    return len(sections)


def _content(lines: Sequence[str]) -> Iterator[Text]:
    for line in lines[:_MAX_DIFF_LINES]:
        yield Text(line, {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], ""))
    if len(lines) > _MAX_DIFF_LINES:
        yield Text(f"and {len(lines) - _MAX_DIFF_LINES} more lines; {_ALL}", "dim")


def _table(*headers: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for header in headers:
        table.add_column(header, overflow="fold")
    return table
