"""The default transport: asyncssh."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import asyncssh

from fleetenv.errors import HostError, InputError, Unreachable
from fleetenv.shell.jump import Jump, enter
from fleetenv.shell.known_hosts import KnownHosts
from fleetenv.shell.transport import ALIVE_QUESTIONS, BACKLOG, WRITE_SIZE, ConnectionCut, Transport

if TYPE_CHECKING:
    from fleetenv.shell.keys import KeyRing, PrivateKey
    from fleetenv.shell.settings import Settings


class _Login(asyncssh.SSHClient):
    """Answers asyncssh's questions while it logs in: is this the host, and how does the user prove who it is."""

    def __init__(self, settings: Settings, known: KnownHosts, keys: list[PrivateKey], agent: str | None) -> None:
        self._settings = settings
        self._known = known
        self._keys = keys
        self._agent_path = agent
        self._agent: asyncssh.SSHAgentClient | None = None
        self._asked_password = self._asked_kbdint = False
        self.tried: list[str] = []
        self.refused: HostError | None = None  # why we broke the login off ourselves

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        line = " ".join(key.export_public_key().decode().split()[:2])
        if self._settings.host_key_checking == "accept-new" and not self._known.has_key_of(host, addr, port):
            try:
                self._known.add(host, port, line)
            except HostError as error:
                self.refused = error
                return False
            return True
        self.refused = Unreachable(self._known.untrusted(host, addr, port, line, key.get_fingerprint()))
        return False

    async def public_key_auth_requested(self) -> Sequence[asyncssh.SSHKeyPair] | None:
        if self._keys:
            keys, self._keys = self._keys, []
            self.tried.append("private key")
            return cast(Sequence[asyncssh.SSHKeyPair], keys)  # keys as such are taken, too
        if self._agent_path:
            path, self._agent_path = self._agent_path, None
            try:
                self._agent = await asyncssh.connect_agent(path)
                found = list(await self._agent.get_keys())
            except (OSError, ValueError):
                return None
            if found:
                self.tried.append("ssh-agent")
                return found
        return None

    def password_auth_requested(self) -> str | None:
        if self._settings.password is None or self._asked_password:
            return None
        self._asked_password = True
        self.tried.append("password")
        return self._settings.password

    def kbdint_auth_requested(self) -> str | None:
        if self._settings.password is None or self._asked_kbdint:
            return None
        self._asked_kbdint = True
        return ""

    def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        if len(prompts) > 1 or self._settings.password is None:
            return None
        if prompts:
            if self._asked_password:
                return None
            self._asked_password = True
            self.tried.append("password")
        return [self._settings.password] * len(prompts)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._agent:
            self._agent.close()


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

    def __init__(self, channel: asyncssh.SSHClientChannel[bytes], session: _Session) -> None:
        self._channel = channel
        self._session = session

    async def read(self) -> tuple[bytes, bool] | None:
        session = self._session
        while not session.chunks:
            if session.ended:
                if session.cut:
                    raise ConnectionCut(_reason(session.cut))
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
                raise ConnectionCut(_reason(error)) from error
            raise Unreachable(f"the host starts no program for {self.user}: {error.reason}") from error
        except (asyncssh.Error, OSError) as error:
            raise ConnectionCut(_reason(error)) from error
        return _Channel(channel, cast(_Session, session))

    async def close(self) -> None:
        self.connection.close()
        await self.connection.wait_closed()
        if self._jump:
            await self._jump.leave()

    @property
    def user(self) -> str:
        return str(self.connection.get_extra_info("username"))


async def connect(settings: Settings, ring: KeyRing) -> Transport:
    """Connect and log in.

    Raises:
        Unreachable: with one line about why.
        InputError: a key or an ssh configuration that cannot be used.
    """
    try:
        async with asyncio.timeout(settings.connect_timeout):
            return await _connect(settings, ring)
    except TimeoutError as error:
        raise Unreachable(f"no answer from {settings.place} within {settings.connect_timeout:g} s") from error


