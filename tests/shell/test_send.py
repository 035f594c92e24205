"""Large files: streamed, resumed after a cut, and never left half on a full disk."""

# ruff: noqa: ASYNC240 - a test has its event loop for itself
from __future__ import annotations

import fcntl
import hashlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetenv.errors import TaskFailed, Unreachable
from fleetenv.remote import Run, Send
from fleetenv.shell import Connect, Connection, Settings, send
from fleetenv.shell.message import FilePart


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "installer.sh"
    path.write_bytes(os.urandom(10_000_000))
    return path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "host").mkdir()
    return tmp_path / "host" / "installer.sh"


async def test_a_large_file_arrives_with_progress(connection: Connection, source: Path, target: Path) -> None:
    told: list[tuple[float, float, str]] = []
    steps = [Run("echo before"), Send(source, str(target), 0o755), Run("echo after")]
    results = await connection.talk(steps, progress=lambda *what: told.append(what))
    assert [(r.status, r.text) for r in results] == [(0, "before\n"), (0, ""), (0, "after\n")]
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_mode & 0o777 == 0o755
    assert told[-1] == (10_000_000, 10_000_000, "installer.sh")
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert connection.round_trips == 2


async def test_a_cut_transfer_is_resumed(connect: Connect, settings: Settings, source: Path, target: Path) -> None:
    class Cut(Exception):
        pass

    def cut(done: float, total: float, text: str) -> None:
        if done > 6_000_000:
            raise Cut

    async with await connect(settings) as connection:
        with pytest.raises(Cut):
            await connection.talk([Send(source, str(target))], progress=cut)
    (partial,) = target.parent.iterdir()
    there = partial.stat().st_size
    assert there > 3_000_000
    async with await connect(settings) as connection:
        assert [r.status for r in await connection.talk([Send(source, str(target))])] == [0]
        assert connection.bytes_sent < 10_000_000 - there + 10_000
    assert list(target.parent.iterdir()) == [target]
    assert target.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("way", ["asyncssh", "fabric", "workers"])  # a local shell has no connection
async def test_a_small_file_that_is_cut_is_not_put_in_place(connect: Connect, settings: Settings, target: Path) -> None:
    target.write_text("old")
    async with await connect(settings) as connection:
        (answer,) = await connection.talk([Run("ps -o ppid= -p $$")])
        kill = f"(sleep 0.3; kill -9 {answer.text.strip()}) & exec cat >/dev/null"
        with pytest.raises(Unreachable):
            await connection.talk(
                [Run(kill, stdin=b"x"), Send(b"new" * 10, str(target)), Run("sleep 1; cat", b"x" * 50_000_000)]
            )
    async with await connect(settings) as connection:
        kill = "sid=$(ps -o ppid= -p $$); (sleep 0.2; kill -9 $sid) & sleep 0.1"
        with pytest.raises(Unreachable):
            await connection.talk([Run(kill), Send(b"new" * 20_000_000, str(target))])
    assert target.read_bytes() in (b"old", b"new" * 10)


