"""One long-lived shell on a host, for one user: messages in, results out."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

from msgspec import Struct

from fleetenv.errors import HostError, TaskFailed, Unreachable
from fleetenv.remote import Completed, sh
from fleetenv.shell.answer import Answer, Progress, ProtocolError
from fleetenv.shell.become import READY, Become
from fleetenv.shell.message import NONCE_LENGTH, Data, FilePart, Item, message, start
from fleetenv.shell.transport import WRITE_SIZE, Channel, ConnectionCut, Transport


class Job(Struct, frozen=True):
    """An item of a message, and what the controller has to know of it."""

    item: Item
    timeout: float | None = None  # seconds


class StepTimeout(TaskFailed):
    """A step took longer than it may."""


class RemoteShell:
    """A shell in a channel of its own. Not for use by two at once."""

    def __init__(self, channel: Channel, become: Become | None, patience: float, *, feeds: bool) -> None:
        self._channel = channel
        self._become = become
        self._patience = patience  # seconds until the shell must have greeted
        self._feeds = feeds
        self._nonce = secrets.token_hex(NONCE_LENGTH // 2)
        self._answer = Answer(self._nonce)
        self._ready: deque[Completed] = deque()
        self.greeted = False  # whether the first message was sent
        self._kits: set[str] = set()  # what was sent of them
        self.busy = False  # true from the start of a message until its answer is whole
        self.ended = False
        self.sent = 0  # bytes written

    @classmethod
    async def start(
        cls, transport: Transport, become: Become | None, *, shell: str, patience: float, feeds: bool
    ) -> RemoteShell:
        """Start the shell; nothing is waited for, but a password prompt. `feeds`: there is data in its first message.

        Raises:
            TaskFailed: the other user cannot be become.
            ConnectionCut: the connection broke.
        """
        prompt = f"fleetenv-password-{secrets.token_hex(8)}:"
        feeds |= bool(become and become.asks)
        command = become.command(prompt, shell, feeds=feeds) if become else f"exec {sh(*start(shell, feeds=feeds))}"
        try:
            async with asyncio.timeout(patience):
                channel = await transport.start(command)
        except TimeoutError:
            raise ConnectionCut(f"it does not answer within {patience:g} s") from None
        self = cls(channel, become, patience, feeds=feeds)
        if become and become.asks:
            try:
                await self._enter_password(become, prompt)
            except BaseException:
                self.close()
                raise
        return self

    async def _enter_password(self, become: Become, prompt: str) -> None:
        """Answer the prompt, if one comes, until the shell says that it is ready."""
        said = {False: b"", True: b""}
        answered = False
        try:
            async with asyncio.timeout(self._patience):
                while READY.encode() + b"\n" not in said[False]:
                    chunk = await self._channel.read()
                    if chunk is None:
                        break
                    data, error = chunk
                    said[error] = (said[error] + data)[-65536:]
                    asked = become.asked(said[True], prompt)
                    if asked and answered:
                        break
                    if asked:
                        answered, said[True] = True, b""
                        await self._channel.write((become.password or "").encode() + b"\n")
                else:
                    return
        except TimeoutError:
            shown = _last_line(said[True] + b"\n" + said[False])
            reason = f"; it printed: {shown}" if shown else ""
            what = f"cannot become {become.user} with {become.method}: no shell came within {self._patience:g} s"
            raise TaskFailed(f"{what}{reason}") from None
        text = b"\n".join(said.values()).replace(prompt.encode(), b"").decode("utf-8", "replace")
        raise TaskFailed(become.why_not(text, answered=answered))

    async def talk(
        self, jobs: Sequence[Job], progress: Progress | None = None, written: Callable[[int], None] | None = None
    ) -> list[Completed]:
        """Send one message and return its results, up to and including the first failure that stops it.

        `written` is told of each piece of a file how many bytes went out.

        Raises:
            StepTimeout: a step took too long; the shell is still `busy` with it.
            TaskFailed: the other user could not be become, or the shell was ended.
            Unreachable: the host has no shell, or something else than our shell answers.
            ConnectionCut: the connection broke.
        """
        first, *data = self._message(jobs)
        self.greeted = self.busy = True
        self._answer.begin(progress)
        if isinstance(first, bytes) and not data:
            await self._write(first)
            results = await self._results(jobs)
        else:
            results = await self._exchange([first, *data], jobs, written)
        self.busy = False
        return results

    async def converse(
        self, parts: Sequence[Sequence[Job]], progress: Progress | None = None
    ) -> AsyncGenerator[list[Completed], None]:
        """Send one message, and yield the results of each of its parts as they come: as [`talk`][], part by part.

        Items have no standard input. As much output is kept of each part as of a message of its own.
        """
        (first,) = self._message([job for part in parts for job in part])
        assert isinstance(first, bytes)
        self.greeted = self.busy = True
        await self._write(first)
        for number, part in enumerate(parts, 1):
            self._answer.begin(progress)
            results = await self._results(part)
            ended = number == len(parts) or _stopped(part, results)
            self.busy = not ended
            yield results
            if ended:
                return

    def _message(self, jobs: Sequence[Job]) -> list[Data]:
        try:
            nonce = None if self.greeted else self._nonce
            parts = message([job.item for job in jobs], nonce, self._kits, feeds=self._feeds)
        except ValueError as error:
            raise TaskFailed(str(error)) from error
        self._kits.update(job.item.kit for job in jobs)
        return parts

    async def _exchange(
        self, parts: Sequence[Data], jobs: Sequence[Job], written: Callable[[int], None] | None
    ) -> list[Completed]:
        """Write and read at the same time: neither side may wait for the other to read first."""
        reader = asyncio.create_task(self._results(jobs))
        writer = asyncio.create_task(self._write_parts(parts, written))
        try:
            await asyncio.wait({reader, writer}, return_when=asyncio.FIRST_EXCEPTION)
            for task in (writer, reader):
                if task.done():
                    task.result()
            return reader.result()
        finally:
            for task in (writer, reader):
                task.cancel()
            await asyncio.gather(writer, reader, return_exceptions=True)

    async def _write(self, data: bytes) -> None:
        await self._channel.write(data)
        self.sent += len(data)

    async def _write_parts(self, parts: Sequence[Data], written: Callable[[int], None] | None) -> None:
        for part in parts:
            if isinstance(part, bytes):
                await self._write(part)
                continue
            async for piece in _pieces(part):
                await self._write(piece)
                if written:
                    written(len(piece))

    async def _results(self, jobs: Sequence[Job]) -> list[Completed]:
        if self._answer.session is None:
            try:
                async with asyncio.timeout(self._patience):
                    while self._answer.session is None:
                        await self._receive()
            except TimeoutError:
                raise self._no_shell(f"no shell came within {self._patience:g} s") from None
        results: list[Completed] = []
        for job in jobs:
            try:
                async with asyncio.timeout(job.timeout):
                    while not self._ready:
                        await self._receive()
            except TimeoutError:
                raise StepTimeout(f"it took longer than {job.timeout:g} s, and was ended") from None
            results.append(self._ready.popleft())
            if _stopped(jobs, results):
                break
        return results

    async def _receive(self) -> None:
        chunk = await self._channel.read()
        if chunk is None:
            raise self._end()
        data, error = chunk
        try:
            self._ready.extend(self._answer.feed(data, error=error))
        except ProtocolError as problem:
            raise Unreachable(f"the host answers with something else than its shell: {problem}") from problem

    def _end(self) -> HostError:
        self.ended = True
        ending = self._channel.ending or "without a word"
        if self._answer.session is None:
            return self._no_shell(f"it ended with {ending}" if self._channel.ending else "it ended")
        return TaskFailed(f"the shell on the host was ended in the middle of a step ({ending})")

    def _no_shell(self, what: str) -> HostError:
        out, err = self._answer.unfinished
        if self._become:
            return TaskFailed(self._become.why_not((err + b"\n" + out).decode("utf-8", "replace"), answered=False))
        shown = _last_line(out + b"\n" + err)
        return Unreachable(f"logged in, but the user's shell does not start: {what}{f': {shown}' if shown else ''}")

    async def learn_session(self) -> int | None:
        """Return the session, when need be as soon as the shell has greeted; None: it does not."""
        try:
            while self._answer.session is None:
                await self._receive()
        except HostError:
            return None
        return self._answer.session

    def close(self) -> None:
        """Close the channel: an idle shell ends, a busy one when its step does."""
        self._channel.close()


def _stopped(jobs: Sequence[Job], results: Sequence[Completed]) -> bool:
    """Whether the last of these results stopped its message."""
    return bool(results) and results[-1].status != 0 and not jobs[len(results) - 1].item.may_fail


def _last_line(data: bytes) -> str:
    lines = [line.strip() for line in data.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""


async def _pieces(part: FilePart) -> AsyncIterator[bytes]:
    """Read part of a file piece by piece.

    Raises:
        TaskFailed: the file cannot be read, or has become shorter meanwhile.
    """
    try:
        with part.path.open("rb") as file:
            file.seek(part.start)
            left = len(part)
            while left:
                piece = await asyncio.to_thread(file.read, min(WRITE_SIZE, left))
                if not piece:
                    raise TaskFailed(f"{part.path} became shorter while it was sent")
                left -= len(piece)
                yield piece
    except OSError as error:
        raise TaskFailed(f"cannot read {part.path}: {error.strerror}") from error
