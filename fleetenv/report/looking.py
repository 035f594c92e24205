"""While hosts are being looked at: one moving line, for whoever watches a terminal."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console
from rich.status import Status

from fleetenv.events import Event, PlayStarted, RunFinished, RunStarted, Sink, Warned
from fleetenv.report.standing import Standing
from fleetenv.report.text import counted, visible_line


class Looking(Sink):
    """Counts what was looked at, and leaves nothing behind; silent where the stream is no terminal.

    That there is nothing to look at is said everywhere.
    """

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream)
        self._line: Status | None = None
        self._standing = Standing()
        self._is_idle = False

    def __call__(self, event: Event) -> None:
        """Take one event."""
        self._standing(event)
        match event:
            case RunStarted():
                self._is_idle = not event.hosts
            case Warned() if self._is_idle:  # others are about what apply would build
                self._console.print(
                    f"warning: {visible_line(event.text)}", style="magenta", markup=False, soft_wrap=True
                )
            case PlayStarted() if self._console.is_terminal and not self._line:
                self._line = self._console.status(self._text())
                self._line.start()
            case RunFinished():
                self.close()
        if self._line:
            self._line.update(self._text())

    def close(self) -> None:
        """Take the line away."""
        if self._line:
            self._line.stop()
            self._line = None

    def _text(self) -> str:
        now = self._standing
        return f"looking at {counted(now.hosts, 'host')}: {now.done} done, {now.rest}"
