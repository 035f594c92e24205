"""The controller's side of one worker process: calls to it, and what becomes of them when it ends."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from itertools import count
from pathlib import Path

import msgspec
from msgspec import Struct

from fleetenv.errors import Unreachable
from fleetenv.shell.answer import Progress
from fleetenv.shell.keys import AskPassphrase
from fleetenv.shell.wire import (
    Cancel,
    Counts,
    Done,
    Failed,
    Order,
    Part,
    Told,
    Wire,
    decode_answer,
    encode_request,
)

_PATIENCE = 3.0  # seconds that a worker has to end, once nobody listens to it


class Passphrases:
    """What the user said when a worker asked for a key's passphrase: every worker needs it, the user is asked once."""

    def __init__(self, ask: AskPassphrase | None) -> None:
        self._ask = ask
        self._known: dict[Path, str | None] = {}

    @property
    def can_ask(self) -> bool:
        """Whether there is anybody to ask."""
        return self._ask is not None

    def of(self, path: Path) -> str | None:
        """Return the passphrase of a key, None: nobody told it."""
        if path not in self._known and self._ask:
            self._known[path] = self._ask(path)
        return self._known.get(path)


class _Call(Struct):
    """What waits for a worker's answers."""

    answers: asyncio.Queue[Done | Part | Failed | Exception]
    progress: Progress | None


class WorkerProcess:
    """One worker. A call that it was cancelled in, or that it did not live to answer, is over here, too."""

    def __init__(
        self, number: int, requests: socket.socket, questions: socket.socket, passphrases: Passphrases
    ) -> None:
        self.number = number  # the process's id
        self.lives = True
        self._requests = requests
        self._questions = questions
        self._passphrases = passphrases
        self._wire = Wire(self._receive, self._lose)
        self._attached = False
        self._sending = asyncio.Lock()
        self._numbers = count()
        self._calls: dict[int, _Call] = {}

    async def call(
        self,
        request: Callable[[int], Order],
        progress: Progress | None = None,
        counted: Callable[[Counts], None] | None = None,
    ) -> Done:
        """Let the worker carry out a request, and return its answer: as [`answers`][], which has only one."""
        (answer,) = [each async for each in self.answers(request, progress, counted)]
        assert isinstance(answer, Done)
        return answer

    async def answers(
        self,
        request: Callable[[int], Order],
        progress: Progress | None = None,
        counted: Callable[[Counts], None] | None = None,
    ) -> AsyncGenerator[Done | Part, None]:
        """Let the worker carry out a request, and yield its answers as they come, the last of which is `Done`.

        Args:
            request: makes the request, given its number.
            progress: told how far it is; what this raises ends the call.
            counted: told what was said over the connection so far, whether the call succeeds or not.

        Raises:
            Unreachable: the worker has ended; beside whatever the worker says.
        """
        number = next(self._numbers)
        call = self._calls[number] = _Call(asyncio.Queue(), progress)
        sent = ended = False
        try:
            async with self._sending:
                await self._make_room()
                self._wire.send(encode_request(request(number)))
            sent = True
            while not ended:
                answer = await call.answers.get()
                if isinstance(answer, Exception):
                    raise answer
                ended = not isinstance(answer, Part)
                if counted:
                    counted(answer.counts)
                if isinstance(answer, Failed):
                    raise answer.error
                yield answer
        finally:
            del self._calls[number]
            if sent and not ended and self.lives:  # it was given up, perhaps in the moment in which the answer came
                self._wire.send(encode_request(Cancel(number)))

    async def _make_room(self) -> None:
        """Wait until more can be sent: what waits here is not yet a message, and shares its bytes with others."""
        if not self.lives:
            raise _ended()
        if not self._attached:
            self._attached = True
            loop = asyncio.get_running_loop()
            self._requests.setblocking(False)
            await loop.create_unix_connection(lambda: self._wire, sock=self._requests)
            loop.add_reader(self._questions, self._answer_question)
        await self._wire.room()

    def _receive(self, message: bytes) -> None:
        try:
            answer = decode_answer(message)
        except msgspec.DecodeError:
            self._wire.close()  # it is no longer what we have started
            return
        if isinstance(answer, Told):
            self._tell(answer)
        elif call := self._calls.get(answer.call):
            call.answers.put_nowait(answer)

    def _tell(self, told: Told) -> None:
        call = self._calls.get(told.call)
        if call is None or call.progress is None:
            return
        try:
            call.progress(told.done, told.total, told.text)
        except Exception as error:  # the caller's own: it ends the caller's call, as it would without workers
            call.progress = None
            call.answers.put_nowait(error)

    def _answer_question(self) -> None:
        try:
            path = self._questions.recv(1 << 16)
        except OSError:
            path = b""
        if not path:
            asyncio.get_running_loop().remove_reader(self._questions)
            return
        passphrase = self._passphrases.of(Path(os.fsdecode(path)))
        with suppress(OSError):
            self._questions.send(b"-" if passphrase is None else b"+" + os.fsencode(passphrase))

    def _lose(self) -> None:
        """The worker has ended."""
        self.lives = False
        for call in self._calls.values():
            call.answers.put_nowait(_ended())

    def hang_up(self) -> None:
        """Let the worker end."""
        for ours, what in ((self._requests, socket.SHUT_RDWR), (self._questions, socket.SHUT_WR)):
            with suppress(OSError):  # it has ended before
                ours.shutdown(what)

    def wait(self) -> None:
        """Wait for its end, not for long: it closes the questions. Linux before 5.3 has no pidfd that would tell."""
        with suppress(OSError):  # it has ended without reading the last answer
            while select.select([self._questions], [], [], _PATIENCE)[0]:
                if not self._questions.recv(1 << 16):
                    break
            else:
                os.kill(self.number, signal.SIGKILL)  # its number is its own until somebody has waited for it
        os.waitpid(self.number, 0)

    def forget(self) -> None:
        """Close this process's copies of the sockets: it is another worker."""
        self._requests.close()
        self._questions.close()


def _ended() -> Unreachable:
    return Unreachable("the connection was lost: the worker process that held it has ended")
