"""Becoming another user, with real sudo and su, over both ways of SSH."""

# ruff: noqa: ASYNC221 - a test has its event loop for itself
from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from openssh import Account, Sshd

from fleetenv.errors import TaskFailed
from fleetenv.remote import Run, Send
from fleetenv.shell import Become, Connect, Connection, Settings


@pytest.fixture(params=["asyncssh", "fabric", "workers"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def transport(way: str) -> str:
    return "asyncssh" if way == "workers" else way


def login(sshd: Sshd, account: Account, transport: str) -> Settings:
    return replace(sshd.settings(ansible_user=account.name), transport=transport, connect_timeout=5)


@pytest.fixture
async def connection(connect: Connect, sshd: Sshd, account: Account, transport: str) -> AsyncIterator[Connection]:
    async with await connect(login(sshd, account, transport)) as connection:
        yield connection


async def test_sudo_with_a_password(connection: Connection, account: Account) -> None:
    root = Become(password=account.password)
    first = await connection.talk([Run("id -un; echo $HOME; cat", stdin=b"data")], become=root)
    second = await connection.talk([Run("id -un")], become=root)
    plain = await connection.talk([Run("id -un")])
    assert [r.text for r in (*first, *second, *plain)] == ["root\n/root\ndata", "root\n", f"{account.name}\n"]


async def test_sudo_without_a_password(connect: Connect, sshd: Sshd, trusted_account: Account, transport: str) -> None:
    async with await connect(login(sshd, trusted_account, transport)) as connection:
        for password in (None, "not needed"):
            (answer,) = await connection.talk([Run("id -un; cat", stdin=b"x")], become=Become(password=password))
            assert answer.text == "root\nx"


async def test_becoming_a_user_who_is_not_root(
    connection: Connection, account: Account, plain_account: Account
) -> None:
    (answer,) = await connection.talk([Run("id -un")], become=Become(plain_account.name, password=account.password))
    assert answer.text == f"{plain_account.name}\n"


async def test_each_reason_not_to_become_root_is_one_clear_line(
    connect: Connect, sshd: Sshd, account: Account, plain_account: Account, connection: Connection
) -> None:
    async def refusal(connection: Connection, become: Become) -> str:
        with pytest.raises(TaskFailed) as caught:
            await connection.talk([Run("id")], become=become)
        return str(caught.value)

    right = account.password
    assert (
        await refusal(connection, Become(password="wrong"))
        == "cannot become root with sudo: the become password is wrong"
    )
    assert "give -K or set ansible_become_password" in await refusal(connection, Become())
    assert "no such user" in await refusal(connection, Become("nobody-here", password=right))
    assert "not installed" in await refusal(connection, Become(password=right, program="/usr/bin/no-sudo"))
    async with await connect(login(sshd, plain_account, connection.settings.transport)) as other:
        assert "does not permit it" in await refusal(other, Become(password=plain_account.password))
    assert (await connection.talk([Run("echo on")]))[0].text == "on\n"


async def test_su_with_a_password(connection: Connection, account: Account, plain_account: Account) -> None:
    become = Become(plain_account.name, method="su", password=plain_account.password)
    (answer,) = await connection.talk([Run("id -un; cat", stdin=b"x")], become=become)
    assert answer.text == f"{plain_account.name}\nx"
    with pytest.raises(TaskFailed, match="the become password is wrong"):
        await connection.talk([Run("id")], become=replace(become, password="wrong"))


async def test_a_step_of_root_that_takes_too_long_is_ended(connection: Connection, account: Account) -> None:
    root = Become(password=account.password)
    with pytest.raises(TaskFailed, match="longer than"):
        await connection.talk([Run("sleep 2345.6", timeout=0.3)], become=root)
    assert subprocess.run(["pgrep", "-f", r"sleep 2345\.6"], stdout=subprocess.PIPE).stdout == b""
    assert (await connection.talk([Run("id -un")], become=root))[0].text == "root\n"


async def test_files_are_sent_as_the_other_user(connection: Connection, account: Account, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"large" * 100_000)
    steps = [
        Send(b"small", str(tmp_path / "small"), 0o640, "root", account.name),
        Send(source, str(tmp_path / "large"), 0o600),
    ]
    assert [r.status for r in await connection.talk(steps, become=Become(password=account.password))] == [0, 0]
    assert (tmp_path / "small").group() == account.name
    assert (tmp_path / "small").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "large").read_bytes() == source.read_bytes()
    assert (tmp_path / "large").owner() == "root"


async def test_the_password_is_in_no_argument_list_and_no_environment(connection: Connection, account: Account) -> None:
    look = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -c 'right [h]orse'"
    (answer,) = await connection.talk([Run(look, may_fail=True)], become=Become(password=account.password))
    assert answer.text == "0\n"
