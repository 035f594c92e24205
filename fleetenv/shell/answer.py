"""What the remote shell answers: pure parsing of two byte streams into one result an item. No I/O.

A host is not trusted: what is kept of an item's output is bounded, the rest is counted and dropped; anything that is
not of the protocol is a [`ProtocolError`][], never a wait for more.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from msgspec import Struct, field

from fleetenv.remote import Completed
from fleetenv.shell.message import NONCE_LENGTH

KEEP = 16 * 1024 * 1024
"""Bytes kept of one item's standard output, and of its standard error."""

KEEP_IN_ALL = 4 * KEEP
"""Bytes kept of all output of one message."""

NOISE = 256 * 1024
"""Bytes that a login may print before the shell greets; more is refused."""

_PROGRESS = b"fleetenv-progress "
_LONGEST_LINE = 4096
_LONGEST_MARK = NONCE_LENGTH + 12

Progress = Callable[[float, float, str], None]
"""Told how far a step is: done, total, and a text from the host."""


class ProtocolError(Exception):
    """What came is not what the remote shell says."""


class Budget(Struct):
    """How much output may be kept: of one item's stream, and of all that is still to come."""

    each: int = KEEP
    left: int = KEEP_IN_ALL


class _Kept(Struct):
    """Output kept as long as the budget allows."""

    budget: Budget
    data: bytearray = field(default_factory=bytearray)
    dropped: int = 0

    def add(self, more: bytes | bytearray) -> None:
        room = max(0, min(self.budget.each - len(self.data), self.budget.left))
        kept = min(room, len(more))
        self.data += more[:room]
        self.budget.left -= kept
        self.dropped += len(more) - kept


class Stream:
    """Splits one stream at its marks; `take` returns what came before the oldest one that was not taken yet."""

    def __init__(self, nonce: str, budget: Budget) -> None:
        self._mark = nonce.encode() + b" "
        self._pending = bytearray()  # may still turn out to be the start of a mark
        self._budget = budget
        self._current = _Kept(budget)
        self._finished: list[tuple[bytes, int, int]] = []

    def feed(self, data: bytes) -> None:
        """Take what arrived.

        Raises:
            ProtocolError: a mark without a number.
        """
        self._pending += data
        while (at := self._pending.find(self._mark)) >= 0:
            end = self._pending.find(b"\n", at)
            if end < 0:
                if len(self._pending) - at > _LONGEST_MARK:
                    raise ProtocolError("a mark that does not end")
                break
            number = bytes(self._pending[at + len(self._mark) : end])
            if not number.isdigit() or len(number) > _LONGEST_MARK - len(self._mark):
                raise ProtocolError("a mark without a number")
            self._output(self._pending[:at])
            self._end_output()
            self._finished.append((bytes(self._current.data), self._current.dropped, int(number)))
            self._current = _Kept(self._budget)
            del self._pending[: end + 1]
        settled = at if at >= 0 else len(self._pending) - self._start_of_mark()
        if settled > 0:
            self._output(self._pending[:settled])
            del self._pending[:settled]

    def _start_of_mark(self) -> int:
        """Return how many of the last bytes could be the beginning of a mark."""
        for length in range(min(len(self._mark) - 1, len(self._pending)), 0, -1):
            if self._pending.endswith(self._mark[:length]):
                return length
        return 0

    def _output(self, data: bytearray) -> None:
        self._current.add(data)

    def _end_output(self) -> None:
        """The item's output is complete."""

    @property
    def ready(self) -> bool:
        """Whether an item is complete in this stream."""
        return bool(self._finished)

    def take(self) -> tuple[bytes, int, int]:
        """Return the oldest complete item: its output, bytes that were dropped, its number."""
        return self._finished.pop(0)

    @property
    def unfinished(self) -> bytes:
        """What came since the last mark, as far as it was kept."""
        return bytes(self._current.data + self._pending)


