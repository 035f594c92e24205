"""Jump hosts: one connection to each, shared by all the hosts that are reached through it.

A bastion in front of 500 hosts sees one login, not 500, of which its `MaxStartups` would drop most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import asyncssh

from fleetenv.errors import Unreachable
from fleetenv.shell.settings import Settings


class _LoggedIn(Protocol):
    connection: asyncssh.SSHClientConnection

    async def close(self) -> None:
        """Close the connection."""


Connect = Callable[[Settings, "Jump | None"], Awaitable[_LoggedIn]]

_Key = tuple[asyncio.AbstractEventLoop, Settings, "Jump | None"]
_open: dict[_Key, Jump] = {}


class Jump:
    """A connection to a jump host, counted by its users: the last one who leaves closes it."""

    def __init__(self, key: _Key, login: asyncio.Task[_LoggedIn]) -> None:
        self._key = key
        self._login = login
        self._users = 0

    @property
    def connection(self) -> asyncssh.SSHClientConnection:
        """The connection, once `join` has returned."""
        return self._login.result().connection

    @property
    def usable(self) -> bool:
        """Whether it is connected, or still connecting."""
        if not self._login.done():
            return True
        return not self._login.cancelled() and not self._login.exception() and not self.connection.is_closed()

    async def join(self) -> None:
        """Wait until it is connected, and use it until `leave`."""
        self._users += 1
        try:
            await asyncio.shield(self._login)
        except BaseException:
            await self.leave()
            raise

    async def leave(self) -> None:
        """Use it no longer."""
        self._users -= 1
        if self._users:
            return
        if _open.get(self._key) is self:
            del _open[self._key]
        if not self._login.done():
            self._login.cancel()
        elif not self._login.cancelled() and not self._login.exception():
            await self._login.result().close()


async def enter(stops: Sequence[Settings], connect: Connect) -> Jump:
    """Return a connection to the last of some jump hosts, each reached through the one before it.

    Raises:
        Unreachable: one of them cannot be reached.
    """
    jump: Jump | None = None
    for stop in stops:
        before, key = jump, (asyncio.get_running_loop(), stop, jump)
        shared = _open.get(key)
        if shared and shared.usable:
            jump = shared
        else:
            jump = _open[key] = Jump(key, asyncio.create_task(_log_in(stop, before, connect)))
        try:
            await jump.join()
        except Unreachable as error:
            raise Unreachable(f"jump host: {error}") from error
        finally:
            if before and jump is shared:
                await before.leave()
    assert jump
    return jump


async def _log_in(stop: Settings, before: Jump | None, connect: Connect) -> _LoggedIn:
    """Connect; the connection now uses `before`, and leaves it when it is closed, or at once if there will be none."""
    try:
        return await connect(stop, before)
    except BaseException:
        if before:
            await before.leave()
        raise
