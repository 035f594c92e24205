"""One past run, and one host of it, for a terminal or a pipe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePath

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.text import Text

from fleetenv.drift.changed_files import by_package
from fleetenv.drift.finding import Finding
from fleetenv.drift.snapshot import Plain
from fleetenv.events import Status
from fleetenv.history.model import HostRun, Origin, Run, Standing, TaskResult
from fleetenv.remote import sh
from fleetenv.report.console import STYLES
from fleetenv.report.difference import NOTHING
from fleetenv.report.drift import words
from fleetenv.report.drift.sections import Shared, alike
from fleetenv.report.history.listing import by, outcome, playbook_of, took
from fleetenv.report.hosts import name_hosts
from fleetenv.report.recap import HostCounts
from fleetenv.report.rows import recap_rows
from fleetenv.report.tables import plain_table, print_parts
from fleetenv.report.text import clipped, counted, visible, visible_line
from fleetenv.severity import Severity

_ROWS = 40  # findings, or differences of a task
_VALUE = 300  # characters
_NAMES = 120  # characters of folded host names
_SEVERITIES = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
_MORE = "--json has all of them"


def print_run(
    run: Run, hosts: Sequence[HostRun], findings: Sequence[Finding], console: Console, folder: PurePath
) -> None:
    """Print a run: what it was, its hosts, those that were lost or failed by name, and its findings.

    A playbook outside of git is named as one would type it in `folder`; so in `print_host`.
    """
    print_parts(console, [*_head(run, folder), *_hosts(hosts), *_lost(hosts), *_findings(findings, named=True)])


def print_host(
    run: Run,
    host: HostRun,
    results: Sequence[TaskResult],
    findings: Sequence[Finding],
    console: Console,
    folder: PurePath,
) -> None:
    """Print one host of a run, task by task."""
    title = Text(visible_line(host.host), "bold").append(f"  in {_title(run, folder)}", "not bold")
    parts: list[RenderableType] = [title]
    if host.groups:
        parts.append(Text(f"  in {_groups(host.groups)}", "dim"))
    if host.lost is not None:
        parts.append(Text(f"  lost: {visible_line(host.lost)}", "red"))
    for each in results:
        parts += _result(each)
    if not results:
        parts.append(Text("  no task was recorded"))
    print_parts(console, [*parts, *_findings(findings, named=False)])


def _title(run: Run, folder: PurePath) -> str:
    return visible_line(
        f"run {run.number}: {run.errand.kind} of {playbook_of(run, folder)}, {run.started:%Y-%m-%d %H:%M}"
    )


def _groups(names: Sequence[str]) -> str:
    return f"{'group' if len(names) == 1 else 'groups'} {visible_line(', '.join(names))}"


def _head(run: Run, folder: PurePath) -> Iterator[RenderableType]:
    errand = run.errand
    yield Text(f"run {run.number}  {errand.kind} of {visible_line(playbook_of(run, folder))}", "bold")
    rows = [
        ("started", f"{run.started:%Y-%m-%d %H:%M:%S %Z} by {by(run)}, took {took(run)}"),
        ("command", sh("fleetenv", *errand.command)),
        ("playbook", _revision(errand.playbook)),
        *(("inventory", f"{each.path}: {_revision(each)}") for each in errand.inventory),
    ]
    table = plain_table(("what", ""), narrow=("what",))
    table.show_header = False
    for name, text in rows:
        table.add_row(Text(f"  {name}", "dim"), Text(visible_line(text)))
    ended = outcome(run)
    if run.exit_status is not None:
        ended.append(f" (exit status {run.exit_status})", "dim")
    table.add_row(Text("  ended", "dim"), ended)
    for warning in run.warnings:
        table.add_row(Text("  warning", "magenta"), Text(visible_line(warning)))
    yield table


def _revision(origin: Origin) -> str:
    if origin.commit is None:
        return "not in git"
    return f"commit {origin.commit[:12]}{', with changes on top' if origin.dirty else ''}"


def _hosts(hosts: Sequence[HostRun]) -> Iterator[RenderableType]:
    if not hosts:
        return
    yield Text("")
    counts = {
        each.host: HostCounts(
            ok=each.ok,
            changed=each.changed,
            failed=each.failed,
            skipped=each.skipped,
            unreachable=int(each.standing is Standing.LOST),
            rescued=each.rescued,
            ignored=each.ignored,
        )
        for each in hosts
    }
    yield from (Text(visible_line(row.text), row.style) for row in recap_rows(counts))


def _lost(hosts: Sequence[HostRun]) -> Iterator[RenderableType]:
    reasons: dict[str, list[str]] = {}
    for each in hosts:
        if each.lost is not None:
            reasons.setdefault(each.lost, []).append(each.host)
    if reasons:
        yield Text("\nlost", "bold")
    for reason, names in reasons.items():
        for line in name_hosts(names, everyone=True):
            yield Text(f"  {visible_line(line)}", "red")
        yield Padding(Text(visible_line(reason)), (0, 0, 0, 4))


def _findings(findings: Sequence[Finding], *, named: bool) -> Iterator[RenderableType]:
    """Yield findings, the worst first; hosts that have the very same share one."""
    if not findings:
        return
    shared = [Shared(group) for group in alike(sorted(findings, key=lambda each: each.severity.rank))]
    yield Text(f"\n{counted(len(findings), 'finding')}", "bold")
    for each in shared[:_ROWS]:
        first = each.first
        title = Text(f"  {first.severity}", _SEVERITIES[first.severity])
        hosts = words.hosts(each.hosts, _NAMES)
        if named:
            title.append(f"  {hosts if len(each.hosts) == 1 else counted(len(each.hosts), 'host')}", "bold")
        title.append(f"  {each.subject}", "not bold")
        title.append(" (simulated)" if first.simulated else "", "magenta")
        seen = min((one.first_seen for one in each.findings if one.first_seen), default=None)
        title.append(f"  [{first.code}]{f'  since {seen:%Y-%m-%d}' if seen else ''}", "dim")
        yield title
        if len(each.hosts) > 1:
            yield Padding(Text(hosts, "bold"), (0, 0, 0, 4))
        yield Padding(Text(words.text(first)), (0, 0, 0, 4))
        if first.advice:
            yield Text(f"    -> {words.advice_for(first, each.hosts)}", "cyan", no_wrap=True)
        if first.waiver is not None:
            yield Padding(Text(f"waived: {words.waiver(first.waiver)}", "magenta"), (0, 0, 0, 4))
    yield from _rest(len(shared))


def _result(result: TaskResult) -> Iterator[RenderableType]:
    task = result.task
    role = f"{task.role} : " if task.role else ""
    item = f" ({result.item})" if result.item is not None else ""
    line = Text(f"  {result.status:<11}", STYLES[result.status])
    line.append(visible_line(f"{role}{task.name}{item}"), "not bold" if result.status is Status.UNREACHABLE else "")
    line.append(" (simulated)" if result.simulated else "", "magenta")
    yield line.append(f"  {visible_line(task.location.file)}:{task.location.line}", "dim")
    if result.msg and result.status is not Status.SKIPPED:
        yield Padding(Text(visible(result.msg)), (0, 0, 0, 6))
    if result.differences:
        table = plain_table(("", "wanted", "found"))
        differences = by_package(result.differences)
        for each in differences[:_ROWS]:
            table.add_row(visible_line(each.key), Text(_value(each.wanted), "green"), Text(_value(each.found), "red"))
        yield Padding(table, (0, 0, 0, 6))
        yield from _rest(len(differences))


def _value(value: Plain) -> str:
    match value:
        case None:
            return NOTHING
        case bool():
            return "yes" if value else "no"
        case list():
            return clipped(", ".join(_value(each) for each in value), _VALUE) or NOTHING
        case {"sha256": str(digest)}:
            return f"sha256 {digest[:12]}"
        case dict():
            return clipped(", ".join(f"{visible_line(key)}: {_value(each)}" for key, each in value.items()), _VALUE)
        case _:
            return clipped(visible_line(str(value)), _VALUE) or '""'


def _rest(number: int) -> Iterator[RenderableType]:
    if number > _ROWS:
        yield Text(f"  and {number - _ROWS} more; {_MORE}", "dim")
