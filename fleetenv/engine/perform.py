"""Carrying out one planned item on its host: observe, compare, converge, observe again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from fleetenv.engine.dialogue import Asked, Dialogue, OnProgress
from fleetenv.engine.plan import Item
from fleetenv.errors import InputError, TaskFailed
from fleetenv.events import Status
from fleetenv.modules.base import ActionModule, ControllerModule, Module, Outcome, StateModule
from fleetenv.remote import Completed, Step
from fleetenv.source import Value
from fleetenv.state import Diff, State, compare

_NOTE = "fleetenv-note "
_LONGEST_MESSAGE = 1000  # characters


class Result(Struct, frozen=True):
    """How one item of a task ended on one host."""

    status: Status
    msg: str = ""
    values: Mapping[str, Value] = field(default_factory=dict)
    facts: Mapping[str, Value] = field(default_factory=dict)
    diff: Diff[Any] | None = None
    found: State | None = None

    @property
    def failed(self) -> bool:
        """Whether it failed."""
        return self.status is Status.FAILED

    def registered(self) -> dict[str, Value]:
        """Return what `register` stores, under Ansible's names."""
        result: dict[str, Value] = {
            "changed": self.status is Status.CHANGED,
            "failed": self.failed,
            "skipped": self.status is Status.SKIPPED,
        }
        if self.msg:
            result["msg"] = self.msg
        if self.facts:
            result["ansible_facts"] = dict(self.facts)
        return result | dict(self.values)


class Errand(Struct, frozen=True):
    """What an item needs from its walk while it is carried out."""

    dialogue: Dialogue
    early: Callable[[], Sequence[Asked]]  # questions of the tasks that follow
    started: Callable[[], None]  # called once, before the first step
    progress: OnProgress
    timeout: float | None  # seconds for each message
    act: Callable[[Step], Awaitable[Completed]]  # carries out one step of an action
    following: Callable[[], Iterable[Module]]  # what comes after it, of the same module and under the same account


async def perform(item: Item, errand: Errand) -> Result:
    """Carry out one item. Whatever goes wrong with it is in the result.

    Raises:
        Unreachable: the host cannot be reached, or was lost.
    """
    try:
        match item.module:
            case None:
                skip: dict[str, Value] = {
                    "skip_reason": "Conditional result was False",
                    "false_condition": item.meaning.false_condition,
                }
                return Result(Status.SKIPPED, values=skip)
            case ControllerModule() as module:
                return _result(module.perform(item.controller))
            case ActionModule() as module:
                return await _act(module, item, errand)
            case StateModule() as module:
                return await _converge(module, item, errand)
            case module:
                raise TypeError(f"{type(module).__name__} is no kind of module")
    except TaskFailed as error:
        return Result(Status.FAILED, str(error))
    except InputError as error:
        return Result(Status.FAILED, str(error))


async def _converge(module: StateModule[Any], item: Item, errand: Errand) -> Result:
    assert item.asked is not None
    found = await errand.dialogue.answer(item.asked, early=errand.early, timeout=errand.timeout)
    diff = compare(module.desired(found), found)
    if not diff:
        return Result(Status.OK, values=module.returns(found), facts=module.facts(found), diff=diff, found=found)
    try:
        steps = list(module.followed_by(errand.following()).converge(diff))
    except TaskFailed as error:
        return Result(Status.FAILED, str(error), facts=module.facts(found), diff=diff, found=found)
    if item.meaning.check_mode:
        return Result(Status.CHANGED, values=module.returns(found), facts=module.facts(found), diff=diff, found=found)

    errand.started()
    done = await errand.dialogue.perform(
        steps,
        item.account,
        then=[item.asked, *errand.early()],
        progress=errand.progress,
        timeout=errand.timeout,
    )
    failed = Result(Status.FAILED, diff=diff, found=found)
    if done and done[-1].status != 0:
        return replace(failed, msg=complaint(done[-1]), values={"rc": done[-1].status})
    again = await errand.dialogue.answer(item.asked, timeout=errand.timeout)
    rest = compare(module.desired(again), again)
    if rest:
        return replace(failed, msg=f"after all steps it still differs: {describe(rest)}")
    facts = module.facts(again)
    return Result(Status.CHANGED, notes(done), module.returns(again), facts, diff=diff, found=found)


async def _act(module: ActionModule, item: Item, errand: Errand) -> Result:
    action = module.act(check=item.meaning.check_mode)
    try:
        step = next(action)
        errand.started()
        while True:
            step = action.send(await errand.act(step))
    except StopIteration as end:
        return _result(end.value)


def _result(outcome: Outcome) -> Result:
    if outcome.failed:
        status = Status.FAILED
    elif outcome.skipped:
        status = Status.SKIPPED
    else:
        status = Status.CHANGED if outcome.changed else Status.OK
    return Result(status, outcome.msg, outcome.values, outcome.facts)


def complaint(completed: Completed) -> str:
    """Return the last lines of what a failed step said, in one short text."""
    text = completed.error_text.strip() or completed.text.strip()
    lines = [line for line in text.splitlines() if line.strip()][-3:]
    return "; ".join(lines)[-_LONGEST_MESSAGE:] or f"a step ended with exit status {completed.status}"


def notes(done: Sequence[Completed]) -> str:
    """Return in one short text what steps that went well found worth telling: their lines `fleetenv-note TEXT`."""
    lines = [line for each in done for line in each.text.splitlines() if line.startswith(_NOTE)]
    return "; ".join(line.removeprefix(_NOTE) for line in lines)[:_LONGEST_MESSAGE]


def describe(diff: Diff[Any]) -> str:
    """Name the first few differences in one line."""
    some = [f"{each.key} is {each.found!r}, wanted {each.wanted!r}" for each in diff.differences[:3]]
    more = len(diff.differences) - len(some)
    return ", ".join(some) + (f" and {more} more" if more > 0 else "")
