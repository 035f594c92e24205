"""A connection that this process holds itself: its shells, one for each user, and what is talked over them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, closing, suppress
from functools import lru_cache
from pathlib import Path
from typing import TypeGuard

from msgspec import Struct

from fleetenv.errors import HostError, TaskFailed, Unreachable
from fleetenv.remote import Completed, Run, Send, Step
from fleetenv.shell import send
from fleetenv.shell.answer import Progress
from fleetenv.shell.become import Become
from fleetenv.shell.connection import Connection
from fleetenv.shell.importing import asyncssh_imported
from fleetenv.shell.keys import KeyRing
from fleetenv.shell.line import Line
from fleetenv.shell.message import FilePart, Item, end_session
from fleetenv.shell.remote_shell import Job, RemoteShell, StepTimeout
from fleetenv.shell.settings import Settings
from fleetenv.shell.transport import ConnectionCut, Transport

_END_TIMEOUT = 8.0  # seconds to end what a step has started, before the host counts as lost


async def connect(settings: Settings, ring: KeyRing | None = None) -> Connection:
    """Connect to a host and log in.

    Args:
        settings: how to reach it.
        ring: the private keys, shared by all connections, so that each is loaded once; None: keys of this one's own,
            and nobody is asked for a passphrase.

    Raises:
        Unreachable: with one line that says why, and what would mend it.
        InputError: a key or an ssh configuration that cannot be used.
    """
    transport: Transport
    if settings.transport == "local":
        from fleetenv.shell import over_local

        transport = over_local.connect()
    elif settings.transport == "fabric":
        from fleetenv.shell import over_fabric

        transport = await over_fabric.connect(settings, ring or KeyRing())
    else:
        with closing(Line()) as line:
            line.open(settings)
            await asyncssh_imported()
            from fleetenv.shell import over_asyncssh

            transport = await over_asyncssh.connect(settings, ring or KeyRing(), line)
    return DirectConnection(transport, settings)


class DirectConnection(Connection):
    """A [`Connection`][fleetenv.shell.connection.Connection] over a transport of this process."""

    def __init__(self, transport: Transport, settings: Settings) -> None:
        super().__init__(settings)
        self._transport = transport
        self._shells: dict[Become | None, RemoteShell] = {}
        self._sent = 0  # by shells that are gone
        self._turn = asyncio.Lock()

    @property
    def user(self) -> str:
        """See [`Connection`][fleetenv.shell.connection.Connection]."""
        return self._transport.user

    @property
    def bytes_sent(self) -> int:
        """See [`Connection`][fleetenv.shell.connection.Connection]."""
        return self._sent + sum(shell.sent for shell in self._shells.values())

    async def forward(self, port: int) -> int | None:
        """See [`Connection`][fleetenv.shell.connection.Connection]."""
        try:
            return await self._transport.forward(port)
        except ConnectionCut as cut:
            raise Unreachable(f"the connection was lost: {cut}") from cut

    async def _talk(
        self, steps: Sequence[Step], become: Become | None, progress: Progress | None, timeout: float | None
    ) -> list[Completed]:
        """See [`Connection`][fleetenv.shell.connection.Connection]."""
        async with self._turn:
            results: list[Completed] = []
            jobs: list[Job] = []
            for step in steps:
                if isinstance(step, Run):
                    jobs.append(_job(step, timeout))
                elif isinstance(step.content, bytes):
                    jobs.append(Job(send.in_message(step, step.content), timeout))
                else:
                    file = await asyncio.to_thread(_identify, step.content)
                    jobs.append(Job(send.survey(step, file.digest, self.settings.host), timeout))
                    asked = await self._exchange(jobs, become, progress)
                    if len(asked) < len(jobs) or asked[-1].status:
                        return results + asked
                    results += asked[:-1]
                    jobs = [Job(await _rest(step, file, self.settings.host, asked[-1]), timeout)]
            return results + await self._exchange(jobs, become, progress)

    async def converse(
        self,
        parts: Sequence[Sequence[Step]],
        *,
        become: Become | None = None,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> AsyncGenerator[list[Completed], None]:
        """See [`Connection`][fleetenv.shell.connection.Connection]; what is text alone goes over in one message."""
        jobs = [[_job(step, timeout) for step in part if _is_text(step)] for part in parts]
        if len(parts) == 1 or [*map(len, jobs)] != [*map(len, parts)]:
            async for results in super().converse(parts, become=become, progress=progress, timeout=timeout):
                yield results  # it holds nothing while it waits to be asked for more
            return
        async with self._turn:
            try:
                shell = await self._shell(become)
                self.round_trips += 1
                try:
                    async with aclosing(shell.converse(jobs, progress)) as answers:
                        async for results in answers:
                            yield results
                except StepTimeout:
                    await self._shell(become)  # a new one: that ends what the step has started
                    raise
            except ConnectionCut as cut:
                raise Unreachable(f"the connection was lost: {cut}") from cut

    async def _exchange(self, jobs: Sequence[Job], become: Become | None, progress: Progress | None) -> list[Completed]:
        if not jobs:
            return []
        try:
            shell = await self._shell(become, feeds=any(len(job.item.stdin) for job in jobs))
            self.round_trips += 1
            try:
                return await shell.talk(jobs, progress, _file_progress(jobs, progress))
            except StepTimeout:
                await self._shell(become)  # a new one: that ends what the step has started
                raise
        except ConnectionCut as cut:
            raise Unreachable(f"the connection was lost: {cut}") from cut

    async def _shell(self, become: Become | None, *, feeds: bool = False) -> RemoteShell:
        """Return the user's shell. One that is busy with what was given up is replaced, and all it started is ended.

        Args:
            become: Who that is, if not who is logged in.
            feeds: Whether there is data in the message that it is for.
        """
        stale = self._shells.get(become)
        if stale and stale.greeted and not stale.busy and not stale.ended:
            return stale
        session = None
        if stale and stale.busy and not stale.ended:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(_END_TIMEOUT, self.settings.patience)):
                    session = await stale.learn_session()
        self.round_trips += bool(become and become.asks)  # the password's prompt
        shell = await RemoteShell.start(
            self._transport, become, shell=self.settings.shell, patience=self.settings.patience, feeds=feeds
        )
        try:
            if session is not None:
                self.round_trips += 1
                await shell.talk([Job(Item(end_session(session)), _END_TIMEOUT)])
        except BaseException as error:  # the old one stays, and `close` tries again
            shell.close()
            if isinstance(error, StepTimeout):
                raise Unreachable("the step that took too long cannot be ended on the host") from error
            raise
        if stale:
            self._sent += stale.sent
            stale.close()
        self._shells[become] = shell
        return shell

    async def _close(self) -> None:
        """See [`Connection`][fleetenv.shell.connection.Connection]."""
        for become, shell in list(self._shells.items()):
            if shell.busy:
                with suppress(HostError, ConnectionCut, TimeoutError):
                    async with asyncio.timeout(_END_TIMEOUT):
                        await self._shell(become)
        for shell in self._shells.values():
            shell.close()
        await self._transport.close()


def _is_text(step: Step) -> TypeGuard[Run]:
    """Whether a step is all in its script."""
    return isinstance(step, Run) and not step.stdin and not step.offers


def _job(step: Run, timeout: float | None) -> Job:
    item = Item(step.script, step.stdin, step.environment, step.may_fail, step.kit)
    return Job(item, timeout if step.timeout is None else step.timeout)


class _File(Struct, frozen=True):
    """A file to be sent, as it was when it was looked at."""

    path: Path
    size: int
    changed: int  # when, in nanoseconds
    digest: str  # sha256


def _identify(path: Path) -> _File:
    try:
        stat = path.stat()
        return _File(path, stat.st_size, stat.st_mtime_ns, _digest(path, stat.st_size, stat.st_mtime_ns))
    except OSError as error:
        raise TaskFailed(f"cannot read {path}: {error.strerror}") from error


@lru_cache(maxsize=256)
def _digest(path: Path, size: int, changed: int) -> str:
    """Return the sha256 of a file's first `size` bytes; `changed` tells versions of the file apart."""
    result = hashlib.sha256()
    with path.open("rb") as file:
        while size > 0 and (piece := file.read(min(size, 1 << 20))):
            size -= len(piece)
            result.update(piece)
    return result.hexdigest()


async def _rest(step: Send, file: _File, host: str, answer: Completed) -> Item:
    """Return what is to be done about a file, given what the host has of it."""
    there = send.read_survey(answer)
    start = 0
    if 0 < there.size <= file.size:
        try:
            prefix = await asyncio.to_thread(_digest, file.path, there.size, file.changed)
        except OSError as error:
            raise TaskFailed(f"cannot read {file.path}: {error.strerror}") from error
        start = there.size if prefix == there.sha256 else 0
    if there.room is not None and there.room + there.size < file.size:
        return send.no_room(step, file.digest, host, there.room + there.size)
    return send.stream(step, file.digest, host, FilePart(file.path, start, file.size))


def _file_progress(jobs: Sequence[Job], progress: Progress | None) -> Callable[[int], None] | None:
    """Return what tells the progress of the one file that a message streams."""
    part = next((job.item.stdin for job in jobs if isinstance(job.item.stdin, FilePart)), None)
    if not part or not progress:
        return None
    done = part.start

    def written(count: int) -> None:
        nonlocal done
        done += count
        progress(done, part.end, part.path.name)

    return written
