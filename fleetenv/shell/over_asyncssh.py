"""The default transport: asyncssh."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

import asyncssh

from fleetenv.errors import InputError, Unreachable
from fleetenv.shell.gathering import ROOM
from fleetenv.shell.jump import Jump, enter
from fleetenv.shell.known_hosts import KnownHosts
from fleetenv.shell.line import VERSION, Line
from fleetenv.shell.login import Login, reason
from fleetenv.shell.ssh_config import config_file
from fleetenv.shell.transport import ALIVE_QUESTIONS, BACKLOG, LOOPBACK, WRITE_SIZE, ConnectionCut, Transport

if TYPE_CHECKING:
    from fleetenv.shell.keys import KeyRing
    from fleetenv.shell.settings import Settings


_CIPHERS = "^aes256-gcm@openssh.com"
"""As safe as chacha20-poly1305, asyncssh's first choice, and five times less work for the controller."""

_CLOSE_TIMEOUT = 5.0  # seconds for a last word to a host


class _Session(asyncssh.SSHClientSession[bytes]):
    """One program on the host: what arrives is kept until it is read."""

    def __init__(self) -> None:
        self.chunks: deque[tuple[bytes, bool]] = deque()
        self.size = 0
        self.arrived = asyncio.Event()
        self.room = asyncio.Event()
        self.room.set()
        self.ended = False
        self.cut: Exception | None = None
        self.paused = False
        self._channel: asyncssh.SSHClientChannel[bytes]

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel = chan

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        self.chunks.append((data, datatype is not None))
        self.size += len(data)
        if self.size > BACKLOG and not self.paused:
            self.paused = True
            self._channel.pause_reading()
        self.arrived.set()

    def pause_writing(self) -> None:
        self.room.clear()

    def resume_writing(self) -> None:
        self.room.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended, self.cut = True, exc
        self.arrived.set()
        self.room.set()


class _Channel:
    """A [`Channel`][fleetenv.shell.transport.Channel] over asyncssh."""

    def __init__(
        self, channel: asyncssh.SSHClientChannel[bytes], session: _Session, room: asyncio.Event | None
    ) -> None:
        self._channel = channel
        self._session = session
        self._room = room  # of the TCP connection; None: there are others between

    async def read(self) -> tuple[bytes, bool] | None:
        session = self._session
        while not session.chunks:
            if session.ended:
                if session.cut:
                    raise ConnectionCut(reason(session.cut))
                return None
            session.arrived.clear()
            await session.arrived.wait()
        data, error = session.chunks.popleft()
        session.size -= len(data)
        if session.paused and session.size <= BACKLOG // 2:
            session.paused = False
            self._channel.resume_reading()
        return data, error

    async def write(self, data: bytes) -> None:
        for start in range(0, len(data), WRITE_SIZE):
            await self._session.room.wait()
            if self._room:
                await self._room.wait()
            if self._session.ended:
                return
            try:
                self._channel.write(data[start : start + WRITE_SIZE] if len(data) > WRITE_SIZE else data)
            except (BrokenPipeError, OSError):
                return

    def close(self) -> None:
        self._channel.close()

    @property
    def ending(self) -> str | None:
        if signal := self._channel.get_exit_signal():
            return f"signal {signal[0]}"
        status = self._channel.get_exit_status()
        return None if status is None or status < 0 else f"exit status {status}"


class _Transport:
    """A [`Transport`][fleetenv.shell.transport.Transport] over asyncssh."""

    def __init__(self, connection: asyncssh.SSHClientConnection, jump: Jump | None) -> None:
        self.connection = connection
        self._jump = jump

    async def start(self, command: str) -> _Channel:
        try:
            channel, session = await self.connection.create_session(
                _Session, command, encoding=None, request_pty=False, x11_forwarding=False
            )
        except asyncssh.ChannelOpenError as error:
            if self.connection.is_closed():
                raise ConnectionCut(reason(error)) from error
            raise Unreachable(f"the host starts no program for {self.user}: {error.reason}") from error
        except (asyncssh.Error, OSError) as error:
            raise ConnectionCut(reason(error)) from error
        return _Channel(channel, cast(_Session, session), self.connection.get_extra_info(ROOM))

    async def forward(self, port: int) -> int | None:
        try:
            listener = await self.connection.forward_remote_port(LOOPBACK, 0, LOOPBACK, port)
        except asyncssh.ChannelListenError:
            return None
        except (asyncssh.Error, OSError) as error:
            raise ConnectionCut(reason(error)) from error
        return listener.get_port()

    async def close(self) -> None:
        self.connection.close()
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await self.connection.wait_closed()
        except TimeoutError:
            self.connection.abort()
        if self._jump:
            await self._jump.leave()

    @property
    def user(self) -> str:
        return str(self.connection.get_extra_info("username"))


