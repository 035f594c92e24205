"""What a run prints: a line for each thing that happened, and a recap. Plain text with colours, nothing that moves."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping

from fleetenv.events import Event, HostLost, PlayStarted, RunFinished, RunStarted, Sink, Status, TaskFinished, Warned
from fleetenv.report.difference import unified_diff, value_text
from fleetenv.report.hosts import name_hosts
from fleetenv.report.recap import Recap
from fleetenv.report.repeats import Line, Repeats
from fleetenv.report.rows import ROWS_SHOWN, recap_rows
from fleetenv.report.text import counted, duration, visible, visible_line
from fleetenv.source import Value
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
_DIFF_STYLES = {"+": "green", "-": "red", "@": "cyan"}
_NUMBER = re.compile("[0-9]+")
_LAST_LINES = 10  # of what a command that failed had to say
_MOST_LINES = 200  # of a result
_LONGEST = 2000  # characters of a line
_WRONG = frozenset({Status.FAILED, Status.IGNORED, Status.RESCUED})
_NAMED = frozenset({Status.FAILED, Status.UNREACHABLE})  # their hosts are all named, however many they are
_TALKATIVE = frozenset({"debug"})  # modules whose message is their purpose


class Console(Sink):
    """Tells a run to a person. `verbosity` 0: what changed or failed; 1: also what was fine; 2: also results."""

    def __init__(self, say: Say, *, verbosity: int = 0, diff: bool = False) -> None:
        self._say = say
        self._verbosity = verbosity
        self._diff = diff
        self._recap = Recap()
        self._check_mode = False
        self._repeats: Repeats | None = None  # of a fleet that is too large for a line each

    def __call__(self, event: Event) -> None:
        """Take one event."""
        self._recap(event)
        match event:
            case RunStarted():
                self._check_mode = event.check_mode
                self._repeats = Repeats() if len(event.hosts) > ROWS_SHOWN else None
            case Warned():
                self._say(f"warning: {visible_line(event.text)}", "magenta")
            case PlayStarted():
                self._say_held()
                self._say(f"PLAY [{visible_line(event.play)}] on {counted(len(event.hosts), 'host')}", "bold")
            case TaskFinished():
                if line := self._task(event):
                    self._tell(event.host, line)
            case HostLost():
                reason = visible_line(event.reason)
                line = Line(Status.UNREACHABLE, reason, STYLES[Status.UNREACHABLE])
                self._tell(event.host, line, alike=_NUMBER.sub("0", reason))  # it names the host's address
            case RunFinished():
                self._say_held()
                self._finish(event)

    def close(self) -> None:
        """Everything was said already."""

    def _tell(self, host: str, line: Line, alike: str | None = None) -> None:
        if self._repeats is None or self._repeats.is_new(host, line, alike):
            self._say_line(line, host)

    def _say_held(self) -> None:
        """Say of all other hosts together what was said of the first ones."""
        for line, hosts in self._repeats.take() if self._repeats else ():
            self._say_line(line, counted(len(hosts), "more host"))
            for names in name_hosts(hosts, everyone=line.status in _NAMED):
                self._say(f"    {names}", line.style)

    def _say_line(self, line: Line, hosts: str) -> None:
        self._say(line.of(hosts), line.style)
        for text, style in line.below:
            self._say(f"    {text}", style)

    def _task(self, event: TaskFinished) -> Line | None:
        """Return what is to be told of a task."""
        quiet = event.status in (Status.OK, Status.SKIPPED)
        talks = event.task.module in _TALKATIVE and event.status is not Status.SKIPPED
        if quiet and not self._verbosity and not talks:
            return None
        role = f"{event.task.role} : " if event.task.role else ""
        item = f" ({visible_line(event.item)})" if event.item is not None else ""
        would = " (check mode)" if self._check_mode and event.status is Status.CHANGED else ""
        text = f"{visible_line(role + event.task.name)}{item}{would}"
        message = visible(event.msg)
        below: list[tuple[str, str]] = []
        if "\n" in message:
            below += [(line, "") for line in message.splitlines()]
        elif message:
            text = f"{text}: {message}"
        if self._diff and event.diff:
            below += [(line, _DIFF_STYLES.get(line[:1], "")) for line in _diff_lines(event.diff)]
        if event.status in _WRONG:
            for stream in ("stderr", "stdout"):
                lines = visible(str(event.result.get(stream) or "")).splitlines()[-_LAST_LINES:]
                if len(lines) > 1 or not message.endswith(tuple(lines)):  # else it is told already
                    below += [(_cut(line), "") for line in lines]
        if self._verbosity > 1 and event.result:
            below += [(line, "") for line in _result_lines(event.result)]
        return Line(event.status, text, STYLES[event.status], tuple(below))

    def _finish(self, event: RunFinished) -> None:
        self._say("", "")
        self._say("RECAP", "bold")
        for row in recap_rows(self._recap.hosts):
            self._say(row.text, row.style)
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


def _result_lines(result: Mapping[str, Value]) -> Iterator[str]:
    """Yield a result as JSON, as much of it as somebody may want to read."""
    lines = json.dumps(result, indent=2, default=str).splitlines()
    yield from map(_cut, lines[:_MOST_LINES])
    if len(lines) > _MOST_LINES:
        yield f"... and {len(lines) - _MOST_LINES:,} more lines"


def _cut(line: str) -> str:
    more = len(line) - _LONGEST
    return f"{visible(line[:_LONGEST])} ... and {more:,} more characters" if more > 0 else visible(line)


def _diff_lines(diff: Diff[State]) -> Iterator[str]:
    for each in diff.differences:
        yield from unified_diff(each) or [f"{each.key}: {value_text(each.found)} -> {value_text(each.wanted)}"]
