"""Where a run is told: plain lines into a pipe or a dumb terminal, moving progress bars on a real one."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

from fleetenv.events import (
    Event,
    HostBegun,
    HostEnded,
    HostLost,
    PlayStarted,
    Progress,
    RunFinished,
    Sink,
    Status,
    TaskFinished,
    TaskStarted,
)
from fleetenv.report.console import Console
from fleetenv.report.standing import Standing
from fleetenv.report.text import counted, visible_line

if TYPE_CHECKING:
    from rich.console import Console as RichConsole
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

_BARS = 10  # hosts that have a bar of their own; the others are counted

_CODES = {"bold": 1, "red": 31, "green": 32, "yellow": 33, "magenta": 35, "cyan": 36}


def open_console(stream: TextIO | None = None, *, verbosity: int = 0, diff: bool = False) -> Sink:
    """Return the sink that suits a stream: progress bars only where a person watches a terminal that can show them."""
    target = stream or sys.stdout
    if target.isatty() and os.environ.get("TERM") != "dumb":
        return LiveConsole(target, verbosity=verbosity, diff=diff)
    return Console(lambda line, style: _write(target, line, style), verbosity=verbosity, diff=diff)


def coloured(stream: TextIO) -> bool:
    """Whether colours are welcome: NO_COLOR forbids, FORCE_COLOR demands, else a terminal decides."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()


def _write(stream: TextIO, line: str, style: str) -> None:
    if style and coloured(stream):
        codes = ";".join(str(_CODES[word]) for word in style.split())
        line = f"\x1b[{codes}m{line}\x1b[0m"
    stream.write(line + "\n")
    stream.flush()


class LiveConsole(Sink):
    """Lines as [`Console`][] prints them, above a bar for the play and one for each of some hosts at work."""

    def __init__(self, stream: TextIO, *, verbosity: int, diff: bool) -> None:
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        self._rich: RichConsole = RichConsole(file=stream, highlight=False, soft_wrap=True)
        self._bars: RichProgress = RichProgress(
            TextColumn("{task.fields[host]}", markup=False, style="bold"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=self._rich,
            transient=True,
            refresh_per_second=8,
        )
        self._lines = Console(self._say, verbosity=verbosity, diff=diff)
        self._hosts: dict[str, TaskID] = {}
        self._room = max(2, min(_BARS, self._rich.size.height - 6))
        self._standing = Standing()
        self._play: TaskID | None = None

    def __call__(self, event: Event) -> None:
        """Take one event."""
        self._standing(event)
        match event:
            case PlayStarted():
                self._start()
            case HostBegun() | HostEnded():
                self._count()
            case TaskStarted():
                self._show(event.host, event.task.name, None)
            case Progress():
                self._show(event.host, f"{event.task.name}: {event.text}", (event.done, event.total))
            case TaskFinished() | HostLost():
                self._hide(event.host)
                if isinstance(event, HostLost) or event.status is Status.FAILED:
                    self._count()
            case RunFinished():
                self.close()
        self._lines(event)

    def close(self) -> None:
        """Take the bars away."""
        if self._play is not None:
            self._play = None
            self._bars.stop()

    def _start(self) -> None:
        """Show how far all hosts of a play have come, in one line."""
        if self._play is None:
            self._play = self._bars.add_task("", total=None, host="")
            self._bars.start()
        count = counted(self._standing.hosts, "host")
        self._bars.reset(self._play, total=self._standing.hosts, host=count, description=self._standing.rest)

    def _count(self) -> None:
        if self._play is not None:
            self._bars.update(self._play, completed=self._standing.done, description=self._standing.rest)

    def _say(self, line: str, style: str) -> None:
        self._rich.print(line, style=style or None, markup=False)

    def _show(self, host: str, text: str, progress: tuple[float, float] | None) -> None:
        text = visible_line(text)
        if host not in self._hosts:
            if len(self._hosts) >= self._room:
                return
            self._hosts[host] = self._bars.add_task(text, total=None, host=host)
        done, total = progress or (0, None)
        self._bars.update(self._hosts[host], description=text, completed=int(done), total=total)

    def _hide(self, host: str) -> None:
        shown = self._hosts.pop(host, None)
        if shown is not None:
            self._bars.remove_task(shown)
