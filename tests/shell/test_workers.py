"""Connections that worker processes hold: what only they can get wrong."""

# ruff: noqa: ASYNC221 - a test has its event loop for itself
from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from msgspec.structs import replace
from openssh import Sshd

from fleetenv.errors import InputError, Location, MissingFile, TaskFailed, Unreachable
from fleetenv.lab.embedded import EmbeddedFleet
from fleetenv.remote import Run, Send
from fleetenv.shell import Settings
from fleetenv.shell.wire import Counts, Failed, decode_answer, encode_answer
from fleetenv.shell.workers import Workers


@pytest.fixture
def workers() -> Iterator[Workers]:
    with Workers(2) as workers:
        yield workers


def host(sshd: Sshd, name: str, **more: object) -> Settings:
    return replace(sshd.settings(**more), host=name)


def sleeping(seconds: str) -> bool:
    return subprocess.run(["pgrep", "-f", f"^sleep {seconds}$"], stdout=subprocess.PIPE).returncode == 0


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - a process tells no event
            await asyncio.sleep(0.02)


async def test_hosts_are_dealt_to_the_workers_in_turn(sshd: Sshd, workers: Workers) -> None:
    async def parent(name: str) -> int:
        """The worker: the client's end of the host's connection is one of its sockets."""
        async with await workers.connect(host(sshd, name)) as connection:
            (answer,) = await connection.talk([Run("echo $SSH_CLIENT")])
            port = answer.text.split()[1]
            table = subprocess.run(["ss", "-tnpH", f"sport = :{port}"], stdout=subprocess.PIPE, text=True).stdout
            return int(table.split("pid=")[1].split(",")[0])

    holders = [await parent(name) for name in ("a", "b", "c", "d", "a")]
    assert holders == [workers.processes[each] for each in (0, 1, 0, 1, 0)]


async def test_a_worker_that_is_killed_takes_only_its_own_hosts_along(sshd: Sshd, workers: Workers) -> None:
    first, second = [await workers.connect(host(sshd, name)) for name in ("a", "b")]
    talking = asyncio.create_task(first.talk([Run("sleep 5678.1")]))
    await until(lambda: sleeping(r"5678\.1"))
    os.kill(workers.processes[0], signal.SIGKILL)
    with pytest.raises(Unreachable, match="worker process that held it has ended"):
        await talking
    with pytest.raises(Unreachable, match="worker process that held it has ended"):
        await first.talk([Run("true")])
    await first.close()
    assert [each.text for each in await second.talk([Run("echo on")])] == ["on\n"]
    async with await workers.connect(host(sshd, "c")) as third:  # its turn were the dead one's
        assert [each.text for each in await third.talk([Run("echo on")])] == ["on\n"]
    os.kill(workers.processes[1], signal.SIGKILL)
    with pytest.raises(Unreachable):
        await second.talk([Run("true")])
    with pytest.raises(Unreachable, match="all worker processes"):
        await workers.connect(host(sshd, "d"))


def test_a_worker_that_does_not_end_is_killed() -> None:
    with Workers(1) as workers:
        (number,) = workers.processes
        os.kill(number, signal.SIGSTOP)
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


async def test_what_was_given_up_is_ended_on_the_host(sshd: Sshd, workers: Workers) -> None:
    connection = await workers.connect(host(sshd, "a"))
    talking = asyncio.create_task(connection.talk([Run("sleep 5678.2")]))
    await until(lambda: sleeping(r"5678\.2"))
    talking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await talking
    await connection.close()
    assert not sleeping(r"5678\.2")


async def test_a_connection_that_nobody_waits_for_is_closed(sshd: Sshd, workers: Workers) -> None:
    def established() -> int:
        table = subprocess.run(
            ["ss", "-tnH", "state", "established", f"dport = :{sshd.port}"], stdout=subprocess.PIPE, text=True
        ).stdout
        return len(table.splitlines())

    others = established()  # tests before this one may have left some
    for patience in (0.0, 0.02, 0.05, 0.1, 0.2):
        connecting = asyncio.create_task(workers.connect(host(sshd, "a")))
        await asyncio.wait([connecting], timeout=patience)
        if connecting.cancel():
            with pytest.raises(asyncio.CancelledError):
                await connecting
        else:
            await (await connecting).close()
    await until(lambda: established() <= others)
    async with await workers.connect(host(sshd, "a")) as connection:
        assert [each.text for each in await connection.talk([Run("echo on")])] == ["on\n"]


