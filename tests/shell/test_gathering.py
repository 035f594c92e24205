"""What is written in one moment arrives in one piece; who writes much can wait until there is room for more."""

from __future__ import annotations

import asyncio
import socket

from fleetenv.shell.gathering import ROOM, GatheringTransport


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


async def test_there_is_no_room_until_the_other_side_has_read_and_none_is_waited_for_when_it_is_gone() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.setblocking(False)
        loop = asyncio.get_running_loop()
        lost = asyncio.Event()

        class Speaker(asyncio.Protocol):
            def connection_lost(self, error: Exception | None) -> None:
                lost.set()

        transport, speaker = await loop.create_connection(Speaker, sock=ours)
        gathering = GatheringTransport(transport)
        transport.set_protocol(gathering.over(speaker))
        room = gathering.get_extra_info(ROOM)
        said = b"few words, "
        gathering.write(said)
        piece = bytes(100_000)
        while room.is_set():
            gathering.write(piece)
            said += piece
        waiting = asyncio.create_task(room.wait())
        heard = b""
        while len(heard) < len(said):
            heard += await loop.sock_recv(theirs, 1 << 16)
        assert heard == said
        await waiting
        while room.is_set():
            gathering.write(piece)
    await lost.wait()
    await room.wait()
