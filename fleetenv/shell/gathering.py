"""A TCP connection on which all that is written in one moment leaves together.

asyncssh writes every SSH packet by itself, and before most of them an empty one. Each write is a system call that wakes
the host's sshd: that takes both of them longer than the packet itself.

What arrives is acknowledged at once. Until a program runs, OpenSSH's server keeps what it says second until the first
is acknowledged (Nagle's algorithm), and the kernel of whoever has just written waits 40 ms with that, for more to be
written: so each login would be 40 ms longer than it need be.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Any

_QUICK = getattr(socket, "TCP_QUICKACK", None)  # Linux


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
        self._socket: socket.socket | None = transport.get_extra_info("socket")
        self._loop = asyncio.get_running_loop()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take data; it leaves soon."""
        if self._said:
            data, self._said = bytes(data).removeprefix(self._said), b""
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
        """Return what is known of the connection: its socket, its addresses."""
        return self._transport.get_extra_info(name, default)
