"""The TCP connection to a host, opened before there is anybody to speak SSH over it.

Importing asyncssh takes the controller as long as OpenSSH's server takes to fork, to read its configuration, to load
its keys and, once it knows the client's version, to fork again and to propose algorithms. The two need not wait for
each other, and one round trip less is waited for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from fleetenv import __version__
from fleetenv.shell.gathering import GatheringTransport
from fleetenv.shell.ssh_config import leads_elsewhere

if TYPE_CHECKING:
    import asyncssh

    from fleetenv.shell.settings import Settings

VERSION = f"fleetenv_{__version__}".replace("-", "_")
"""The software's version, as a client tells it first of all (RFC 4253, section 4.2)."""

_GREETING = f"SSH-2.0-{VERSION}\r\n".encode("ascii")

_SSH_PORT = 22

_KEEPS = 10.0
"""Seconds for which an open line is good: a server ends, or drops at random, what does not log in."""


class _Greeting(asyncio.Protocol):
    """Says the version, and leaves what the host says in the kernel until somebody listens."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        transport.write(_GREETING)


class Line:
    """How asyncssh gets its TCP connection to a host, in place of a tunnel through another one.

    Attributes:
        options: what ssh's configuration says of it: the address family and the local address.
    """

    def __init__(self) -> None:
        self.options: asyncssh.SSHClientConnectionOptions | None = None
        self._begun = 0.0
        self._opening: asyncio.Task[asyncio.Transport] | None = None

    def open(self, settings: Settings) -> None:
        """Begin to connect, if the settings alone say where the host is."""
        if not settings.proxy_jump and not settings.proxy_command and not leads_elsewhere(settings):
            self._begun = time.monotonic()
            self._opening = asyncio.create_task(self._open(settings.address, settings.port or _SSH_PORT))

    async def create_connection(
        self, factory: Callable[[], asyncssh.SSHClientConnection], host: str, port: int
    ) -> tuple[asyncio.Transport, asyncssh.SSHClientConnection]:
        """Speak SSH over the line as [`VERSION`][]; open it now if it is not, or has been for too long."""
        if time.monotonic() - self._begun > _KEEPS:
            self.close()
        opening, self._opening = self._opening, None
        transport = await (opening or self._open(host, port))
        connection = factory()
        protocol = cast(asyncio.Protocol, connection)
        gathering = GatheringTransport(transport, said=_GREETING)
        transport.set_protocol(gathering.over(protocol))
        protocol.connection_made(gathering)
        transport.resume_reading()
        return transport, connection

    def close(self) -> None:
        """Close the line if SSH is not spoken over it."""
        if self._opening:
            self._opening.add_done_callback(_hang_up)
            self._opening.cancel()
            self._opening = None

    async def _open(self, host: str, port: int) -> asyncio.Transport:
        family, local = (self.options.family, self.options.local_addr) if self.options else (0, None)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(_Greeting, host, port, family=family, local_addr=local)
        return transport


def _hang_up(opening: asyncio.Task[asyncio.Transport]) -> None:
    if not opening.cancelled() and not opening.exception():
        opening.result().abort()
