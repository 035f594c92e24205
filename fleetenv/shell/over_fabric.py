"""The transport for servers that only paramiko gets on with: fabric, in threads."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import fabric
import paramiko

from fleetenv.errors import FleetenvError, Unreachable
from fleetenv.shell.known_hosts import SYSTEM_FILES, KnownHosts
from fleetenv.shell.ssh_config import config_file, host_key_checking, read_ssh_config
from fleetenv.shell.transport import ALIVE_QUESTIONS, BACKLOG, LOOPBACK, ConnectionCut, Transport

if TYPE_CHECKING:
    from fleetenv.shell.keys import KeyRing
    from fleetenv.shell.settings import Settings

T = TypeVar("T")
_READ_SIZE = 64 * 1024

# Of its own: asyncio's has a few threads only, which silent hosts could hold all.
_threads = ThreadPoolExecutor(256, thread_name_prefix="paramiko")

# A failed login is told in one line; paramiko would print a traceback where nobody has set up logging.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


async def _in_thread(function: Callable[..., T], *arguments: object) -> T:
    return await asyncio.get_running_loop().run_in_executor(_threads, partial(function, *arguments))


class _Channel:
    """A [`Channel`][fleetenv.shell.transport.Channel] over a paramiko channel, with a thread for each stream."""

    def __init__(self, channel: paramiko.Channel, loop: asyncio.AbstractEventLoop) -> None:
        self._channel = channel
        self._loop = loop
        self._chunks: asyncio.Queue[tuple[bytes, bool] | None] = asyncio.Queue()
        self._room = threading.Semaphore(BACKLOG // _READ_SIZE)  # for chunks that were not read yet
        self._open_streams = 2
        for error in (False, True):
            threading.Thread(target=self._collect, args=(error,), daemon=True).start()

    def _collect(self, error: bool) -> None:
        receive = self._channel.recv_stderr if error else self._channel.recv
        with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: the event loop is closed, nobody listens
            while data := receive(_READ_SIZE):
                self._room.acquire()
                self._loop.call_soon_threadsafe(self._chunks.put_nowait, (data, error))
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stream_ended)

    def _stream_ended(self) -> None:
        self._open_streams -= 1
        if not self._open_streams:
            self._chunks.put_nowait(None)

    async def read(self) -> tuple[bytes, bool] | None:
        chunk = await self._chunks.get()
        if chunk is not None:
            self._room.release()
            return chunk
        self._chunks.put_nowait(None)
        transport = self._channel.get_transport()
        if not self._channel.status_event.is_set() and not await _in_thread(self._channel.status_event.wait, 1):
            raise ConnectionCut("the host closed it")
        if self._channel.exit_status < 0 and not transport.is_active():
            raise ConnectionCut("the host closed it")
        return None

    async def write(self, data: bytes) -> None:
        with contextlib.suppress(OSError, EOFError):  # EOFError: the connection broke while this was written
            if len(data) <= self._channel.out_window_size:
                self._channel.sendall(data)
            else:
                await _in_thread(self._channel.sendall, data)

    def close(self) -> None:
        for _ in range(2):
            self._room.release()  # a thread that waits for room sees that the channel is closed
        self._channel.close()

    @property
    def ending(self) -> str | None:
        status = self._channel.exit_status
        return f"exit status {status}" if status >= 0 else None


class _Transport:
    """A [`Transport`][fleetenv.shell.transport.Transport] over fabric."""

    def __init__(self, connections: Sequence[fabric.Connection], client: paramiko.Transport, keepalive: float) -> None:
        self._connections = connections  # jump hosts' first
        self._client = client
        self._keepalive = asyncio.create_task(self._keep_alive(keepalive)) if keepalive else None

    async def _keep_alive(self, interval: float) -> None:
        """Ask from time to time whether the host is there; paramiko's own keep-alive does not mind silence."""
        while self._client.is_active():
            await asyncio.sleep(interval)
            asked = _in_thread(partial(self._client.global_request, wait=True), "keepalive@openssh.com")
            try:
                async with asyncio.timeout(ALIVE_QUESTIONS * interval):
                    await asked
            except TimeoutError:
                self._client.close()
            except (paramiko.SSHException, OSError, EOFError):
                return

    async def start(self, command: str) -> _Channel:
        return _Channel(await _in_thread(self._start, command), asyncio.get_running_loop())

    def _start(self, command: str) -> paramiko.Channel:
        try:
            channel = self._client.open_session(timeout=10)
            channel.exec_command(command)
        except paramiko.ChannelException as error:
            raise Unreachable(f"the host starts no program for {self.user}: {error.text}") from error
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise ConnectionCut(str(error) or "the host closed it") from error
        return channel

    async def forward(self, port: int) -> int | None:
        return await _in_thread(self._forward, port)

    def _forward(self, port: int) -> int | None:
        try:
            return self._client.request_port_forward(LOOPBACK, 0, partial(_carry, port))
        except paramiko.SSHException as error:
            if self._client.is_active():
                return None
            raise ConnectionCut(str(error) or "the host closed it") from error
        except (OSError, EOFError) as error:
            raise ConnectionCut(str(error) or "the host closed it") from error

    async def close(self) -> None:
        if self._keepalive:
            self._keepalive.cancel()
        for connection in reversed(self._connections):
            await _in_thread(connection.close)

    @property
    def user(self) -> str:
        return str(self._connections[-1].user)


