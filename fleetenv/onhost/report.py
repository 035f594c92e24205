"""What the builder says: progress lines and one line for a failure, on standard error."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import suppress

_INTERVAL = 0.2  # seconds between two progress lines at least


class Failure(Exception):
    """The environment cannot be built; the message is the one line that the user sees."""

    status = 1  # what the process ends with
    lines = ""  # for standard output


class Progress:
    """Counts steps, and tells about them now and then. Called from several threads."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self._last = 0.0
        self._lock = threading.Lock()

    def step(self, text: str) -> None:
        """Say that something was done."""
        with self._lock:
            self.done = min(self.done + 1, self.total)
            self._say(text, always=self.done == self.total)

    def reach(self, done: int) -> None:
        """Say nothing, but count so many steps as done."""
        with self._lock:
            self.done = done

    def doing(self, text: str) -> None:
        """Say what is being done, while it is."""
        with self._lock:
            self._say(text, always=False)

    def _say(self, text: str, *, always: bool) -> None:
        now = time.monotonic()
        if always or now - self._last >= _INTERVAL:
            self._last = now
            line = f"fleetenv-progress {self.done} {self.total} {' '.join(text.split())}\n"
            with suppress(BrokenPipeError):  # nobody listens any more: the work still ends well
                sys.stderr.write(line)
                sys.stderr.flush()