async def test_a_partial_file_that_is_not_ours_is_not_continued(
    connection: Connection, source: Path, target: Path
) -> None:
    with pytest.raises(ZeroDivisionError):
        await connection.talk([Send(source, str(target))], progress=lambda done, *_: done > 5_000_000 and 1 // 0)
    (await connection.talk([Run("true")]))[0]
    (partial,) = target.parent.iterdir()
    with partial.open("r+b") as file:
        file.write(b"tampered")
    assert [r.status for r in await connection.talk([Send(source, str(target))])] == [0]
    assert target.read_bytes() == source.read_bytes()


async def test_a_file_that_is_empty(connection: Connection, tmp_path: Path, target: Path) -> None:
    (tmp_path / "empty").touch()
    assert [
        r.status for r in await connection.talk([Send(tmp_path / "empty", str(target)), Send(b"", f"{target}2")])
    ] == [0, 0]
    assert target.read_bytes() == Path(f"{target}2").read_bytes() == b""


async def test_a_folder_in_its_place_is_not_filled(connection: Connection, source: Path, target: Path) -> None:
    target.mkdir()
    for content in (b"small", source):
        (result,) = await connection.talk([Send(content, str(target))])
        assert result.status
        assert "directory" in result.error_text
    assert not list(target.iterdir())
    assert list(target.parent.iterdir()) == [target]


async def test_a_link_in_its_place_is_replaced_not_followed(
    connection: Connection, tmp_path: Path, target: Path
) -> None:
    (tmp_path / "elsewhere").write_text("untouched")
    target.symlink_to(tmp_path / "elsewhere")
    await connection.talk([Send(b"new", str(target))])
    assert (target.is_symlink(), target.read_text(), (tmp_path / "elsewhere").read_text()) == (
        False,
        "new",
        "untouched",
    )


async def test_a_file_that_is_missing_on_the_controller_is_told(connection: Connection, tmp_path: Path) -> None:
    with pytest.raises(TaskFailed, match=r"cannot read .*missing: No such file"):
        await connection.talk([Send(tmp_path / "missing", str(tmp_path / "x"))])


async def test_a_file_that_shrinks_while_it_is_sent(connection: Connection, source: Path, target: Path) -> None:
    def shrink(done: float, total: float, text: str) -> None:
        os.truncate(source, 1_000_000)

    with pytest.raises(TaskFailed, match="became shorter"):
        await connection.talk([Send(source, str(target))], progress=shrink)
    assert (await connection.talk([Run("echo on")]))[0].text == "on\n"
    assert not target.exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid():
        pytest.skip("needs root to mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=5m", "tmpfs", str(folder)], capture_output=True).returncode:
        pytest.skip("cannot mount a tmpfs here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


async def test_a_full_disk_is_told_and_left_clean(connection: Connection, source: Path, small_disk: Path) -> None:
    for content in (b"x" * 6_000_000, source):
        (result,) = await connection.talk([Send(content, str(small_disk / "file"))])
        assert result.status
        assert "No space left on device" in result.error_text
        assert not list(small_disk.iterdir())


async def test_a_disk_that_fills_up_meanwhile(connection: Connection, source: Path, small_disk: Path) -> None:
    os.truncate(source, 4_000_000)

    def fill(done: float, total: float, text: str) -> None:
        if not (small_disk / "other").exists():
            (small_disk / "other").write_bytes(b"x" * 3_000_000)

    (result,) = await connection.talk([Send(source, str(small_disk / "file"))], progress=fill)
    assert "No space left on device" in result.error_text
    assert [path.name for path in small_disk.iterdir()] == ["other"]


def test_the_shell_of_a_killed_run_that_checks_the_file_is_waited_for(tmp_path: Path) -> None:
    target, digest = tmp_path / "installer.sh", hashlib.sha256(b"all of it").hexdigest()
    target.write_bytes(b"an old one")
    item = send.stream(Send(tmp_path, str(target)), digest, "gpu01", FilePart(tmp_path, 9, 9))
    (name,) = re.findall(r"^t=(.*)$", item.script, re.MULTILINE)
    partial = Path(name)
    partial.write_bytes(b"all of it")
    with partial.open() as others:
        fcntl.flock(others, fcntl.LOCK_EX)
        ours = subprocess.Popen(["sh", "-c", item.script], stdin=subprocess.DEVNULL)
        with pytest.raises(subprocess.TimeoutExpired):
            ours.wait(0.5)
        partial.rename(target)
    assert ours.wait(30) == 0
    assert target.read_bytes() == b"all of it"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("there", [b"all of it", b"another file"])
def test_what_a_killed_run_has_just_put_in_place_is_taken_from_there(tmp_path: Path, there: bytes) -> None:
    """When this run asked, all had arrived beside the target; when it sends what is left (nothing), it is gone."""
    target = tmp_path / "installer.sh"
    target.write_bytes(there)
    digest = hashlib.sha256(b"all of it").hexdigest()
    item = send.stream(Send(tmp_path, str(target), mode=0o640), digest, "gpu01", FilePart(tmp_path, 9, 9))
    done = subprocess.run(["sh", "-c", item.script], stdin=subprocess.DEVNULL, check=False)
    assert target.read_bytes() == there
    assert done.returncode == (0 if there == b"all of it" else 75)
    assert (target.stat().st_mode & 0o777 == 0o640) == (done.returncode == 0)


@pytest.mark.parametrize("openssl", ["exec /usr/bin/openssl", "cat >/dev/null; echo unknown option >&2; exit 1; :"])
@pytest.mark.parametrize(("arrives", "status"), [(b"all of it", 0), (b"all of if", 1)])
def test_what_arrived_is_hashed_with_openssl_and_without(
    tmp_path: Path, openssl: str, arrives: bytes, status: int
) -> None:
    program, target, digest = tmp_path / "openssl", tmp_path / "file", hashlib.sha256(b"all of it").hexdigest()
    program.write_text(f'#!/bin/sh\n{openssl} "$@"\n')
    program.chmod(0o755)
    item = send.stream(Send(tmp_path, str(target)), digest, "gpu01", FilePart(tmp_path, 0, len(arrives)))
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(["sh", "-c", item.script], input=arrives, env=path, capture_output=True, check=False)
    assert done.returncode == status, done.stderr
    assert target.exists() is (status == 0)
    assert (b"not what was sent" in done.stderr) is (status == 1)
