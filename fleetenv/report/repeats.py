"""What many hosts tell alike: said of the first few at once, and of all others together, later."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from msgspec import Struct, field

from fleetenv.events import Status

_AT_ONCE = 5  # hosts of which the same thing is said at once


class Line(Struct, frozen=True):
    """What is told of a host: `STATUS: [HOST] TEXT`, and indented lines below it, each in its style."""

    status: Status
    text: str
    style: str
    below: tuple[tuple[str, str], ...] = ()

    def of(self, hosts: str) -> str:
        """Return the line about these hosts."""
        return f"{self.status}: [{hosts}] {self.text}"


class _Told(Struct):
    hosts: int = 0
    line: Line | None = None  # kept only once it has been said often enough
    held: list[str] = field(default_factory=list)


class Repeats:
    """Counts what is told of hosts, and holds back what would be said too often."""

    def __init__(self) -> None:
        self._told: dict[int, _Told] = {}  # by hash: what only one host tells is not to be kept for it

    def is_new(self, host: str, line: Line, alike: Hashable = None) -> bool:
        """Whether to say a line now; else it is held. `alike` says what it is like, if not only what equals it."""
        told = self._told.setdefault(hash(line if alike is None else alike), _Told())
        told.hosts += 1
        if told.hosts <= _AT_ONCE:
            return True
        told.line = told.line or line
        told.held.append(host)
        return False

    def take(self) -> Iterator[tuple[Line, list[str]]]:
        """Yield each line that was held, with its hosts, and start anew."""
        everything, self._told = self._told, {}
        for told in everything.values():
            if told.line:
                yield told.line, told.held