def _carry(port: int, channel: paramiko.Channel, origin: tuple[str, int], server: tuple[str, int]) -> None:
    """Join what came in on a forwarded port with a port of this machine; called in paramiko's own thread."""
    threading.Thread(target=_join, args=(channel, port), daemon=True).start()


def _join(channel: paramiko.Channel, port: int) -> None:
    """Carry bytes both ways until this machine's side has ended: a client's question is long over then."""
    with (
        contextlib.closing(channel),
        contextlib.suppress(OSError, EOFError),
        socket.create_connection((LOOPBACK, port)) as here,
    ):
        threading.Thread(target=_pump, args=(channel, here), daemon=True).start()
        _pump(here, channel)


def _pump(source: socket.socket | paramiko.Channel, target: socket.socket | paramiko.Channel) -> None:
    with contextlib.suppress(OSError, EOFError):
        while data := source.recv(_READ_SIZE):
            target.sendall(data)


class _Policy(paramiko.MissingHostKeyPolicy):
    """What happens when a host's key is not known: it is refused, or added when the user has opted in."""

    def __init__(self, checking: str, known: KnownHosts, address: str, port: int) -> None:
        self._checking = checking
        self._known = known
        self._address = address
        self._port = port

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        if self._checking == "no":
            return
        line = f"{key.get_name()} {key.get_base64()}"
        if self._checking == "accept-new":
            self._known.add(self._address, self._port, line)
            return
        raise Unreachable(self._known.untrusted(self._address, self._address, self._port, line, key.fingerprint))


async def connect(settings: Settings, ring: KeyRing) -> Transport:
    """Connect and log in.

    Raises:
        Unreachable: with one line about why.
        InputError: a key or an ssh configuration that cannot be used.
    """
    connections = await _chain(settings, ring)
    opening = asyncio.get_running_loop().run_in_executor(_threads, _open_all, connections)
    try:
        # The thread cannot be stopped: it ends by its own timeouts, and then closes what it has opened.
        async with asyncio.timeout(settings.connect_timeout):
            client = await asyncio.shield(opening)
    except (TimeoutError, asyncio.CancelledError) as error:
        opening.add_done_callback(lambda done: None if done.exception() else _close_all(connections))
        if isinstance(error, asyncio.CancelledError):
            raise
        raise Unreachable(f"no answer from {settings.place} within {settings.connect_timeout:g} s") from error
    return _Transport([connection for _, connection in connections], client, settings.keepalive)


_Chain = list[tuple["Settings", fabric.Connection]]
"""Connections that go one through the other; the last one is the host's."""