async def test_large_messages_to_many_hosts_at_once(sshd: Sshd, workers: Workers) -> None:
    data = os.urandom(3_000_000)

    async def one(number: int) -> bytes:
        async with await workers.connect(host(sshd, f"h{number}")) as connection:
            (answer,) = await connection.talk([Run("cat", stdin=data)])
            return answer.stdout

    assert await asyncio.gather(*(one(number) for number in range(8))) == [data] * 8


async def test_as_much_is_counted_as_without_workers(sshd: Sshd, workers: Workers, tmp_path: Path) -> None:
    from fleetenv.shell import connect

    (tmp_path / "file").write_bytes(b"x" * 1_000_000)
    steps = [Run("echo one"), Send(tmp_path / "file", str(tmp_path / "target")), Run("echo two")]
    counts = []
    for way in (connect, workers.connect):
        async with await way(host(sshd, "a")) as connection:
            await connection.talk(steps)
            sent = connection.bytes_sent  # what ends a step names its session, in more or fewer digits
            with pytest.raises(TaskFailed, match="longer than"):
                await connection.talk([Run("sleep 60", timeout=0.2)])
            assert connection.bytes_sent > sent
        counts.append((connection.round_trips, sent, connection.user))
    assert counts[0] == counts[1]


def test_a_passphrase_is_asked_for_once(sshd: Sshd, tmp_path: Path) -> None:
    key = tmp_path / "locked"
    key.write_bytes(sshd.key.read_bytes())
    key.chmod(0o600)
    lock = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sésame", "-f", str(key)]
    subprocess.run(lock, check=True, stdout=subprocess.PIPE)
    asked: list[Path] = []

    def ask(path: Path) -> str:
        asked.append(path)
        return "open sésame"

    async def both(workers: Workers) -> list[str]:
        users = []
        for name in ("a", "b"):
            async with await workers.connect(host(sshd, name, ansible_ssh_private_key_file=str(key))) as connection:
                users.append(connection.user)
        return users

    with Workers(2, ask) as workers:
        assert asyncio.run(both(workers)) == ["root", "root"]
    assert asked == [key]
    with Workers(2) as workers, pytest.raises(InputError, match="needs a passphrase; 'ssh-add"):
        asyncio.run(both(workers))
    with Workers(2, lambda path: "wrong") as workers, pytest.raises(InputError, match=r"passphrase of .* is wrong"):
        asyncio.run(both(workers))


def test_several_processes_add_new_host_keys_and_none_is_lost(tmp_path: Path) -> None:
    known = tmp_path / "known"
    known.write_text("# a comment, and no newline at its end")

    async def all_hosts(workers: Workers, fleet: EmbeddedFleet) -> None:
        settings = [
            Settings(
                each.name, each.address, port=each.port, user=each.user, private_key=each.private_key,
                known_hosts=(known,), host_key_checking="accept-new",
            )
            for each in fleet.hosts
        ]  # fmt: skip
        for connection in await asyncio.gather(*(workers.connect(each) for each in settings)):
            await connection.close()

    with ExitStack() as stack:
        fleet = stack.enter_context(EmbeddedFleet(24))
        asyncio.run(all_hosts(stack.enter_context(Workers(3)), fleet))
        lines = known.read_text().splitlines()
        assert lines[0] == "# a comment, and no newline at its end"
        assert sorted(lines[1:]) == sorted(each.known_host for each in fleet.hosts)


def test_no_worker_outlives_its_controller(tmp_path: Path, eventually: Callable[[Callable[[], bool]], None]) -> None:
    script = (
        "import sys, time; from fleetenv.shell.workers import Workers\n"
        "with Workers(3) as workers: print(*workers.processes, flush=True); time.sleep(60)"
    )
    controller = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert controller.stdout
    workers = [int(word) for word in controller.stdout.readline().split()]
    assert len(workers) == 3
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # what a whole process group gets
        os.kill(workers[0], ignored)
    controller.kill()
    controller.wait()
    eventually(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))


@pytest.mark.parametrize(
    "error",
    [
        Unreachable("gone"),
        TaskFailed("no"),
        MissingFile("there is none", location=Location("site.yml", 3, 9), hint="make it"),
        InputError("wrong"),
        ValueError("NUL"),
    ],
)
def test_an_error_crosses_as_it_is(error: Exception) -> None:
    crossed = decode_answer(encode_answer(Failed.of(7, error, Counts(2, 100))))
    assert isinstance(crossed, Failed)
    assert type(crossed.error) is type(error)
    assert str(crossed.error) == str(error)
    assert crossed.counts == Counts(2, 100)


def test_a_file_name_that_is_no_text_can_be_told_of() -> None:
    crossed = decode_answer(encode_answer(Failed.of(7, TaskFailed("no \udc80"), Counts())))
    assert isinstance(crossed, Failed)
    assert str(crossed.error) == r"no \udc80"