class ErrorStream(Stream):
    """Standard error: lines that report progress are taken out and told."""

    def __init__(self, nonce: str, budget: Budget) -> None:
        super().__init__(nonce, budget)
        self.progress: Progress | None = None
        self._line = bytearray()  # the line being read, as long as it can be one about progress
        self._inside_line = False  # the line's beginning has been kept already: it is not about progress

    def _output(self, data: bytearray) -> None:
        self._line += data
        whole = self._line.rfind(b"\n") + 1
        for line in self._line[:whole].splitlines(keepends=True) if _PROGRESS in self._line else [self._line[:whole]]:
            self._end_line(line)
        del self._line[:whole]
        if self._inside_line or not _could_be_progress(self._line):
            self._keep_line(self._line)
            self._line = bytearray()

    def _end_line(self, line: bytearray) -> None:
        told = None if self._inside_line else parse_progress(bytes(line))
        if not told:
            self._keep_line(line)
        elif self.progress:
            self.progress(*told)

    def _keep_line(self, text: bytearray) -> None:
        self._current.add(text)
        if text:
            self._inside_line = not text.endswith(b"\n")

    def _end_output(self) -> None:
        self._end_line(self._line)
        self._line = bytearray()
        self._inside_line = False

    @property
    def unfinished(self) -> bytes:
        """As in [`Stream`][]."""
        return bytes(self._current.data + self._line + self._pending)


def _could_be_progress(line: bytearray) -> bool:
    return len(line) <= _LONGEST_LINE and (line.startswith(_PROGRESS) or _PROGRESS.startswith(line))


def parse_progress(line: bytes) -> tuple[float, float, str] | None:
    """Parse a line `fleetenv-progress DONE TOTAL TEXT`; None when it is no such line."""
    if not line.startswith(_PROGRESS):
        return None
    words = line[len(_PROGRESS) :].decode("utf-8", "replace").rstrip("\r\n").split(" ", 2)
    try:
        done, total = float(words[0]), float(words[1])
    except (ValueError, IndexError):
        return None
    if not (math.isfinite(done) and math.isfinite(total)):
        return None
    return done, total, words[2] if len(words) > 2 else ""


class Answer:
    """Both streams of a remote shell: a greeting, then one result after the other."""

    def __init__(self, nonce: str, keep: int = KEEP, keep_in_all: int = KEEP_IN_ALL) -> None:
        self.session: int | None = None  # of the remote shell's processes; None until it has greeted
        self._budget = Budget(keep, keep_in_all)
        self._keep_in_all = keep_in_all
        self._out = Stream(nonce, self._budget)
        self._err = ErrorStream(nonce, self._budget)

    def begin(self, progress: Progress | None = None) -> None:
        """A new message begins: progress is told to this function, and as much may be kept as before."""
        self._err.progress = progress
        self._budget.left = self._keep_in_all

    def feed(self, data: bytes, *, error: bool) -> list[Completed]:
        """Take what arrived on one of the streams; return the items which that completed.

        Raises:
            ProtocolError: this is not a remote shell's answer.
        """
        (self._err if error else self._out).feed(data)
        completed = []
        while self._out.ready and self._err.ready:
            stdout, dropped_out, status = self._out.take()
            stderr, dropped_err, same = self._err.take()
            if self.session is None:
                self.session = status
            elif status != same:
                raise ProtocolError("standard output and standard error tell different exit statuses")
            else:
                completed.append(Completed(status, stdout, stderr, dropped_out + dropped_err))
        # A stream that has greeted already tells what the first items print: the other one's greeting is on its way.
        if (
            self.session is None
            and sum(len(each.unfinished) for each in (self._out, self._err) if not each.ready) > NOISE
        ):
            raise ProtocolError("too much was printed before the shell started")
        return completed

    @property
    def unfinished(self) -> tuple[bytes, bytes]:
        """What was printed since the last item was complete: standard output, standard error."""
        return self._out.unfinished, self._err.unfinished
