"""The inside of a worker process: it holds connections, and does with them what the controller says."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import traceback
from contextlib import aclosing
from pathlib import Path
from typing import NoReturn

from msgspec import Struct

from fleetenv.remote import Completed
from fleetenv.shell.answer import Progress
from fleetenv.shell.connection import Connection
from fleetenv.shell.direct import connect
from fleetenv.shell.importing import import_asyncssh
from fleetenv.shell.keys import AskPassphrase, KeyRing
from fleetenv.shell.wire import (
    Answer,
    Cancel,
    Close,
    Converse,
    Counts,
    Done,
    Failed,
    Forward,
    Open,
    Order,
    Part,
    Talk,
    Told,
    Wire,
    decode_request,
    encode_answer,
)

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals of Ctrl-C, of a service's end and of a terminal's: all processes get them, and the controller decides."""


def work(requests: socket.socket, questions: socket.socket | None) -> NoReturn:
    """Be a worker until the controller closes its end, however it ends. Never returns: this is a forked process.

    Args:
        requests: where requests come from, and answers go.
        questions: where passphrases are asked for; None: there is nobody to ask.
    """
    status = 1
    try:
        for number in ENDINGS:
            signal.signal(number, _leave_it_to_the_controller)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        os.dup2(0, 1)  # who reads what the controller prints is not to wait for this process
        import_asyncssh()  # while the controller reads and plans
        asyncio.run(_serve(requests, KeyRing(_asker(questions) if questions else None)))
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)  # what the controller has prepared for its own end is not to happen here


def _leave_it_to_the_controller(number: int, frame: object) -> None:
    """Do nothing; unlike SIG_IGN this is not inherited by programs, such as a ProxyCommand."""


def _asker(questions: socket.socket) -> AskPassphrase:
    """Return what asks the controller, and waits: meanwhile this process does nothing else, as one that asks itself."""

    def ask(path: Path) -> str | None:
        questions.send(os.fsencode(path))
        answer = questions.recv(1 << 16)
        if not answer:
            os._exit(0)  # the controller is gone
        return os.fsdecode(answer[1:]) if answer[:1] == b"+" else None

    return ask


async def _serve(requests: socket.socket, ring: KeyRing) -> None:
    requests.setblocking(False)
    worker = _Worker(ring)
    await asyncio.get_running_loop().create_unix_connection(lambda: worker.wire, sock=requests)
    await asyncio.Event().wait()  # until the wire is lost


def _end() -> None:
    """End at once: as with a process that holds its connections itself, they end with it."""
    os._exit(0)


class _Call(Struct, frozen=True):
    """A request that is being carried out."""

    request: Order
    task: asyncio.Task[None]


class _Worker:
    """The connections of this process, and the calls that are being carried out."""

    def __init__(self, ring: KeyRing) -> None:
        self.wire = Wire(self._receive, _end)
        self._ring = ring
        self._connections: dict[int, Connection] = {}  # by the call that opened it
        self._calls: dict[int, _Call] = {}
        self._untold: dict[int, Told] = {}  # the newest progress, while the controller does not keep up

    def _receive(self, message: bytes) -> None:
        request = decode_request(message)
        if not isinstance(request, Cancel):
            self._begin(request)
        elif request.call in self._calls:
            self._calls[request.call].task.cancel()
        elif request.call in self._connections:  # it was opened before the controller's word came
            self._begin(Close(request.call, request.call))

    def _begin(self, request: Order) -> None:
        self._calls[request.call] = _Call(request, asyncio.create_task(self._answer(request)))

    async def _answer(self, request: Order) -> None:
        call = request.call
        connection = None if isinstance(request, Open) else self._connections.get(request.connection)
        results: list[Completed] = []
        port = None
        answer: Answer
        try:
            if isinstance(request, Open):
                connection = await connect(request.settings, self._ring)
                if self._calls[call].task.cancelling():  # wait_for of Python 3.11 returns what was ready all the same
                    await connection.close()
                    return
                self._connections[call] = connection
            elif connection is None:
                raise LookupError(f"there is no connection {request.connection}")
            elif isinstance(request, Talk):
                results = await self._talk(connection, request)
            elif isinstance(request, Converse):
                await self._converse(connection, request)
            elif isinstance(request, Forward):
                port = await connection.forward(request.port)
            else:
                await self._close(connection, request)
            answer = Done(call, connection.user, results, _counts(connection), port)
        except Exception as error:
            answer = Failed.of(call, error, _counts(connection))
        finally:
            untold = self._untold.pop(call, None)
            del self._calls[call]
        if untold:
            self._send(untold)
        self._send(answer)

    async def _talk(self, connection: Connection, request: Talk) -> list[Completed]:
        return await connection.talk(
            request.steps,
            become=request.become,
            progress=self._teller(request.call) if request.tells else None,
            timeout=request.timeout,
        )

    async def _converse(self, connection: Connection, request: Converse) -> None:
        progress = self._teller(request.call) if request.tells else None
        async with aclosing(
            connection.converse(request.parts, become=request.become, progress=progress, timeout=request.timeout)
        ) as said:
            async for results in said:
                self._send(Part(request.call, results, _counts(connection)))

    async def _close(self, connection: Connection, request: Close) -> None:
        cancelled = [
            each.task
            for each in self._calls.values()
            if isinstance(each.request, Talk | Converse)
            and each.request.connection == request.connection
            and each.task.cancelling()
        ]
        if cancelled:  # they must have let go of their shells
            await asyncio.wait(cancelled)
        try:
            await connection.close()
        finally:
            del self._connections[request.connection]

    def _teller(self, call: int) -> Progress:
        def tell(done: float, total: float, text: str) -> None:
            told = Told(call, done, total, text)
            if self.wire.has_room:
                self._untold.pop(call, None)
                self._send(told)
            else:
                self._untold[call] = told

        return tell

    def _send(self, answer: Answer) -> None:
        self.wire.send(encode_answer(answer))


def _counts(connection: Connection | None) -> Counts:
    return Counts(connection.round_trips, connection.bytes_sent) if connection else Counts()