async def connect(settings: Settings, ring: KeyRing, line: Line) -> Transport:
    """Connect and log in, over a line that may be open already.

    Raises:
        Unreachable: with one line about why.
        InputError: a key or an ssh configuration that cannot be used.
    """
    login = await _prepare(settings, ring)  # may ask the user: the clock does not run yet
    try:
        async with asyncio.timeout(settings.connect_timeout):
            return await _connect(login, ring, line)
    except TimeoutError as error:
        raise Unreachable(f"no answer from {settings.place} within {settings.connect_timeout:g} s") from error


async def _prepare(settings: Settings, ring: KeyRing) -> Login:
    options = _options(settings)
    known = KnownHosts(settings.known_hosts or _paths(options.config.get("UserKnownHostsFile")))
    agent = options.config.get("IdentityAgent") or os.environ.get("SSH_AUTH_SOCK")
    agent = str(agent) if agent and agent != "none" else None
    configured = _paths(options.config.get("IdentityFile"))
    keys = await ring.keys(settings.private_key, configured, agent, usual=settings.is_jump)
    return Login(settings, options, known, keys, agent)


async def _connect(login: Login, ring: KeyRing, line: Line, before: Jump | None = None) -> _Transport:
    """Connect through the jump host `before`, or through those that the settings or `~/.ssh/config` name."""

    async def through(stop: Settings, before: Jump | None) -> _Transport:
        return await _connect(await _prepare(stop, ring), ring, Line(), before)

    settings, options = login.settings, login.options
    line.options = options
    via = settings.proxy_jump or options.tunnel
    jump = before
    if jump is None and via and via != "none" and (stops := settings.jumps(str(via))):
        jump = await enter(stops, through)
    try:
        connection = await asyncssh.connect(
            settings.address,
            options=options,
            config=None,
            client_factory=lambda: login,
            known_hosts=None if login.checking == "no" else login.known.keys,
            encryption_algs=() if options.config.get("Ciphers") else _CIPHERS,
            tunnel=jump.connection if jump else None if options.proxy_command else line,
        )
    except BaseException as error:
        if jump and not before:
            await jump.leave()
        if not isinstance(error, OSError | asyncssh.Error | ValueError):
            raise
        raise login.why_not(error) from error
    return _Transport(connection, jump)


def _options(settings: Settings) -> asyncssh.SSHClientConnectionOptions:
    given: dict[str, object] = {}
    make: Callable[..., asyncssh.SSHClientConnectionOptions] = _made  # hosts differ in their names alone
    if config_file(settings).exists():  # what it says depends on the name
        # An empty tuple means ~/.ssh/config.
        given = {"config": [str(settings.ssh_config)] if settings.ssh_config else (), "host": settings.address}
        make = _make
    if settings.port is not None:
        given["port"] = settings.port
    if settings.user is not None:
        given["username"] = settings.user
    if settings.proxy_command is not None:
        given["proxy_command"] = settings.expanded(settings.proxy_command)
    given |= {"login_timeout": settings.connect_timeout, "keepalive_interval": settings.keepalive}
    try:
        return make(**given)
    except asyncssh.ConfigParseError as error:
        raise InputError(f"ssh configuration: {error}") from error
    except (ValueError, OSError) as error:
        raise InputError(f"the ssh settings of host '{settings.host}' cannot be used: {error}") from error


def _make(**given: object) -> asyncssh.SSHClientConnectionOptions:
    """Make options: that takes a tenth of a login."""
    return asyncssh.SSHClientConnectionOptions(
        client_version=VERSION,
        client_keys=None,
        agent_path=None,
        known_hosts=None,
        x509_trusted_certs=None,
        gss_kex=False,
        host_based_auth=False,
        compression_algs=["none"],
        connect_timeout=None,
        keepalive_count_max=ALIVE_QUESTIONS,
        **given,
    )


_made = lru_cache(maxsize=16)(_make)


def _paths(value: object) -> list[Path]:
    names = value if isinstance(value, list) else [value] if isinstance(value, str) else []
    return [Path(str(name)).expanduser() for name in names]
