"""One host's walk through the entries of a play: blocks, loops, handlers, includes, failures."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fleetenv.engine.dialogue import Asked, Dialogue
from fleetenv.engine.options import Options
from fleetenv.engine.perform import Errand, Result, perform
from fleetenv.engine.plan import Item, Planner
from fleetenv.errors import InputError, Unreachable
from fleetenv.events import Event, HostLost, Progress, Status, TaskFinished, TaskRef, TaskStarted
from fleetenv.modules.base import StateModule
from fleetenv.playbook.model import Block, Entry, FlushHandlers, Task
from fleetenv.source import Value

if TYPE_CHECKING:
    from fleetenv.engine.batch import Batch

_EVERYTHING = float("inf")
_log = logging.getLogger("fleetenv")


class TaskFault(Exception):
    """A task failed and nothing ignores it: unwinds the walk to the nearest rescue."""

    def __init__(self, task: Task, result: Mapping[str, Value]) -> None:
        super().__init__(task.module)
        self.task = task
        self.result = result


class EndOfHost(Exception):
    """`meta: end_host`, or the play has ended for everybody."""


class Walk:
    """Takes one host through a play. Hosts walk side by side and know of each other only through their batch."""

    def __init__(
        self,
        planner: Planner,
        dialogue: Dialogue,
        batch: Batch,
        options: Options,
        emit: Callable[[Event], None],
    ) -> None:
        self.host = planner.host
        self._planner = planner
        self._dialogue = dialogue
        self._batch = batch
        self._options = options
        self._emit = emit
        self._handlers: list[Task] = list(planner.play.handlers)
        self._notified: dict[str, None] = {}
        self._rescuers = 0  # blocks around the present task that have a rescue section
        self._ahead: deque[Task] = deque()  # tasks that follow the present one
        self._window = _EVERYTHING  # how many questions are asked early: few while much is changing
        self._current = TaskRef(planner.play.name, planner.play.name, "play", planner.play.location)

    async def run(self, entries: Sequence[Entry]) -> None:
        """Walk to the end, or to where this host fails; never raises for what happens on the host."""
        try:
            await self._branch(entries)
        except EndOfHost:
            pass
        except TaskFault:
            self._batch.lose(self.host)
        except Unreachable as error:
            self._batch.lose(self.host)
            self._emit(HostLost(self.host, str(error)))
        except Exception as error:  # a fault of fleetenv's own on one host must not cost the others
            self._batch.lose(self.host)
            _log.exception("internal error on host %s", self.host)
            msg = f"internal error of fleetenv, please report it: {error!r}"
            self._emit(TaskFinished(self.host, self._current, Status.FAILED, msg=msg))

    # Entries

    async def _branch(self, entries: Sequence[Entry]) -> None:
        """Walk through entries that were not known to follow: included ones, handlers, a rescue."""
        outer, self._ahead = self._ahead, deque([*linear(entries), *self._ahead])
        try:
            await self._entries(entries)
        finally:
            self._ahead = outer

    async def _entries(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if self._batch.aborted:
                raise EndOfHost
            match entry:
                case Block():
                    await self._block(entry)
                case FlushHandlers():
                    await self._flush()
                case Task():
                    await self._task(entry)

    async def _block(self, block: Block) -> None:
        self._rescuers += bool(block.rescue)
        try:
            try:
                await self._entries(block.block)
            finally:
                self._rescuers -= bool(block.rescue)
        except TaskFault as fault:
            if not block.rescue:
                await self._entries(block.always)
                raise
            await self._rescue(block, fault)
        await self._entries(block.always)

    async def _rescue(self, block: Block, fault: TaskFault) -> None:
        self._planner.variables.register("ansible_failed_task", {"name": self._planner.title(fault.task)})
        self._planner.variables.register("ansible_failed_result", dict(fault.result))
        try:
            await self._branch(block.rescue)
        except TaskFault:
            await self._entries(block.always)
            raise

    async def _flush(self) -> None:
        while self._notified:  # a handler may notify further ones
            notified, self._notified = self._notified, {}
            wanted = [handler for handler in self._handlers if self._listens(handler, notified)]
            await self._branch(wanted)

    def _listens(self, handler: Task, notified: Mapping[str, None]) -> bool:
        return not handler_names(handler, self._planner.title(handler)).isdisjoint(notified)

    # Tasks

    async def _task(self, task: Task) -> None:
        while self._ahead and self._ahead.popleft() is not task:
            pass
        try:
            match task.module:
                case "meta":
                    await self._meta(task)
                case "include_tasks" | "include_role":
                    await self._include(task)
                case _ if task.run_once is not None and self._once(task):
                    await self._run_once(task)
                case _:
                    await self._items(task)
        except InputError as error:  # what only this host's answers made wrong
            ref = self._ref(task, task.module)
            self._settle(task, ref, [Result(Status.FAILED, str(error))], [None], 0.0)

    def _once(self, task: Task) -> bool:
        return self._planner.flag(task.run_once, self._planner.variables.scope(self._planner.play, task))

    async def _run_once(self, task: Task) -> None:
        """The first host that comes here does it; the others wait, and take over what was registered."""
        first, outcome = self._batch.once(task)
        if not first:
            result = await outcome
            if result is None:
                raise EndOfHost
            if task.register:
                self._planner.variables.register(task.register, result)
            return
        registered: dict[str, Value] | None = None
        try:
            registered = await self._items(task)
        finally:
            outcome.set_result(registered)

    async def _items(self, task: Task) -> dict[str, Value]:
        """Carry out a task with all items of its loop, and return what `register` stores."""
        results: list[Result] = []
        items = self._planner.items(task)
        version = self._planner.variables.version
        ref = self._ref(task, self._planner.title(task, items[0].scope if items else None))
        last = 0.0
        for index, planned in enumerate(items):
            item = planned
            if self._planner.variables.version != version:  # an earlier item set variables
                item = self._planner.item(task, planned.local, planned.label)
            if index and task.loop_control.pause:
                await asyncio.sleep(self._number(task.loop_control.pause, item))
            begun = time.monotonic()
            result = await self._attempts(item, ref, items[index + 1 :])
            last = time.monotonic() - begun
            results.append(result)
            self._learn(task, result)
            if index < len(items) - 1:
                self._report(item, ref, result, last, ignored=self._ignored(task))
        return self._settle(task, ref, results, items, last)

    def _settle(
        self, task: Task, ref: TaskRef, results: list[Result], items: Sequence[Item | None], seconds: float
    ) -> dict[str, Value]:
        """Report the last result, store what is registered, notify handlers, and fail if it failed."""
        registered = self._registered(task, results, items)
        if task.register:
            self._planner.variables.register(task.register, registered)
        ignored = any(each.failed for each in results) and self._ignored(task)
        if results:
            self._report(items[-1], ref, results[-1], seconds, ignored=ignored)
        else:
            self._report(None, ref, Result(Status.SKIPPED), seconds, ignored=False)
        if any(each.status is Status.CHANGED for each in results):
            self._notify(task)
        if any(each.failed for each in results) and not ignored and not self._only_looked(items):
            if not self._rescuers and self._fatal(task):
                self._batch.abort()
            raise TaskFault(task, registered)
        return registered

    def _only_looked(self, items: Sequence[Item | None]) -> bool:
        """Whether this is a survey and the task compares states: what follows can be looked at all the same."""
        return self._options.survey and all(item and isinstance(item.module, StateModule) for item in items)

    def _registered(self, task: Task, results: list[Result], items: Sequence[Item | None]) -> dict[str, Value]:
        if task.loop is None:
            return results[0].registered() if results else {"changed": False, "skipped": True}
        each: list[Value] = [
            {**result.registered(), **(item.local if item else {})} for result, item in zip(results, items, strict=True)
        ]
        failed = any(result.failed for result in results)
        return {
            "changed": any(result.status is Status.CHANGED for result in results),
            "failed": failed,
            "skipped": all(result.status is Status.SKIPPED for result in results),
            "msg": "One or more items failed" if failed else "All items completed",
            "results": each,
        }

    async def _attempts(self, item: Item, ref: TaskRef, siblings: Sequence[Item]) -> Result:
        """Carry out one item, again and again if `until` says so."""
        task = item.task
        attempts = 0
        while True:
            attempts += 1
            result = self._judge(item, await perform(item, self._errand(item, ref, siblings)))
            if result.status is Status.CHANGED:
                self._window = 1
            if task.until is None or result.status is Status.SKIPPED:
                return result
            result = replace(result, values={**result.values, "attempts": attempts})
            if self._planner.condition(task.until, self._with_result(item, result)):
                return result
            if attempts > self._number(task.retries, item):
                msg = result.msg or f"'until' was not met in {attempts} attempts"
                return replace(result, status=Status.FAILED, msg=msg)
            await asyncio.sleep(self._number(task.delay, item))

    def _judge(self, item: Item, result: Result) -> Result:
        """Let `changed_when` and `failed_when` decide."""
        task = item.task
        if result.status is Status.SKIPPED or (task.changed_when is None and task.failed_when is None):
            return result
        if task.changed_when is not None and not result.failed:
            scope = self._with_result(item, result)
            changed = all(self._planner.condition(each, scope) for each in task.changed_when)
            result = replace(result, status=Status.CHANGED if changed else Status.OK)
        if task.failed_when is not None:
            scope = self._with_result(item, result)
            failed = all(self._planner.condition(each, scope) for each in task.failed_when)
            if failed:
                result = replace(result, status=Status.FAILED, msg=result.msg or "failed_when is true")
            elif result.failed:
                result = replace(result, status=Status.CHANGED if result.values.get("rc") is not None else Status.OK)
        return result

    def _with_result(self, item: Item, result: Result) -> Mapping[str, Value]:
        local = dict(item.local)
        if item.task.register:
            local[item.task.register] = result.registered()
        return self._planner.variables.scope(self._planner.play, item.task, **local)

    def _number(self, value: Value, item: Item) -> float:
        number = self._planner.render(value, item.scope)
        try:
            return float(str(number))
        except ValueError as error:
            raise InputError(f"'{number}' is not a number", location=item.task.location) from error

    def _errand(self, item: Item, ref: TaskRef, siblings: Sequence[Item]) -> Errand:
        dialogue = self._batch.dialogue(item.delegate_to) if item.delegate_to else self._dialogue
        told = False

        def started() -> None:
            nonlocal told
            if not told:
                told = True
                self._emit(TaskStarted(self.host, ref))

        def early() -> list[Asked]:
            if item.delegate_to:
                return []
            nearest = [each.asked for each in siblings if each.asked is not None]
            questions = [*nearest, *self._planner.early(self._ahead, self._window)]
            wanted = questions if self._window == _EVERYTHING else questions[: int(self._window)]
            self._window *= 2
            return wanted

        def progress(done: float, total: float, text: str) -> None:
            self._emit(Progress(self.host, ref, done, total, text))

        timeout = self._options.task_timeout
        if item.task.timeout is not None:
            timeout = self._number(item.task.timeout, item) or None
        return Errand(dialogue, early, started, progress, timeout)

    # Around a task

    def _learn(self, task: Task, result: Result) -> None:
        if not result.facts:
            return
        variables = self._planner.variables
        match task.module:
            case "set_fact":
                for name, value in result.facts.items():
                    variables.register(name, value)
            case "include_vars":
                variables.include(result.facts)
            case _:
                variables.learn(result.facts)

    def _notify(self, task: Task) -> None:
        if task.notify is None:
            return
        names = self._planner.render(task.notify, self._planner.variables.scope(self._planner.play, task))
        for name in names if isinstance(names, list) else [names]:
            if not any(self._listens(handler, {str(name): None}) for handler in self._handlers):
                raise InputError(f"there is no handler '{name}' to notify", location=task.location)
            self._notified[str(name)] = None

    def _ignored(self, task: Task) -> bool:
        scope = self._planner.variables.scope(self._planner.play, task)
        return self._planner.flag(task.ignore_errors, scope)

    def _fatal(self, task: Task) -> bool:
        scope = self._planner.variables.scope(self._planner.play, task)
        return self._planner.flag(task.any_errors_fatal, scope)

    def _ref(self, task: Task, title: str) -> TaskRef:
        role = task.role.name if task.role else None
        self._current = TaskRef(self._planner.play.name, title, task.module, task.location, role, task.handler)
        return self._current

    def _report(self, item: Item | None, ref: TaskRef, result: Result, seconds: float, *, ignored: bool) -> None:
        status = result.status
        if result.failed and ignored:
            status = Status.IGNORED
        elif result.failed and self._rescuers:
            status = Status.RESCUED
        label = item.label if item else None
        if item is not None and item.no_log:
            label = None if label is None else "(hidden by no_log)"
            self._emit(TaskFinished(self.host, ref, status, item=label, seconds=seconds))
            return
        self._emit(
            TaskFinished(
                self.host,
                ref,
                status,
                msg=result.msg,
                diff=result.diff,
                found=result.found,
                item=label,
                result=result.registered(),
                seconds=seconds,
            )
        )

    # What the engine does itself

    async def _meta(self, task: Task) -> None:
        scope = self._planner.variables.scope(self._planner.play, task)
        if not all(self._planner.condition(each, scope) for each in task.when):
            return
        arguments = task.arguments
        action = arguments.get("free_form") if isinstance(arguments, Mapping) else arguments
        match str(action):
            case "noop":
                pass
            case "end_host":
                raise EndOfHost
            case "end_play" | "end_batch":
                self._batch.abort()
                raise EndOfHost
            case "clear_facts":
                self._planner.variables.forget_facts()
            case "reset_connection":
                await self._dialogue.close()
            case "clear_host_errors":
                pass  # a host that failed has left the walk: there is nothing to clear here
            case other:
                raise InputError(f"meta: {other} is not supported yet", location=task.location)

    async def _include(self, task: Task) -> None:
        """Read the tasks that a dynamic include names, once for each item of its loop, and walk through them."""
        for local, scope in self._planner.inclusions(task):
            included = self._batch.include(self._planner.play, task, local, scope)
            self._handlers += [each for each in included.handlers if each not in self._handlers]
            for role in included.exported:
                self._planner.variables.export(role)
            await self._branch(included.entries)


def handler_names(handler: Task, title: str) -> set[str]:
    """Return all names by which a handler is notified: its own, with its role's before it, and what it listens to."""
    own = {title} if handler.role is None else {title, f"{handler.role.name} : {title}"}
    return own | set(handler.listen)


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
