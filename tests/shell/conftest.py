"""Fixtures of the shell's tests."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator

import pytest
from msgspec.structs import replace
from openssh import Account, Sshd, make_account, remove_account, start_sshd, stop_sshd

from fleetenv import shell
from fleetenv.shell import Connect, Connection, Settings
from fleetenv.shell.workers import Workers


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    server = start_sshd(tmp_path_factory.mktemp("sshd"))
    yield server
    stop_sshd(server)


@pytest.fixture(scope="session")
def account(sshd: Sshd) -> Iterator[Account]:
    """A user who may become anybody, with a password."""
    account = make_account(
        f"fe{os.getpid()}a",
        "right horse",
        "Defaults:{name} timestamp_timeout=0\n{name} ALL=(ALL) ALL",
        sshd.folder / "id_ed25519.pub",
    )
    yield account
    remove_account(account)


@pytest.fixture(scope="session")
def trusted_account(sshd: Sshd) -> Iterator[Account]:
    """A user who may become anybody, without a password."""
    account = make_account(
        f"fe{os.getpid()}b", "unused", "{name} ALL=(ALL) NOPASSWD: ALL", sshd.folder / "id_ed25519.pub"
    )
    yield account
    remove_account(account)


@pytest.fixture(scope="session")
def plain_account(sshd: Sshd) -> Iterator[Account]:
    """A user who may not use sudo."""
    account = make_account(f"fe{os.getpid()}c", "right horse", "", sshd.folder / "id_ed25519.pub")
    yield account
    remove_account(account)


@pytest.fixture(params=["asyncssh", "fabric", "local", "workers"])
def way(request: pytest.FixtureRequest) -> str:
    """A transport, or worker processes: what holds, holds for each."""
    return str(request.param)


@pytest.fixture
def settings(request: pytest.FixtureRequest, way: str) -> Settings:
    """How to reach the test's host in that way."""
    if way == "local":
        return Settings("here", "localhost", transport="local")
    server: Sshd = request.getfixturevalue("sshd")
    return replace(server.settings(), transport="asyncssh" if way == "workers" else way)


@pytest.fixture
async def connection(connect: Connect, settings: Settings) -> AsyncIterator[Connection]:
    """The test's host, logged in."""
    async with await connect(settings) as connection:
        yield connection


@pytest.fixture
def connect(way: str) -> Iterator[Connect]:
    """What connects, by worker processes, or not."""
    if way == "workers":
        with Workers(2) as workers:
            yield workers.connect
    else:
        yield shell.connect
