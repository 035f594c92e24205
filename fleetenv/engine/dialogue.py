"""All that one run says to one host, and what is known of the host meanwhile.

Questions that can be asked early go over together in one message, and steps take along the questions that follow them,
so that a task rarely waits for a round trip of its own. Answers hold until the next step: a step may change anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from fleetenv.errors import HostError, TaskFailed, Unreachable
from fleetenv.remote import Completed, Lookup, Probe, Run, Step, sh
from fleetenv.shell import Become, Connection

Question: TypeAlias = Probe[Any] | Lookup[Any]
OnProgress: TypeAlias = Callable[[float, float, str], None]

_SUBJECTS_AT_ONCE = 500  # keeps "$@" of one question well below the kernel's limit for arguments


class Account(Struct, frozen=True):
    """Under whose account and with which environment variables something is said."""

    become: Become | None = None
    environment: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return f"Account({self.become!r})"  # values of the environment may be secret


class Asked(Struct, frozen=True):
    """A question, and the account under which it is asked."""

    account: Account
    question: Question


class _Batch(Struct, frozen=True):
    """Questions that one script answers."""

    run: Run
    asked: tuple[Asked, ...]

    def answers(self, completed: Completed) -> Iterable[tuple[Asked, Any]]:
        parsed: dict[object, Any] = {}
        if completed.dropped:
            cut = TaskFailed(f"the host's answer is too long: {completed.dropped} bytes more than are kept")
            yield from ((each, cut) for each in self.asked)
            return
        for each in self.asked:
            question = each.question
            try:
                if isinstance(question, Probe):
                    answer = question.parse(completed)
                else:
                    if question.parse not in parsed:
                        parsed[question.parse] = question.parse(completed)
                    answer = parsed[question.parse][question.subject]
            except HostError as error:
                answer = error
            except (ValueError, LookupError) as error:  # whatever a host may print, it fails no more than its own task
                noise = completed.error_text.strip()[-500:]
                answer = TaskFailed(f"cannot understand the host's answer: {error}{': ' + noise if noise else ''}")
            yield each, answer


class Dialogue:
    """One host's connection, opened when it is first needed, and the answers that hold at this moment."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]]) -> None:
        self._connect = connect
        self._connection: Connection | None = None
        self._answers: dict[Asked, Any] = {}
        self._turn = asyncio.Lock()  # tasks that other hosts delegate here wait for their turn
        self._steps = 0
        self._lost = False  # there is no use in saying more over this connection
        self._past_round_trips = 0

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._connection is not None

    @property
    def is_idle(self) -> bool:
        """Whether there is a connection, over which nothing is being said now."""
        return self.is_open and not self._turn.locked()

    @property
    def changes(self) -> int:
        """How often steps were begun so far: if it has grown, something may have changed."""
        return self._steps

    @property
    def round_trips(self) -> int:
        """Messages sent so far."""
        return self._past_round_trips + (self._connection.round_trips if self._connection else 0)

    def forget(self) -> None:
        """Let no earlier answer hold any longer."""
        self._answers.clear()

    async def answer(
        self, asked: Asked, *, early: Callable[[], Iterable[Asked]] = tuple, timeout: float | None = None
    ) -> Any:
        """Return the answer to one question; when it has to be asked, those that `early` gives are asked along with it.

        Raises:
            TaskFailed: the host's answer cannot be understood.
            Unreachable: the connection cannot be made, or is lost.
        """
        if self._turn.locked() or asked not in self._answers:
            async with self._turn:
                await self._know(asked, early, timeout)
        answer = self._answers[asked]
        if isinstance(answer, HostError):
            raise answer
        return answer

    async def perform(
        self,
        steps: Sequence[Step],
        account: Account,
        *,
        then: Sequence[Asked] = (),
        progress: OnProgress | None = None,
        timeout: float | None = None,
    ) -> list[Completed]:
        """Carry out steps in order, up to the first that fails; then ask questions, in the same message if possible."""
        parts = [[within(step, account) for step in steps]]
        async with aclosing(self.converse(parts, account, then=then, progress=progress, timeout=timeout)) as said:
            return await anext(said)

    async def converse(
        self,
        parts: Sequence[Sequence[Step]],
        account: Account,
        *,
        then: Sequence[Asked] = (),
        progress: OnProgress | None = None,
        timeout: float | None = None,
    ) -> AsyncGenerator[list[Completed], None]:
        """Carry out steps part by part, each when all before it succeeded, in one message if possible; then ask.

        Args:
            parts: steps with their environment in them, see [`within`][].
            account: whom to become.
            then: as in [`perform`][].
            progress: told how far the part is that is waited for.
            timeout: seconds for each step.

        Yields:
            Each part's results, up to the first failure. Nobody else's turn comes before the end.
        """
        along = _batches(each for each in then if each.account.become == account.become)
        message = [*parts[:-1], [*parts[-1], *(batch.run for batch in along)]]
        async with self._turn, aclosing(self._talk(message, account.become, progress, timeout)) as said:
            for number, part in enumerate(parts, 1):
                self._steps += 1
                self.forget()
                results = await anext(said)
                done, answers = results[: len(part)], results[len(part) :]
                for batch, completed in zip(along, answers, strict=False):
                    self._answers.update(batch.answers(completed))
                if number == len(parts) and len(results) == len(message[-1]):
                    await self._ask_early([each for each in then if each.account.become != account.become], timeout)
                yield done
                if not done or done[-1].status != 0:
                    return

    async def close(self) -> None:
        """End the connection, whatever is being said; a later question opens a new one."""
        if self._connection is not None:
            self._past_round_trips += self._connection.round_trips
            connection, self._connection, self._lost = self._connection, None, False
            await connection.close()
        self.forget()

    async def _know(self, asked: Asked, early: Callable[[], Iterable[Asked]], timeout: float | None) -> None:
        if asked not in self._answers:
            become = asked.account.become
            others = [each for each in early() if each not in self._answers]
            await self._ask([asked, *(each for each in others if each.account.become == become)], timeout)
            await self._ask_early([each for each in others if each.account.become != become], timeout)

    async def _ask_early(self, asked: Iterable[Asked], timeout: float | None) -> None:
        """Ask under accounts that only later tasks need: if one cannot be become, that is for those tasks to tell."""
        accounts: dict[Become | None, list[Asked]] = {}
        for each in asked:
            accounts.setdefault(each.account.become, []).append(each)
        for group in accounts.values():
            try:
                await self._ask(group, timeout)
            except TaskFailed as error:
                self._answers.update(dict.fromkeys(group, error))

    async def _ask(self, asked: Sequence[Asked], timeout: float | None) -> None:
        """Ask questions under one account."""
        batches = _batches(dict.fromkeys(asked))
        talk = self._talk([[batch.run for batch in batches]], asked[0].account.become, None, timeout)
        async with aclosing(talk) as said:
            results = await anext(said)
        for batch, completed in zip(batches, results, strict=True):
            self._answers.update(batch.answers(completed))

    async def _talk(
        self,
        message: Sequence[Sequence[Step]],
        become: Become | None,
        progress: OnProgress | None,
        timeout: float | None,
    ) -> AsyncGenerator[list[Completed], None]:
        if self._lost:
            await self.close()
        if self._connection is None:
            self._connection = await self._connect()
        try:
            answers = self._connection.converse(message, become=become, progress=progress, timeout=timeout)
            async with aclosing(answers):
                async for results in answers:
                    yield results
        except Unreachable:
            self._lost = True
            raise


