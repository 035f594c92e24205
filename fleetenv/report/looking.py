"""While hosts are being looked at: one moving line, for whoever watches a terminal."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console
from rich.status import Status

from fleetenv.events import Event, HostLost, RunFinished, RunStarted, Sink, TaskFinished
from fleetenv.report.console import counted


class Looking(Sink):
    """Counts what was looked at, and leaves nothing behind. Silent where the stream is no terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream)
        self._line: Status | None = None
        self._hosts = self._seen = self._lost = 0

    def __call__(self, event: Event) -> None:
        """Take one event."""
        match event:
            case RunStarted() if self._console.is_terminal:
                self._hosts = len(event.hosts)
                self._line = self._console.status(self._text())
                self._line.start()
            case TaskFinished():
                self._seen += 1
            case HostLost():
                self._lost += 1
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
        lost = f", {self._lost} unreachable" if self._lost else ""
        return f"looking at {counted(self._hosts, 'host')}: {counted(self._seen, 'answer')}{lost}"
