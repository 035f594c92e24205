"""One task's turn on one host: its items, what decides about their results, what is registered and reported."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain

from msgspec import Struct
from msgspec.structs import replace

from fleetenv.engine.ahead import Ahead
from fleetenv.engine.dialogue import Asked, Dialogue
from fleetenv.engine.lookahead import Lookahead
from fleetenv.engine.options import Options
from fleetenv.engine.perform import Errand, Result, perform
from fleetenv.engine.plan import Item, Planner
from fleetenv.engine.substance import substance, would_act
from fleetenv.errors import InputError
from fleetenv.events import Event, Progress, Status, TaskFinished, TaskRef, TaskStarted
from fleetenv.modules.base import Module, StateModule
from fleetenv.playbook.model import Task
from fleetenv.remote import Completed, Step
from fleetenv.source import Value
from fleetenv.state import Place

HIDDEN = "(hidden by no_log)"


class Ended(Struct, frozen=True):
    """How a task ended, all its items together."""

    registered: dict[str, Value]  # empty where nobody asks: nothing failed, and the task has no `register`
    changed: bool
    failed: bool  # and nothing ignores it
    acted: bool = False  # there were steps: something may have changed, whatever `changed_when` says
    facts: tuple[Mapping[str, Value], ...] = ()


class Turns:
    """Carries out tasks for one host, one at a time, and tells of each."""

    def __init__(
        self,
        planner: Planner,
        lookahead: Lookahead,
        dialogue: Callable[[str | None], Dialogue],
        options: Options,
        emit: Callable[[Event], None],
    ) -> None:
        self.current = TaskRef(planner.play.name, planner.play.name, "play", planner.play.location)
        self._planner = planner
        self._lookahead = lookahead
        self.ahead = Ahead(lookahead)
        self._dialogue = dialogue  # by the name that a task is delegated to; None: the host's own
        self._options = options
        self._emit = emit
        self._acted = False

    async def take(self, task: Task, *, rescued: bool) -> Ended:
        """Carry out a task with all items of its loop; `rescued` says that a rescue section takes over if it fails.

        Raises:
            InputError: it cannot be planned with what this host has answered.
            Unreachable: the host cannot be reached, or was lost.
        """
        items = self._planner.items(task)
        version = self._planner.version
        self.current = self._planner.reference(task, items[0].scope if items else None)
        self._acted = False
        if not items:
            self._report(None, Result(Status.SKIPPED), 0.0)
            return self._end(task, [], [])
        done: list[Item] = []
        results: list[Result] = []
        for index, planned in enumerate(items):
            item = planned
            if self._planner.version != version:  # an earlier item set variables
                item = self._planner.item(task, planned.local, planned.label)
            if index and task.loop_control.pause:
                await self._wait(self._number(task.loop_control.pause, item), item)
            begun = time.monotonic()
            result = await self._attempts(item, items[index + 1 :])
            results.append(result)
            done.append(item)
            self._learn(task, result.facts)
            self._report(item, result, time.monotonic() - begun, rescued=rescued)
        return self._end(task, done, results)

    def fail(self, task: Task, error: InputError, *, rescued: bool) -> Ended:
        """Tell that a task cannot be carried out, for what only this host's answers made wrong."""
        self.current = self._planner.reference(task)
        result = Result(Status.FAILED, HIDDEN if task.no_log else str(error))
        ignored = self._planner.says(task, task.ignore_errors)
        status = Status.IGNORED if ignored else Status.RESCUED if rescued else Status.FAILED
        self._emit(TaskFinished(self._planner.host, self.current, status, msg=result.msg))
        if task.register:
            self._planner.variables.register(task.register, result.registered())
        return Ended(result.registered(), changed=False, failed=not ignored)

    def take_over(self, task: Task, ended: Ended) -> None:
        """Know what a `run_once` task told on another host."""
        if ended.acted:
            self._dialogue(None).forget()  # the hosts may share files, or be one machine
        for facts in ended.facts:
            self._learn(task, facts)
        if task.register:
            self._planner.variables.register(task.register, ended.registered)

    def _end(self, task: Task, items: Sequence[Item], results: Sequence[Result]) -> Ended:
        statuses = [each.status for each in results]
        failed = Status.FAILED in statuses
        registered = _registered(task, items, results) if task.register or failed else {}
        if task.register:
            self._planner.variables.register(task.register, registered)
        failed = failed and not self._ignores(task) and not self._only_looks(items)
        facts = tuple(each.facts for each in results if each.facts)
        return Ended(registered, Status.CHANGED in statuses, failed, self._acted, facts)

    def _only_looks(self, items: Sequence[Item]) -> bool:
        """Whether this is a survey and the task compares states: what follows can be looked at all the same."""
        return self._options.survey and all(isinstance(item.module, StateModule) for item in items)

    async def _attempts(self, item: Item, siblings: Sequence[Item]) -> Result:
        """Carry out one item, again and again if `until` or `retries` says so."""
        task = item.task
        attempts = 0
        while True:
            attempts += 1
            result = self._judge(item, await self._perform(item, siblings))
            self._lookahead.note(changed=result.status is Status.CHANGED)
            if (task.until is None and task.retries is None) or result.status is Status.SKIPPED:
                return result
            retries = 3 if task.retries is None else self._number(task.retries, item)
            result = replace(result, values={**result.values, "attempts": attempts})
            if self._satisfied(item, result):
                return result
            if attempts > retries:
                msg = result.msg or f"'until' was not met in {attempts} attempts"
                values = {**result.values, "attempts": attempts - 1}  # as Ansible counts them in the end
                return replace(result, status=Status.FAILED, msg=msg, values=values)
            await self._wait(self._number(task.delay, item), item)

    async def _wait(self, seconds: float, item: Item) -> None:
        """Wait for something to become otherwise: no earlier answer tells whether it has."""
        await asyncio.sleep(seconds)
        self._dialogue(item.delegate_to).forget()

    async def _perform(self, item: Item, siblings: Sequence[Item]) -> Result:
        """Carry out one item, once."""
        dialogue = self._dialogue(item.delegate_to)
        before = dialogue.changes
        try:
            return await perform(item, self._errand(item, siblings))
        finally:
            if dialogue.changes != before:
                self._acted = True
                self._planner.note_steps(item.delegate_to)
                # Another name may lead to the same machine, and another machine may share files with this one.
                if item.delegate_to:
                    self._dialogue(None).forget()

    def _satisfied(self, item: Item, result: Result) -> bool:
        """Whether a task that is tried again needs no further attempt."""
        if item.task.until is None:
            return not result.failed
        return self._planner.condition(item.task.until, self._with_result(item, result))

    def _judge(self, item: Item, result: Result) -> Result:
        """Let `changed_when` and `failed_when` decide."""
        task = item.task
        if result.status is Status.SKIPPED:
            return result
        if task.changed_when is not None and not result.failed:
            scope = self._with_result(item, result)
            changed = all(self._planner.condition(each, scope) for each in task.changed_when)
            result = replace(result, status=Status.CHANGED if changed else Status.OK)
        if task.failed_when is not None:
            scope = self._with_result(item, result)
            if all(self._planner.condition(each, scope) for each in task.failed_when):
                return replace(result, status=Status.FAILED, msg=result.msg or "failed_when is true")
            if result.failed:  # a command that ran to its end has changed something, for all we know
                return replace(result, status=Status.CHANGED if "rc" in result.values else Status.OK)
        return result

    def _with_result(self, item: Item, result: Result) -> Mapping[str, Value]:
        local = dict(item.local)
        if item.task.register:
            local[item.task.register] = result.registered()
        return self._planner.variables.scope(self._planner.play, item.task, local)

    def _errand(self, item: Item, siblings: Sequence[Item]) -> Errand:
        host, ref = self._planner.host, self.current
        told = False

        def started() -> None:
            nonlocal told
            if not told:
                told = True
                self._emit(TaskStarted(host, ref))

        def early() -> list[Asked]:
            return [] if item.delegate_to else self._lookahead.questions(siblings)

        def progress(done: float, total: float, text: str) -> None:
            self._emit(Progress(host, ref, done, total, HIDDEN if item.meaning.no_log else text))

        async def act(step: Step) -> Completed:
            return await self.ahead.act(step, item, siblings, dialogue, progress, timeout)

        def following() -> Iterator[Module]:
            if timeout is not None:
                return  # each has its own time
            for each in chain(siblings, self._lookahead.alike(item)):
                here = (each.account, each.delegate_to) == (item.account, item.delegate_to)
                if here and each.module and not each.meaning.check_mode:
                    yield each.module

        dialogue = self._dialogue(item.delegate_to)
        timeout = self._options.task_timeout
        if item.task.timeout is not None:
            timeout = self._number(item.task.timeout, item) or None
        return Errand(dialogue, early, started, progress, timeout, act, following)

    def _learn(self, task: Task, facts: Mapping[str, Value]) -> None:
        """Make variables of what a task found out."""
        variables = self._planner.variables
        if not facts:
            return
        match task.module:
            case "set_fact":
                for name, value in facts.items():
                    variables.register(name, value)
            case "include_vars":
                variables.include(facts)
            case _:
                variables.learn(facts)

    def _report(self, item: Item | None, result: Result, seconds: float, *, rescued: bool = False) -> None:
        status = result.status
        if result.failed and item is not None and self._ignores(item.task):
            status = Status.IGNORED
        elif result.failed and rescued:
            status = Status.RESCUED
        places: tuple[Place, ...] = ()
        if item is not None and item.module is not None and not item.delegate_to:
            places = item.module.places()
        label = item.label if item else None
        hidden = item is not None and item.meaning.no_log
        event = TaskFinished(
            self._planner.host,
            self.current,
            status,
            msg=result.msg if not hidden else HIDDEN if result.failed else "",
            diff=None if hidden else result.diff,
            found=None if hidden else result.found,
            item=HIDDEN if hidden and label is not None else label,
            result={} if hidden else result.registered(),
            seconds=seconds,
            places=places,
            acts=item is not None and would_act(item, result),
            seal=self._options.seal(substance(item, result)) if self._options.seal else "",
        )
        self._emit(event)

    def _ignores(self, task: Task) -> bool:
        scope = self._planner.variables.scope(self._planner.play, task)
        return self._planner.flag(task.ignore_errors, scope)

    def _number(self, value: Value, item: Item) -> float:
        number = self._planner.render(value, item.scope)
        try:
            return float(str(number))
        except ValueError as error:
            raise InputError(f"'{number}' is not a number", location=item.task.location) from error


def _registered(task: Task, items: Sequence[Item], results: Sequence[Result]) -> dict[str, Value]:
    """Return what `register` stores: the result itself, or those of all items of a loop."""
    if task.loop is None:
        return results[0].registered()
    each: list[Value] = [{**result.registered(), **item.local} for result, item in zip(results, items, strict=True)]
    failed = any(result.failed for result in results)
    return {
        "changed": any(result.status is Status.CHANGED for result in results),
        "failed": failed,
        "skipped": all(result.status is Status.SKIPPED for result in results),
        "msg": "One or more items failed" if failed else "All items completed",
        "results": each,
    }
