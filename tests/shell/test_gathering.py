"""What is written in one moment arrives in one piece."""

from __future__ import annotations

import asyncio

from fleetenv.shell.gathering import GatheringTransport


async def test_writes_of_one_moment_leave_together_and_a_close_waits_for_them() -> None:
    came: list[bytes] = []
    arrived, ended = asyncio.Event(), asyncio.Event()

    class Listener(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            came.append(data)
            arrived.set()

        def connection_lost(self, error: Exception | None) -> None:
            ended.set()

    server = await asyncio.get_running_loop().create_server(Listener, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, "127.0.0.1", port)
        gathering = GatheringTransport(transport)
        for word in (b"one ", b"two ", b"three"):
            gathering.write(word)
        await arrived.wait()
        assert came == [b"one two three"]
        gathering.write(b"last")
        gathering.close()
        assert gathering.is_closing()
        await ended.wait()
    assert b"".join(came[1:]) == b"last"
