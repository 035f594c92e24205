"""What a transport is: something that starts a program on a host and carries its three streams."""

from __future__ import annotations

from typing import Protocol

WRITE_SIZE = 256 * 1024
"""Bytes written at once, at most: a channel's `write` returns when there is room for as much again."""

BACKLOG = 1024 * 1024
"""Bytes that a channel holds for a reader; then the host has to wait."""

ALIVE_QUESTIONS = 3
"""How often a silent host is asked whether it is there, until it counts as lost."""

LOOPBACK = "127.0.0.1"
"""Where forwarded ports are, on both sides: others than programs of the machine do not reach them."""


class ConnectionCut(Exception):
    """The connection under a channel broke; the text says how."""


class Channel(Protocol):
    """One program that runs on the host."""

    async def read(self) -> tuple[bytes, bool] | None:
        """Return some output, and whether it is standard error's; None when the program has ended.

        Raises:
            ConnectionCut: the connection broke.
        """

    async def write(self, data: bytes) -> None:
        """Write to the program's standard input; what a program that has ended would have read is dropped."""

    def close(self) -> None:
        """Close all three streams; the program is not waited for."""

    @property
    def ending(self) -> str | None:
        """How the program ended (`exit status 3`, `signal KILL`), once `read` has returned None; None if unknown."""


class Transport(Protocol):
    """A connection to one host, logged in."""

    async def start(self, command: str) -> Channel:
        """Start a command, given to the user's login shell.

        Raises:
            ConnectionCut: the connection broke.
            Unreachable: the host lets no (more) command be started.
        """

    async def forward(self, port: int) -> int | None:
        """Let the host's loopback lead to a port of this machine's, as long as the connection lasts.

        Returns:
            The port there; None: the host does not permit it.

        Raises:
            ConnectionCut: the connection broke.
        """

    async def close(self) -> None:
        """Close the connection and all its channels."""

    @property
    def user(self) -> str:
        """The name of the user who is logged in."""
