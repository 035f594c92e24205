"""What a connection to a host is, wherever it is held: in this process, or in one of its workers."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, TypeAlias

from fleetenv.remote import Completed, Run, Step
from fleetenv.shell.answer import Progress
from fleetenv.shell.become import Become
from fleetenv.shell.settings import Settings

if TYPE_CHECKING:
    from fleetenv.shell.files import Files


class Connection(ABC):
    """One host, logged in. One message at a time: others wait for their turn.

    Attributes:
        round_trips: messages sent so far.
        settings: what it was made from.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.round_trips = 0
        self._files: Files | None = None  # what steps may fetch from here, once one may
        self._forwarding = asyncio.Lock()

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    @abstractmethod
    def user(self) -> str:
        """The user who is logged in."""

    @property
    @abstractmethod
    def bytes_sent(self) -> int:
        """Bytes of messages and files that were sent so far, ssh's own not counted."""

    async def talk(
        self,
        steps: Sequence[Step],
        *,
        become: Become | None = None,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> list[Completed]:
        """Carry out steps, in order, in one message; a `Send` of a `Path` needs one message more.

        Args:
            steps: what to do.
            become: as whom; None: as the user who is logged in.
            progress: told how far the step that runs now is: done, total, and a text that may come from the host.
            timeout: seconds for each step that has no timeout of its own.

        Returns:
            One result a step, up to and including the first that failed and was not allowed to.

        Raises:
            TaskFailed: a step took too long (all that it had started on the host is ended), or the other user cannot be
                become. The connection can be used further.
            Unreachable: the connection was lost.
        """

        async def carry_out(steps: Sequence[Step]) -> list[Completed]:
            return await self._talk(steps, become, progress, timeout)

        if not any(isinstance(step, Run) and step.offers for step in steps):
            return await carry_out(steps)
        from fleetenv.shell.files import Files

        async with self._forwarding:
            if self._files is None:
                self._files = await Files.reachable(self.forward)
        return await self._files.offered(steps, carry_out)

    async def converse(
        self,
        parts: Sequence[Sequence[Step]],
        *,
        become: Become | None = None,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> AsyncGenerator[list[Completed], None]:
        """Carry out steps part by part, as [`talk`][] does each; the first failure ends it all.

        Yields:
            The results of each part that was begun. What comes behind it may be under way already.
        """
        for part in parts:
            results = await self.talk(part, become=become, progress=progress, timeout=timeout)
            yield results
            last = part[len(results) - 1]
            if results[-1].status != 0 and not (isinstance(last, Run) and last.may_fail):
                return

    async def close(self) -> None:
        """End the shells and the connection, and what a step that was given up has left running on the host."""
        if self._files:
            self._files.close()
        await self._close()

    @abstractmethod
    async def forward(self, port: int) -> int | None:
        """Let programs on the host reach a port of this machine's loopback, until the connection is closed.

        Returns:
            The port of the host's loopback that leads there; None: the host does not permit it.

        Raises:
            Unreachable: the connection was lost.
        """

    @abstractmethod
    async def _talk(
        self, steps: Sequence[Step], become: Become | None, progress: Progress | None, timeout: float | None
    ) -> list[Completed]:
        """As [`talk`][], of steps that offer nothing."""

    @abstractmethod
    async def _close(self) -> None:
        """As [`close`][]."""


Connect: TypeAlias = Callable[[Settings], Awaitable[Connection]]
"""Connects to a host and logs in; raises as [`fleetenv.shell.connect`][] does."""
