"""Findings against the playbook: tasks that `apply` would change or cannot carry out, and hosts out of reach."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from fleetenv.drift.changed_files import by_package
from fleetenv.drift.commands import Commands
from fleetenv.drift.finding import Against, Finding
from fleetenv.drift.report import Cell, HostReport, Item, Verdict
from fleetenv.severity import Severity
from fleetenv.state import Content, Difference, Leaf

UNREACHABLE = "unreachable"
DRIFT = "drift"
FAILED = "failed"

_MOST = 4  # differences that a text names
_MAX_VALUE = 100  # characters


def task_findings(items: Sequence[Item], hosts: Iterable[HostReport], commands: Commands) -> Iterator[Finding]:
    """Yield what differs from the playbook, host by host, in the playbook's order."""
    subjects = task_subjects(items)
    for host in hosts:
        if host.lost is not None:
            yield _lost(host.name, host.lost, commands)
        for number, cell in host.findings:
            if cell.verdict is not Verdict.UNREACHABLE:  # that is what the host was lost for
                yield _finding(host.name, items[number], subjects[number], cell, commands)


def value_words(value: Leaf) -> str:
    """Return a value in few words, as it came from the host: not safe to show unescaped."""
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case Content():
            return f"sha256 {value.sha256[:12]}"
        case tuple():
            return _short(", ".join(value_words(each) for each in value))
        case Mapping():
            return _short(", ".join(f"{key}: {value_words(value[key])}" for key in value))
        case _:
            return _short(str(value))


def _lost(host: str, reason: str, commands: Commands) -> Finding:
    return Finding(
        code=UNREACHABLE,
        host=host,
        subject="connection",
        against=Against.REACH,
        severity=Severity.ERROR,
        text=f"could not be looked at: {reason}",
        advice=f"see that it is up and lets you in: {commands.on(host, 'ping')}",
    )


def _finding(host: str, item: Item, subject: str, cell: Cell, commands: Commands) -> Finding:
    failed = cell.verdict is Verdict.FAILED
    command = commands.apply(host, item.task.tags)
    return Finding(
        code=FAILED if failed else DRIFT,
        host=host,
        subject=subject,
        against=Against.PLAYBOOK,
        severity=Severity.ERROR if failed else Severity.WARNING,
        text=(cell.msg or "failed") if failed else _words(cell),
        advice=f"mend what it says, then: {command}" if failed else command,
        item=item.number,
        simulated=cell.simulated,
    )


def _words(cell: Cell) -> str:
    if cell.is_absent:
        return "is not there"
    if not cell.essential:
        return cell.msg or "differs; how is not told (no_log, or an action)"
    differences = by_package(cell.essential)
    told = [_difference(each) for each in differences[:_MOST]]
    more = len(differences) - _MOST
    return "; ".join([*told, *([f"and {more} more"] if more > 0 else [])])


def _difference(difference: Difference) -> str:
    if isinstance(difference.wanted, Content) and isinstance(difference.found, Content):
        return f"{difference.key} differs"
    if difference.wanted is None and " files " in difference.key:
        return f"{difference.key}: {value_words(difference.found)}"
    return f"{difference.key}: wanted {value_words(difference.wanted)}, found {value_words(difference.found)}"


def task_subjects(items: Sequence[Item]) -> list[str]:
    """Name items so that the name is the same on another day: without lines, and apart where titles are equal."""
    titles = [f"{item.task.role} : {item.title}" if item.task.role else item.title for item in items]
    seen: Counter[str] = Counter()
    named = []
    for title in titles:
        seen[title] += 1
        named.append(title if seen[title] == 1 else f"{title} #{seen[title]}")
    return named


def _short(text: str) -> str:
    return text if len(text) <= _MAX_VALUE else f"{text[: _MAX_VALUE - 3]}..."