async def _chain(settings: Settings, ring: KeyRing, chain: _Chain | None = None) -> _Chain:
    """Return connections that are not open yet; `chain` is what the host's own connection shall go through."""
    ssh_config = read_ssh_config(config_file(settings))
    said = ssh_config.lookup(settings.address)
    via = settings.proxy_jump or said.get("proxyjump")
    if not chain and via and via != "none":
        for stop in settings.jumps(via):
            chain = await _chain(stop, ring, chain)
    # fabric itself would take any %p for 22
    proxy = settings.expanded(settings.proxy_command) if settings.proxy_command else None
    connection = fabric.Connection(
        settings.address,
        user=settings.user,
        port=settings.port,
        config=fabric.Config(ssh_config=ssh_config, lazy=True),
        gateway=chain[-1][1] if chain else proxy or said.get("proxycommand") or False,
        forward_agent=False,
        connect_kwargs=await _how_to_log_in(settings, ring, said.get("identityfile", [])),
    )
    connection.connect_timeout = settings.connect_timeout  # the constructor would cut it to whole seconds
    known = KnownHosts(settings.known_hosts or _paths(said.get("userknownhostsfile", "")))
    checking = host_key_checking(settings)
    if checking != "no":
        for file in (*known.files, *SYSTEM_FILES):
            if file.exists():
                connection.client.load_system_host_keys(str(file))
    connection.client.set_missing_host_key_policy(_Policy(checking, known, connection.host, connection.port))
    return [*(chain or []), (settings, connection)]


def _open_all(chain: _Chain) -> paramiko.Transport:
    try:
        for settings, connection in chain[:-1]:
            try:
                _open(connection, settings)
            except Unreachable as error:
                raise Unreachable(f"jump host: {error}") from error
        return _open(chain[-1][1], chain[-1][0])
    except FleetenvError:
        _close_all(chain)
        raise


def _close_all(chain: _Chain) -> None:
    for _, connection in reversed(chain):
        connection.close()


async def _how_to_log_in(settings: Settings, ring: KeyRing, configured: str | list[str]) -> dict[str, object]:
    kwargs: dict[str, object] = {
        "password": settings.password,
        "look_for_keys": settings.is_jump or not (settings.private_key or configured),
        "auth_timeout": settings.connect_timeout,
        "banner_timeout": settings.connect_timeout,
    }
    # The ring says what is wrong with a key, and asks for its passphrase unless the agent has it.
    named = settings.private_key
    if named and await ring.keys(named, [], os.environ.get("SSH_AUTH_SOCK"), usual=False):
        kwargs["key_filename"] = str(named)
        kwargs["passphrase"] = ring.passphrase(named)
    return kwargs


def _paths(names: str) -> list[Path]:
    return [Path(name).expanduser() for name in names.split()]


def _open(connection: fabric.Connection, settings: Settings) -> paramiko.Transport:
    try:
        connection.open()
    except FleetenvError as error:
        raise type(error)(f"{settings.place}: {error}") from error
    except paramiko.BadHostKeyException as error:
        key = f"{error.key.get_name()} {error.key.get_base64()}"
        known = KnownHosts(settings.known_hosts)
        why = known.changed(connection.host, connection.port, key, error.key.fingerprint)
        raise Unreachable(f"{settings.place}: {why}") from error
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise Unreachable(f"{settings.place}: {_why_not(error, connection)}") from error
    client = connection.transport
    assert isinstance(client, paramiko.Transport)
    return client


def _why_not(error: Exception, connection: fabric.Connection) -> str:
    if isinstance(error, paramiko.AuthenticationException) or "No authentication methods" in str(error):
        return f"login as {connection.user} was refused ({error})"
    if isinstance(error, paramiko.ssh_exception.NoValidConnectionsError):
        error = next(iter(error.errors.values()))
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, socket.gaierror):
        return f"the name cannot be resolved ({error.strerror})"
    return str(error) or "the host closed the connection"
