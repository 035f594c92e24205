"""Connections held by worker processes: one imports asyncssh while the controller plans, several use several cores.

The controller stays one process with one truth. What lies below [`Connection`][fleetenv.shell.connection.Connection] is
spread: each worker has an event loop, a key ring, and the connections of the hosts that it was dealt.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from types import TracebackType

from fleetenv.errors import InputError, Unreachable
from fleetenv.remote import Completed, Run, Step
from fleetenv.shell import direct
from fleetenv.shell.answer import Progress
from fleetenv.shell.become import Become
from fleetenv.shell.connection import Connection
from fleetenv.shell.keys import AskPassphrase
from fleetenv.shell.settings import Settings
from fleetenv.shell.ssh_config import proxy_jump
from fleetenv.shell.wire import Close, Converse, Counts, Done, Forward, Open, Part, Talk
from fleetenv.shell.worker import ENDINGS, work
from fleetenv.shell.worker_process import Passphrases, WorkerProcess


class Workers:
    """Worker processes, up while the context is open.

    They are forked: start them before there is an event loop or a thread.

    Args:
        number: how many.
        ask: asks the user for a key's passphrase, once for all workers; None: nobody can be asked.
    """

    def __init__(self, number: int, ask: AskPassphrase | None = None) -> None:
        self._number = number
        self._passphrases = Passphrases(ask)
        self._processes: list[WorkerProcess] = []
        self._dealt: dict[str, int] = {}

    def __enter__(self) -> Workers:
        for _ in range(self._number):
            self._processes.append(self._fork())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.hang_up()
        for process in self._processes:
            process.wait()

    @property
    def processes(self) -> list[int]:
        """The ids of the worker processes."""
        return [process.number for process in self._processes]

    async def connect(self, settings: Settings) -> Connection:
        """Connect to a host, as [`fleetenv.shell.connect`][] does, in the worker that the host is dealt to.

        This machine itself needs no worker.
        """
        if settings.transport == "local":
            return await direct.connect(settings)
        process = self._deal(settings)
        opened = await process.call(lambda call: Open(call, settings))
        return WorkerConnection(settings, process, opened)

    def _deal(self, settings: Settings) -> WorkerProcess:
        """Return a host's worker: each its turn, the same for all hosts behind one jump host, a living one.

        Raises:
            Unreachable: none lives.
        """
        via = proxy_jump(settings)
        key = f"-J {via.split(',')[0]}" if via else settings.host
        first = self._dealt.setdefault(key, len(self._dealt) % self._number)
        for process in (*self._processes[first:], *self._processes[:first]):
            if process.lives:
                return process
        raise Unreachable("all worker processes of this run have ended")

    def _fork(self) -> WorkerProcess:
        ours, theirs = socket.socketpair()
        our_questions, their_questions = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sys.stdout.flush()
        sys.stderr.flush()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)  # the worker first says what they mean to it
        try:
            number = os.fork()
        except OSError as error:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            raise InputError(f"cannot start a worker process: {error.strerror}", hint="see 'ulimit -u'") from error
        if number == 0:
            for process in self._processes:
                process.forget()
            ours.close()
            our_questions.close()
            work(theirs, their_questions if self._passphrases.can_ask else None)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        theirs.close()
        their_questions.close()
        return WorkerProcess(number, ours, our_questions, self._passphrases)


class WorkerConnection(Connection):
    """A [`Connection`][fleetenv.shell.connection.Connection] that a worker holds."""

    def __init__(self, settings: Settings, process: WorkerProcess, opened: Done) -> None:
        super().__init__(settings)
        self._process = process
        self._number = opened.call
        self._user = opened.user
        self._bytes_sent = 0

    @property
    def user(self) -> str:
        """See [`Connection`][fleetenv.shell.connection.Connection]."""
        return self._user

    @property
    def bytes_sent(self) -> int:
        """See [`Connection`][fleetenv.shell.connection.Connection]."""
        return self._bytes_sent

    async def forward(self, port: int) -> int | None:
        """See [`Connection`][fleetenv.shell.connection.Connection]."""
        return (await self._process.call(lambda call: Forward(call, self._number, port))).port

    async def _talk(
        self, steps: Sequence[Step], become: Become | None, progress: Progress | None, timeout: float | None
    ) -> list[Completed]:
        """See [`Connection`][fleetenv.shell.connection.Connection]."""
        done = await self._process.call(
            lambda call: Talk(call, self._number, tuple(steps), become, timeout, progress is not None),
            progress,
            self._count,
        )
        return done.results

    async def converse(
        self,
        parts: Sequence[Sequence[Step]],
        *,
        become: Become | None = None,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> AsyncGenerator[list[Completed], None]:
        """See [`Connection`][fleetenv.shell.connection.Connection]."""
        if len(parts) == 1 or any(isinstance(step, Run) and step.offers for part in parts for step in part):
            async for results in super().converse(parts, become=become, progress=progress, timeout=timeout):
                yield results
            return
        all_parts, tells = tuple(map(tuple, parts)), progress is not None
        answers = self._process.answers(
            lambda call: Converse(call, self._number, all_parts, become, timeout, tells), progress, self._count
        )
        async with aclosing(answers):
            async for answer in answers:
                if isinstance(answer, Part):
                    yield answer.results

    async def _close(self) -> None:
        """See [`Connection`][fleetenv.shell.connection.Connection]."""
        with suppress(Unreachable):  # what its worker held has ended with it
            await self._process.call(lambda call: Close(call, self._number), counted=self._count)

    def _count(self, counts: Counts) -> None:
        self.round_trips, self._bytes_sent = counts.round_trips, counts.bytes_sent
