"""Which questions go along with the present one: those of the tasks that follow, few of them while much is changing."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from fleetenv.engine.dialogue import Asked
from fleetenv.engine.plan import Item, Planner
from fleetenv.playbook.model import Block, Entry, Task

_EVERYTHING = float("inf")


class Lookahead:
    """Knows the tasks that follow, and how far it pays to ask ahead.

    A step may change anything, so what was asked beyond the next task that does was asked in vain. At first
    everything is asked; after a change only the next question goes along, then twice as many with each item.
    """

    def __init__(self, planner: Planner) -> None:
        self._planner = planner
        self._tasks: deque[Task] = deque()
        self._window = _EVERYTHING

    @contextmanager
    def through(self, entries: Sequence[Entry]) -> Iterator[None]:
        """Know of entries that come now, before what is known to follow."""
        outer, self._tasks = self._tasks, deque([*linear(entries), *self._tasks])
        try:
            yield
        finally:
            self._tasks = outer

    def arrive(self, task: Task) -> None:
        """The walk has come to this task; what stood before it was passed over."""
        while self._tasks and self._tasks.popleft() is not task:
            pass

    def note(self, *, changed: bool) -> None:
        """An item was changed, or was not: with those that follow it will probably be the same."""
        self._window = 1 if changed else self._window * 2

    def questions(self, siblings: Sequence[Item]) -> list[Asked]:
        """Return what to ask now beside the present question: first of the items that follow in the same loop."""
        asked = [each.asked for each in siblings if each.asked is not None]
        asked += self._planner.early(self._tasks, self._window - len(asked))
        if self._window != _EVERYTHING:
            asked = asked[: int(self._window)]
        return asked


def every_task(entries: Sequence[Entry]) -> list[Task]:
    """Return all tasks that entries may come to, those of `rescue` sections, too."""
    tasks: list[Task] = []
    for entry in entries:
        match entry:
            case Task():
                tasks.append(entry)
            case Block():
                tasks += every_task((*entry.block, *entry.rescue, *entry.always))
    return tasks


def linear(entries: Sequence[Entry]) -> list[Task]:
    """Flatten entries into the order in which tasks run when nothing fails."""
    tasks: list[Task] = []
    for entry in entries:
        match entry:
            case Task():
                tasks.append(entry)
            case Block():
                tasks += [*linear(entry.block), *linear(entry.always)]
    return tasks
