"""The process that embedded lab hosts live in: one asyncssh server a host, on loopback, that runs real programs.

    python -m fleetenv.lab.embedded_server FOLDER [--detached] HOST...

FOLDER holds what `fleetenv.lab.embedded` wrote. Once all hosts listen, their ports are printed as one line of JSON.
The process ends when its stdin does (`--detached`: on SIGTERM), and with it everything that was started on the hosts.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import asyncssh

from fleetenv.lab.embedded import CONNECTIONS, USER, HostFolder
from fleetenv.lab.embedded_session import Session

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


class _Server(asyncssh.SSHServer):
    """Lets one user in, by key, and gives it sessions on one host."""

    def __init__(self, folder: HostFolder, connections: int) -> None:
        self._folder = folder
        self._connections = connections  # a descriptor: see CONNECTIONS

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Count one more."""
        os.write(self._connections, b"%d +\n" % time.monotonic_ns())

    def connection_lost(self, exc: Exception | None) -> None:
        """Count one less."""
        os.write(self._connections, b"%d -\n" % time.monotonic_ns())

    def begin_auth(self, username: str) -> bool:
        """Every login has to show a key."""
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Let in only the fleet's key, and only under the name that the inventory says."""
        return username == USER and key.export_public_key().decode().strip() == self._folder.authorized_key

    def public_key_auth_supported(self) -> bool:
        """Keys are the only way in."""
        return True

    def password_auth_supported(self) -> bool:
        """No passwords."""
        return False

    def kbdint_auth_supported(self) -> bool:
        """No passwords by another name."""
        return False

    def session_requested(self) -> Session:
        """Open a session on the host."""
        return Session(self._folder)

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        """Allow the host to be a jump host to its neighbours on loopback, and to nothing else."""
        return dest_host in ("127.0.0.1", "localhost")


async def _serve(folder: Path, names: Sequence[str], detached: bool) -> None:
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    loop.add_signal_handler(signal.SIGCHLD, _reap_orphans)
    connections = os.open(folder / CONNECTIONS, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    ports = {}
    for name in names:
        host = HostFolder(folder / "hosts" / name)
        acceptor = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=lambda host=host: _Server(host, connections),
            server_host_keys=[str(host.host_key)],
            encoding=None,
            agent_forwarding=False,
            x11_forwarding=False,
            line_editor=False,
        )
        ports[name] = acceptor.get_port()
    sys.stdout.write(json.dumps(ports) + "\n")
    sys.stdout.flush()
    if not detached:
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        closed = asyncio.ensure_future(reader.read())
        closed.add_done_callback(lambda _: over.set())
    await over.wait()


def _children() -> list[int]:
    own = Path(f"/proc/{os.getpid()}/task")
    return [int(word) for task in own.iterdir() for word in (task / "children").read_text().split()]


def _reap_orphans() -> None:
    """Collect processes that lost their parent and so became ours; sessions collect their own."""
    for process in _children():
        if process not in Session.running:
            try:
                os.waitpid(process, os.WNOHANG)
            except ChildProcessError:
                continue


def _end_all() -> None:
    """Kill every process that was started on the hosts; orphans come to us, so in the end none is left."""
    while processes := _children():
        for process in processes:
            os.kill(process, signal.SIGKILL)
        for process in processes:
            try:
                os.waitpid(process, 0)
            except ChildProcessError:
                continue


def main() -> None:
    """Serve until told to end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("hosts", nargs="+")
    parser.add_argument("--detached", action="store_true")
    options = parser.parse_args()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        asyncio.run(_serve(options.folder, options.hosts, options.detached))
    finally:
        _end_all()


if __name__ == "__main__":
    main()
