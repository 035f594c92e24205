"""One host's walk through the entries of a play: blocks, handlers, includes, and where a failure leads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from fleetenv.engine.batch import Batch, Reach
from fleetenv.engine.dialogue import Dialogue
from fleetenv.engine.fault import internal_error
from fleetenv.engine.lookahead import Lookahead
from fleetenv.engine.options import Options
from fleetenv.engine.plan import Planner
from fleetenv.engine.turn import Ended, Turns
from fleetenv.errors import InputError, Unreachable
from fleetenv.events import Event, HostLost, Status, TaskFinished
from fleetenv.playbook import handlers
from fleetenv.playbook.model import Block, Entry, FlushHandlers, Task
from fleetenv.source import Value


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
        self._emit = emit
        self._lookahead = Lookahead(planner, acts=options.task_timeout is None and not batch.in_step)
        self._turns = Turns(planner, self._lookahead, self._dialogue_with, options, emit)
        self._handlers: list[Task] = list(planner.play.handlers)
        self._notified: dict[str, None] = {}
        self._rescuers = 0  # blocks around the present task that have a rescue section
        self._leaving = False  # the run has ended for everybody; only `always` sections are left

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
        except InputError as error:  # a keyword that decides where a failure leads is itself wrong
            self._batch.lose(self.host)
            self._emit(TaskFinished(self.host, self._turns.current, Status.FAILED, msg=str(error)))
        except Exception as error:  # a fault of fleetenv's own on one host must not cost the others
            self._batch.lose(self.host)
            msg = internal_error(self.host, error)
            self._emit(TaskFinished(self.host, self._turns.current, Status.FAILED, msg=msg))
        finally:
            await self._turns.ahead.end()
            self._batch.leave()

    def _dialogue_with(self, delegate_to: str | None) -> Dialogue:
        return self._batch.dialogue(delegate_to) if delegate_to else self._dialogue

    # Entries

    async def _branch(self, entries: Sequence[Entry]) -> None:
        """Walk through entries that were not known to follow, or not to lead on: included ones, handlers, a rescue."""
        with self._lookahead.through(entries):
            await self._entries(entries)

    async def _entries(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if self._batch.aborted and not self._leaving and not self._turns.ahead.is_committed:
                raise EndOfHost
            match entry:
                case Block():
                    await self._block(entry)
                case FlushHandlers():
                    await self._flush()
                case Task():
                    self._lookahead.arrive(entry)
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
                await self._branch(block.always)
                raise
            await self._rescue(block, fault)
        except EndOfHost:
            if self._batch.aborted is Reach.RUN:
                self._leaving = True
                await self._branch(block.always)
            raise
        await self._entries(block.always)

    async def _rescue(self, block: Block, fault: TaskFault) -> None:
        name = "" if fault.task.name is None else self._planner.title(fault.task)
        self._planner.variables.register("ansible_failed_task", {"name": name})
        self._planner.variables.register("ansible_failed_result", dict(fault.result))
        try:
            await self._branch(block.rescue)
        except TaskFault:
            await self._branch(block.always)
            raise

    async def _flush(self) -> None:
        while self._notified:  # a handler may notify further ones
            notified, self._notified = self._notified, {}
            await self._branch(handlers.notified(self._handlers, notified, self._planner.title))

    # Tasks

    async def _task(self, task: Task) -> None:
        try:
            match task.module:
                case "meta":
                    await self._meta(task)
                case "include_tasks" | "include_role":
                    await self._include(task)
                case _ if self._planner.says(task, task.run_once):
                    await self._run_once(task)
                case _:
                    await self._take(task)
            if (self._batch.in_step or self._planner.says(task, task.any_errors_fatal)) and not self._leaving:
                await self._batch.meet(self.host)
        except InputError as error:
            self._go_on(task, self._turns.fail(task, error, rescued=self._rescuers > 0))
        except Unreachable as error:
            if not self._planner.says(task, task.ignore_unreachable):
                if self._planner.says(task, task.any_errors_fatal):
                    self._batch.doom(Reach.RUN)
                raise
            await self._dialogue.close()
            current = self._turns.current
            self._emit(TaskFinished(self.host, current, Status.IGNORED, msg=f"unreachable: {error}"))

    async def _take(self, task: Task) -> Ended:
        ended = await self._turns.take(task, rescued=self._rescuers > 0)
        self._go_on(task, ended)
        return ended

    def _go_on(self, task: Task, ended: Ended) -> None:
        """Notify handlers, or leave for the nearest rescue."""
        if ended.changed:
            self._notify(task)
        if ended.failed:
            if not self._rescuers and self._planner.says(task, task.any_errors_fatal):
                self._batch.doom(Reach.RUN)
            if not self._rescuers and self._planner.says(task, task.run_once):
                self._batch.abort(Reach.RUN)  # what is done once has failed for everybody
            raise TaskFault(task, ended.registered)

    async def _run_once(self, task: Task) -> None:
        """The first host that comes here does it; the others wait, and take over what was registered."""
        first, outcome = self._batch.once(task)
        if not first:
            ended = await asyncio.shield(outcome)  # one who is interrupted must not cancel it for all
            if ended is None:
                raise EndOfHost
            self._turns.take_over(task, ended)
            return
        ended = None
        try:
            ended = await self._take(task)
        finally:
            outcome.set_result(ended)

    def _notify(self, task: Task) -> None:
        if task.notify is None:
            return
        names = self._planner.render(task.notify, self._planner.variables.scope(self._planner.play, task))
        for name in names if isinstance(names, list) else [names]:
            if not handlers.notified(self._handlers, [str(name)], self._planner.title):
                raise InputError(f"there is no handler '{name}' to notify", location=task.location)
            self._notified[str(name)] = None

    # What the engine does itself

    async def _meta(self, task: Task) -> None:
        arguments = task.arguments
        action = str(arguments.get("free_form") if isinstance(arguments, Mapping) else arguments)
        holds = self._planner.holds(task)
        if action in ("end_play", "end_batch"):
            if holds:
                self._batch.doom(Reach.PLAY if action == "end_play" else Reach.BATCH)
            await self._batch.meet(self.host)
        if not holds:
            return
        match action:
            case "noop":
                pass
            case "end_host" | "end_play" | "end_batch":
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
