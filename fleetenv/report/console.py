"""What a run prints: a line for each thing that happened, and a recap. Plain text with colours, nothing that moves."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterable, Iterator

from fleetenv.events import Event, HostLost, PlayStarted, RunFinished, RunStarted, Sink, Status, TaskFinished
from fleetenv.report.difference import unified_diff, value_text
from fleetenv.report.hosts import fold_hosts
from fleetenv.report.recap import HostCounts, Recap
from fleetenv.report.text import visible, visible_line
from fleetenv.state import Diff, State

Say = Callable[[str, str], None]
"""Prints one line in a style: '', or a colour's name, perhaps with 'bold '."""

STYLES = {
    Status.OK: "green",
    Status.CHANGED: "yellow",
    Status.FAILED: "red",
    Status.IGNORED: "magenta",
    Status.RESCUED: "magenta",
    Status.SKIPPED: "cyan",
    Status.UNREACHABLE: "bold red",
}
_ROWS_SHOWN = 24  # more hosts than this, and those with equal counts share a row
_LAST_LINES = 10  # of what a command that failed had to say
_WRONG = frozenset({Status.FAILED, Status.IGNORED, Status.RESCUED})
_TALKATIVE = frozenset({"debug"})  # modules whose message is their purpose


class Console(Sink):
    """Tells a run to a person. `verbosity` 0: what changed or failed; 1: also what was fine; 2: also results."""

    def __init__(self, say: Say, *, verbosity: int = 0, diff: bool = False) -> None:
        self._say = say
        self._verbosity = verbosity
        self._diff = diff
        self._recap = Recap()
        self._check_mode = False

    def __call__(self, event: Event) -> None:
        """Take one event."""
        self._recap(event)
        match event:
            case RunStarted():
                self._check_mode = event.check_mode
            case PlayStarted():
                self._say(f"PLAY [{visible_line(event.play)}] on {counted(len(event.hosts), 'host')}", "bold")
            case TaskFinished():
                self._task(event)
            case HostLost():
                self._say(f"unreachable: [{event.host}] {visible_line(event.reason)}", STYLES[Status.UNREACHABLE])
            case RunFinished():
                self._finish(event)

    def close(self) -> None:
        """Everything was said already."""

    def _task(self, event: TaskFinished) -> None:
        quiet = event.status in (Status.OK, Status.SKIPPED)
        talks = event.task.module in _TALKATIVE and event.status is not Status.SKIPPED
        if quiet and not self._verbosity and not talks:
            return
        role = f"{event.task.role} : " if event.task.role else ""
        item = f" ({visible_line(event.item)})" if event.item is not None else ""
        would = " (check mode)" if self._check_mode and event.status is Status.CHANGED else ""
        line = f"{event.status}: [{event.host}] {visible_line(role + event.task.name)}{item}{would}"
        message = visible(event.msg)
        self._say(f"{line}: {message}" if message and "\n" not in message else line, STYLES[event.status])
        if "\n" in message:
            self._indented(message.splitlines(), "")
        if self._diff and event.diff:
            self._indented(_diff_lines(event.diff), "diff")
        if event.status in _WRONG:
            for stream in ("stderr", "stdout"):
                self._indented(visible(str(event.result.get(stream) or "")).splitlines()[-_LAST_LINES:], "")
        if self._verbosity > 1 and event.result:
            self._indented(visible(json.dumps(event.result, indent=2, default=str)).splitlines(), "")

    def _indented(self, lines: Iterable[str], kind: str) -> None:
        for line in lines:
            style = ""
            if kind == "diff":
                style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
            self._say(f"    {line}", style)

    def _finish(self, event: RunFinished) -> None:
        self._say("", "")
        self._say("RECAP", "bold")
        for name, counts in _rows(self._recap.hosts):
            self._say(f"  {name}  {_counts(counts)}", _row_style(counts))
        self._say(self._summary(event), "bold")

    def _summary(self, event: RunFinished) -> str:
        hosts = self._recap.hosts.values()
        failed = sum(bool(each.failed) for each in hosts)
        unreachable = sum(bool(each.unreachable) for each in hosts)
        changed = sum(each.changed for each in hosts)
        idle = sum(not any(each.as_tuple()) for each in hosts)  # the run ended before them, or chose no task for them
        words = [
            f"{counted(len(hosts) - failed - unreachable - idle, 'host')} "
            + ("would converge" if self._check_mode else "converged"),
            f"{changed} would change" if self._check_mode else f"{changed} changed",
        ]
        words += [f"{counted(failed, 'host')} failed"] if failed else []
        words += [f"{counted(unreachable, 'host')} unreachable"] if unreachable else []
        words += [f"{counted(idle, 'host')} came to no task"] if idle else []
        if event.interrupted:
            words = ["interrupted", f"{changed} changed so far"]
        trips = max(event.round_trips.values(), default=0)
        asked = f", at most {counted(trips, 'round trip')} a host" if trips else ""
        return f"{', '.join(words)} in {duration(event.seconds)}{asked}"


def _rows(hosts: dict[str, HostCounts]) -> list[tuple[str, HostCounts]]:
    if len(hosts) <= _ROWS_SHOWN:
        width = max((len(host) for host in hosts), default=0)
        return [(host.ljust(width), counts) for host, counts in hosts.items()]
    alike: dict[tuple[int, ...], list[str]] = {}
    for host, counts in hosts.items():
        alike.setdefault(counts.as_tuple(), []).append(host)
    rows = sorted(alike.items(), key=lambda row: -len(row[1]))
    named = [(_named(names), hosts[names[0]]) for _, names in rows]
    width = max(len(name) for name, _ in named)
    return [(name.ljust(width), counts) for name, counts in named]


def _named(names: list[str]) -> str:
    return f"{counted(len(names), 'host')}: {textwrap.shorten(fold_hosts(names), 60, placeholder=' ...')}"


def _diff_lines(diff: Diff[State]) -> Iterator[str]:
    for each in diff.differences:
        yield from unified_diff(each) or [f"{each.key}: {value_text(each.found)} -> {value_text(each.wanted)}"]


def _counts(counts: HostCounts) -> str:
    text = (
        f"ok={counts.ok:<3} changed={counts.changed:<3} unreachable={counts.unreachable} "
        f"failed={counts.failed} skipped={counts.skipped:<3}"
    )
    extra = [f"{name}={value}" for name, value in (("rescued", counts.rescued), ("ignored", counts.ignored)) if value]
    return " ".join([text, *extra]).rstrip()


def _row_style(counts: HostCounts) -> str:
    if counts.unreachable or counts.failed:
        return "red"
    return "yellow" if counts.changed else "green"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural where English wants it."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def duration(seconds: float) -> str:
    """Return a duration as people write it."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"
