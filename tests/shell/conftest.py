"""Fixtures of the shell's tests."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from openssh import Account, Sshd, make_account, remove_account, start_sshd, stop_sshd

from fleetenv import shell
from fleetenv.shell import Connect
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


@pytest.fixture
def connect(way: str) -> Iterator[Connect]:
    """What connects, by the way that a test file's own fixture `way` names: by worker processes, or not."""
    if way == "workers":
        with Workers(2) as workers:
            yield workers.connect
    else:
        yield shell.connect