def within(step: Step, account: Account) -> Step:
    """Give a step the environment of its account; what the step says itself wins."""
    if not isinstance(step, Run) or not account.environment:
        return step
    environment: Mapping[str, str] = {**dict(account.environment), **step.environment}
    return replace(step, environment=environment)


def _batches(asked: Iterable[Asked]) -> list[_Batch]:
    """Make as few scripts of the questions as possible: equal probes once, lookups of equal script together."""
    probes: dict[Asked, None] = {}
    lookups: dict[tuple[Account, str], dict[Asked, None]] = {}
    for each in asked:
        if isinstance(each.question, Probe):
            probes[each] = None
        else:
            lookups.setdefault((each.account, each.question.script), {})[each] = None
    batches = []
    for each in probes:
        if isinstance(probe := each.question, Probe):
            run = Run(probe.script, probe.stdin, dict(each.account.environment), probe.timeout, may_fail=True)
            batches.append(_Batch(run, (each,)))
    for (account, _), group in lookups.items():
        members = list(group)
        for start in range(0, len(members), _SUBJECTS_AT_ONCE):
            part = members[start : start + _SUBJECTS_AT_ONCE]
            questions = [each.question for each in part if isinstance(each.question, Lookup)]
            script, kit = _asking(questions[0], [each.subject for each in questions])
            run = Run(script, environment=dict(account.environment), may_fail=True, kit=kit)
            batches.append(_Batch(run, tuple(part)))
    return batches


def _asking(lookup: Lookup[Any], subjects: Sequence[str]) -> tuple[str, str]:
    """Return the script that asks a lookup of many subjects, and the kit that it needs."""
    if lookup.kit:
        return sh(lookup.kit.asked, *subjects), lookup.kit.functions
    return f"{sh('set', '--', *subjects)}\n{lookup.script}", ""
