"""What goes over to a host along with the present item: questions about tasks that follow, and commands of theirs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from msgspec import Struct

from fleetenv.engine.dialogue import Asked, within
from fleetenv.engine.plan import Item, Planner
from fleetenv.modules.base import ActionModule
from fleetenv.playbook.model import Block, Entry, FlushHandlers, Task
from fleetenv.remote import Run
from fleetenv.source import Value

_EVERYTHING = float("inf")
_MOST_STEPS = 64  # in one message

_END = FlushHandlers()
"""Behind the entries of a branch: what follows them is known only when they have been walked through."""


class Coming(Struct, frozen=True):
    """What goes along with an action's step: the steps that are certain to follow, and questions behind them all."""

    steps: list[Run]
    questions: list[Asked]


class Lookahead:
    """Knows the tasks that follow, and how far it pays to ask ahead.

    A step may change anything, so what was asked beyond the next task that does was asked in vain. At first
    everything is asked; after a change only the next question goes along, then twice as many with each item.

    Args:
        planner: of the host.
        acts: whether steps may go along, too, and not only questions.
    """

    def __init__(self, planner: Planner, *, acts: bool) -> None:
        self._planner = planner
        self._acts = acts
        self._tasks: deque[Task | FlushHandlers] = deque()
        self._window = _EVERYTHING

    @contextmanager
    def through(self, entries: Sequence[Entry]) -> Iterator[None]:
        """Know of entries that come now, before what is known to follow."""
        outer, self._tasks = self._tasks, deque([*linear(entries), _END, *self._tasks])
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

    def questions(self, siblings: Sequence[Item], tasks: Sequence[Task | FlushHandlers] | None = None) -> list[Asked]:
        """Return what to ask now beside the present question: first of the items that follow in the same loop.

        Args:
            siblings: those items.
            tasks: what comes behind them; None: all that is known to follow.
        """
        asked = [each.asked for each in siblings if each.asked is not None]
        behind = (each for each in (self._tasks if tasks is None else tasks) if isinstance(each, Task))
        asked += self._planner.early(behind, self._window - len(asked))
        if self._window != _EVERYTHING:
            asked = asked[: int(self._window)]
        return asked

    def coming(self, item: Item, siblings: Sequence[Item]) -> Coming:
        """Return what goes along with the step of an item's action.

        A step does when it is certain to be the next one, and to be what it is now, if all before it ends with status
        0: whatever that prints, nothing is rendered, decided or waited for by it.
        """
        steps: list[Run] = []
        behind = deque([item.task, *self._tasks] if siblings else self._tasks)
        last = item
        for items in self._certain(item, siblings) if self._acts else ():
            for each in items:
                step = _step(each) if each.account.become == item.account.become else None
                if each.module is None:
                    continue
                if step is None or not _leads_on(last) or len(steps) == _MOST_STEPS:
                    return Coming(steps, self._questions_behind(item, behind))
                steps.append(step)
                last = each
            behind.popleft()
        return Coming(steps, self._questions_behind(item, behind))

    def alike(self, item: Item) -> Iterator[Item]:
        """Yield what the tasks right after an item's own do with the same module, whatever is registered until then.

        Each is planned as it is asked for. A task with a time of its own is none of them.
        """
        unknown = {item.task.register or ""}
        if _waits(item.task):
            return
        for task in self._tasks:
            if (
                not isinstance(task, Task)
                or task.module != item.task.module
                or task.timeout is not None
                or _waits(task)
            ):
                return
            items = self._planner.foresee(task, unknown)
            if items is None:
                return
            yield from items
            unknown.add(task.register or "")

    def _certain(self, item: Item, siblings: Sequence[Item]) -> Iterator[list[Item]]:
        """Yield what follows an item, task by task, as long as it is the same whatever is registered until then."""
        if not _leads_on(item):
            return
        if siblings:
            items = self._planner.foresee(item.task, ())
            if items is None:
                return
            yield items[-len(siblings) :]
        unknown = {item.task.register or ""}
        for task in self._tasks:
            if not isinstance(task, Task) or _waits(task):
                return
            items = self._planner.foresee(task, unknown)
            if items is None:
                return
            yield items
            unknown.add(task.register or "")

    def _questions_behind(self, item: Item, behind: Sequence[Task | FlushHandlers]) -> list[Asked]:
        if item.delegate_to or (behind and behind[0] is item.task):  # items of the same action are yet to come
            return []
        return self.questions([], behind)


def _step(item: Item) -> Run | None:
    """Return an action's only step, if it may be carried out before the item's turn."""
    if not isinstance(item.module, ActionModule) or not item.module.one_step:
        return None
    if item.meaning.check_mode or item.delegate_to or item.task.timeout is not None:
        return None
    step = within(next(item.module.act(check=False)), item.account)
    return step if isinstance(step, Run) and not step.stdin else None


def _leads_on(item: Item) -> bool:
    """Whether the next item or task comes at once if this one's step succeeds, whatever it prints."""
    task = item.task
    return (
        _step(item) is not None
        and not _waits(task)
        and _is_decided(task.changed_when or ())
        and (task.failed_when is None or (_is_decided(task.failed_when) and not all(task.failed_when)))
        and task.until is None
        and task.retries is None
        and task.notify is None
        and not task.loop_control.pause
    )


def _is_decided(conditions: Sequence[Value]) -> bool:
    return all(isinstance(each, bool) for each in conditions)


def _waits(task: Task) -> bool:
    """Whether other hosts may have a word between a task and the next; or it may be that nobody knows how it ended."""
    return bool(task.run_once or task.any_errors_fatal or task.ignore_unreachable)


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


def linear(entries: Sequence[Entry]) -> list[Task | FlushHandlers]:
    """Flatten entries into the order in which tasks run when nothing fails, and where handlers do."""
    flat: list[Task | FlushHandlers] = []
    for entry in entries:
        match entry:
            case Block():
                flat += [*linear(entry.block), *linear(entry.always)]
            case _:
                flat.append(entry)
    return flat
