"""The transport to this very machine: a subprocess."""

from __future__ import annotations

import asyncio
import contextlib
import getpass

from fleetenv.shell.transport import BACKLOG, WRITE_SIZE, Transport


class _Channel:
    """A [`Channel`][fleetenv.shell.transport.Channel] to a subprocess."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._chunks: asyncio.Queue[tuple[bytes, bool] | None] = asyncio.Queue(2 * BACKLOG // WRITE_SIZE)
        assert process.stdout
        assert process.stderr
        self._readers = [
            asyncio.create_task(self._collect(process.stdout, error=False)),
            asyncio.create_task(self._collect(process.stderr, error=True)),
        ]
        self._ending = asyncio.create_task(self._end())

    async def _collect(self, stream: asyncio.StreamReader, *, error: bool) -> None:
        while data := await stream.read(WRITE_SIZE):
            await self._chunks.put((data, error))

    async def _end(self) -> None:
        # The program's end is what counts: something it left behind may hold its streams open for ever.
        await self._process.wait()
        await asyncio.wait(self._readers, timeout=0.5)
        await self._chunks.put(None)

    async def read(self) -> tuple[bytes, bool] | None:
        chunk = await self._chunks.get()
        if chunk is None:
            await self._chunks.put(None)
        return chunk

    async def write(self, data: bytes) -> None:
        assert self._process.stdin
        with contextlib.suppress(ConnectionError):
            for start in range(0, len(data), WRITE_SIZE):
                await self._process.stdin.drain()
                self._process.stdin.write(data[start : start + WRITE_SIZE])

    def close(self) -> None:
        for task in (*self._readers, self._ending):
            task.cancel()
        if self._process.stdin:
            self._process.stdin.close()
        transport = getattr(self._process, "_transport", None)
        if isinstance(transport, asyncio.SubprocessTransport):
            for number in (1, 2):
                if pipe := transport.get_pipe_transport(number):
                    pipe.close()

    async def end(self) -> None:
        """Close, and wait until the program has ended: it does, when it reads the end of its input."""
        self.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self._process.wait()

    @property
    def ending(self) -> str | None:
        status = self._process.returncode
        if status is None:
            return None
        return f"signal {-status}" if status < 0 else f"exit status {status}"


class _Transport:
    """A [`Transport`][fleetenv.shell.transport.Transport] to this machine."""

    def __init__(self) -> None:
        self._channels: list[_Channel] = []

    async def start(self, command: str) -> _Channel:
        process = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", command,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        channel = _Channel(process)
        self._channels.append(channel)
        return channel

    async def forward(self, port: int) -> int:
        return port

    async def close(self) -> None:
        for channel in self._channels:
            await channel.end()

    @property
    def user(self) -> str:
        return getpass.getuser()


def connect() -> Transport:
    """Return the transport; there is nothing to connect to."""
    return _Transport()
