"""A TCP connection on which all that is written in one moment leaves together.

asyncssh writes every SSH packet by itself, and before most of them an empty one. Each write is a system call that wakes
the host's sshd: that takes both of them longer than the packet itself.

What arrives is acknowledged at once. Until a program runs, OpenSSH's server keeps what it says second until the first
is acknowledged (Nagle's algorithm), and the kernel of whoever has just written waits 40 ms with that, for more to be
written: so each login would be 40 ms longer than it need be.

asyncssh writes as much as the host's window allows, 2 MB a host; who sends much is told here when it has left.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Any

_QUICK = getattr(socket, "TCP_QUICKACK", None)  # Linux
_LARGE = 1 << 14  # bytes that leave by themselves: to copy them takes longer than a system call

ROOM = "fleetenv-room"
"""By this name `get_extra_info` gives an `asyncio.Event`: set, unless much waits to be written."""


class GatheringTransport(asyncio.Transport):
    """Keeps what is written until the event loop's next turn, and then writes it at once.

    Args:
        transport: the connection.
        said: what has been written to it already, and will be again: that time it is left out.
    """

    def __init__(self, transport: asyncio.Transport, said: bytes = b"") -> None:
        super().__init__()
        self._transport = transport
        self._said = said
        self._kept = bytearray()
        self._room = asyncio.Event()
        self._room.set()
        self._socket: socket.socket | None = transport.get_extra_info("socket")
        self._loop = asyncio.get_running_loop()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take data; it leaves soon."""
        if self._said:
            data, self._said = bytes(data).removeprefix(self._said), b""
        if len(data) >= _LARGE:
            self._flush()
            self._transport.write(data)
            return
        if not self._kept:
            self._loop.call_soon(self._flush)
        self._kept += data

    def _flush(self) -> None:
        if self._kept:
            kept, self._kept = self._kept, bytearray()
            self._transport.write(kept)
            if self._socket and _QUICK:
                with suppress(OSError):  # it is closed
                    self._socket.setsockopt(socket.IPPROTO_TCP, _QUICK, 1)  # the kernel forgets it after each write

    def close(self) -> None:
        """Write what was kept, and close."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once, whatever was kept."""
        self._kept.clear()
        self._transport.abort()

    def is_closing(self) -> bool:
        """Whether nothing more can be written."""
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known of the connection: its socket, its addresses; and [`ROOM`][]."""
        return self._room if name == ROOM else self._transport.get_extra_info(name, default)

    def over(self, protocol: asyncio.Protocol) -> asyncio.Protocol:
        """Return the protocol that stands between the connection and the one that is spoken."""
        return _Between(protocol, self._room)


class _Between(asyncio.Protocol):
    """Passes on what arrives, and heeds what asyncssh does not: that there is no room for more."""

    def __init__(self, protocol: asyncio.Protocol, room: asyncio.Event) -> None:
        self._protocol = protocol
        self._room = room

    def data_received(self, data: bytes) -> None:
        self._protocol.data_received(data)

    def eof_received(self) -> bool | None:
        return self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._room.set()  # nobody is to wait for it
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()