async def _connect(settings: Settings, ring: KeyRing, before: Jump | None = None) -> _Transport:
    """Connect through the jump host `before`, or through those that the settings or `~/.ssh/config` name."""
    options = _options(settings)
    via = settings.proxy_jump or options.tunnel
    jump = before
    if jump is None and via and via != "none" and (stops := settings.jumps(str(via))):
        jump = await enter(stops, lambda stop, before: _connect(stop, ring, before))
    try:
        return _Transport(await _log_in(settings, options, ring, jump), jump)
    except BaseException:
        if jump and not before:
            await jump.leave()
        raise


async def _log_in(
    settings: Settings, options: asyncssh.SSHClientConnectionOptions, ring: KeyRing, jump: Jump | None
) -> asyncssh.SSHClientConnection:
    known = KnownHosts(settings.known_hosts or _paths(options.config.get("UserKnownHostsFile")))
    agent = options.config.get("IdentityAgent") or os.environ.get("SSH_AUTH_SOCK")
    keys = _keys(settings, ring, _paths(options.config.get("IdentityFile")), has_agent=bool(agent))
    login = _Login(settings, known, keys, str(agent) if agent else None)
    try:
        return await asyncssh.connect(
            options.orig_host,
            options=options,
            config=None,
            client_factory=lambda: login,
            known_hosts=None if settings.host_key_checking == "no" else known.keys,
            tunnel=jump.connection if jump else None,
        )
    except (OSError, asyncssh.Error, socket.gaierror, ValueError) as error:
        if login.refused:
            raise type(login.refused)(f"{settings.place}: {login.refused}") from error
        raise Unreachable(_why_not(error, settings, options, login)) from error


def _options(settings: Settings) -> asyncssh.SSHClientConnectionOptions:
    # An empty tuple means ~/.ssh/config, where there is one.
    given: dict[str, object] = {"config": [str(settings.ssh_config)] if settings.ssh_config else ()}
    if settings.port is not None:
        given["port"] = settings.port
    if settings.user is not None:
        given["username"] = settings.user
    if settings.proxy_command is not None:
        given["proxy_command"] = settings.expanded(settings.proxy_command)
    try:
        return asyncssh.SSHClientConnectionOptions(
            host=settings.address,
            client_keys=None,
            agent_path=None,
            known_hosts=None,
            x509_trusted_certs=None,
            gss_auth=False,
            gss_kex=False,
            gss_host=None,
            host_based_auth=False,
            compression_algs=["none"],
            connect_timeout=None,
            login_timeout=settings.connect_timeout,
            keepalive_interval=settings.keepalive,
            keepalive_count_max=ALIVE_QUESTIONS,
            **given,
        )
    except asyncssh.ConfigParseError as error:
        raise InputError(f"ssh configuration: {error}") from error
    except (ValueError, OSError) as error:
        raise InputError(f"the ssh settings of host '{settings.host}' cannot be used: {error}") from error


def _paths(value: object) -> list[Path]:
    names = value if isinstance(value, list) else [value] if isinstance(value, str) else []
    return [Path(str(name)).expanduser() for name in names]


def _keys(settings: Settings, ring: KeyRing, configured: list[Path], *, has_agent: bool) -> list[PrivateKey]:
    if settings.private_key:
        return [ring.key(settings.private_key)]
    if configured:
        there = [path for path in configured if path.exists()]
        found = (ring.unlocked(path) if has_agent else ring.key(path) for path in there)
        return [key for key in found if key]
    return ring.default_keys()


def _why_not(error: Exception, settings: Settings, options: asyncssh.SSHClientConnectionOptions, login: _Login) -> str:
    place = settings.place
    if isinstance(error, asyncssh.PermissionDenied):
        tried = ", ".join(login.tried) or "nothing: there is no key, no agent and no password"
        return f"{place}: login as {options.username} was refused (tried {tried})"
    if isinstance(error, socket.gaierror):
        return f"{place}: the name cannot be resolved ({error.strerror})"
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return f"{place}: its host key cannot be verified ({error.reason})"
    return f"{place}: {_reason(error)}"


def _reason(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, OSError):
        return (error.strerror or str(error) or type(error).__name__).lower()
    return str(getattr(error, "reason", "") or error or type(error).__name__)
