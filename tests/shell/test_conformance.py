"""What holds over every transport: the same suite over asyncssh, fabric, local and workers, on a real sshd."""

# ruff: noqa: ASYNC221, ASYNC240 - a test has its event loop for itself
from __future__ import annotations

import asyncio
import os
import re
import subprocess
from pathlib import Path

import pytest

from fleetenv.errors import TaskFailed, Unreachable
from fleetenv.remote import Completed, Run, Send
from fleetenv.shell import Connect, Connection, Settings


async def test_exit_status_and_both_streams_come_back(connection: Connection) -> None:
    assert await connection.talk([Run("echo out; echo err >&2; exit 7")]) == [Completed(7, b"out\n", b"err\n")]


async def test_output_without_a_newline_at_its_end_is_kept_as_it_is(connection: Connection) -> None:
    results = await connection.talk([Run("printf a; printf b >&2"), Run("printf '\\n\\n'")])
    assert [(r.stdout, r.stderr) for r in results] == [(b"a", b"b"), (b"\n\n", b"")]


async def test_every_byte_passes_both_ways(connection: Connection) -> None:
    every = bytes(range(256)) * 10
    assert (await connection.talk([Run("cat; cat >&2", stdin=every)]))[0].stdout == every


async def test_a_script_of_100_kb(connection: Connection) -> None:
    script = "".join(f"v{i}='{'x' * 95}'\n" for i in range(1000)) + "echo ${#v999}"
    assert len(script) > 100_000
    assert (await connection.talk([Run(script)]))[0].text == "95\n"


async def test_5_mb_of_standard_input(connection: Connection) -> None:
    data = os.urandom(5_000_000)
    assert (await connection.talk([Run("cat", stdin=data)]))[0].stdout == data


async def test_many_items_travel_in_one_message(connection: Connection) -> None:
    results = await connection.talk([Run(f"echo {i}", stdin=b"x" * (i % 3)) for i in range(500)])
    assert [r.text for r in results] == [f"{i}\n" for i in range(500)]
    assert connection.round_trips == 1


async def test_nothing_is_done_after_a_failure(connection: Connection, tmp_path: Path) -> None:
    steps = [
        Run("echo 1"),
        Run("exit 3"),
        Run(f"touch {tmp_path}/x", stdin=b"y" * 100_000),
        Send(b"z", f"{tmp_path}/z"),
    ]
    assert [r.status for r in await connection.talk(steps)] == [0, 3]
    assert (await connection.talk([Run("echo again")]))[0].text == "again\n"
    assert not list(tmp_path.iterdir())


async def test_parts_of_a_message_are_answered_one_by_one(connection: Connection, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    parts = [
        [Run("echo 1"), Run("exit 2", may_fail=True)],
        [Run(f"echo 'fleetenv-progress 1 2 waits' >&2; cat {gate}")],
        [Run("exit 3"), Run("echo never")],
        [Run("echo never")],
    ]
    told: list[tuple[float, float, str]] = []
    said = connection.converse(parts, progress=lambda *progress: told.append(progress))
    assert [each.status for each in await anext(said)] == [0, 2]
    gate_opened = asyncio.create_task(asyncio.to_thread(gate.write_text, "2"))
    assert (await anext(said))[0].text == "2"
    assert told == [(1, 2, "waits")]
    await gate_opened
    assert [[each.status for each in results] async for results in said] == [[3]]
    assert (await connection.talk([Run("echo on")]))[0].text == "on\n"


async def test_a_conversation_that_is_broken_off_is_ended_on_the_host(connection: Connection, tmp_path: Path) -> None:
    said = connection.converse([[Run("true")], [Run(f"sleep 1000; touch {tmp_path}/x")], [Run("true")]])
    assert [each.status for each in await anext(said)] == [0]
    await said.aclose()
    await connection.talk([Run("true")])
    assert not subprocess.run(["pgrep", "-f", f"touch {tmp_path}/x"], capture_output=True).stdout


async def test_a_failure_that_may_be_does_not_stop_the_message(connection: Connection) -> None:
    assert [
        r.status
        for r in await connection.talk([Run("exit 3", may_fail=True), Run("exit 4", b"x", may_fail=True), Run("true")])
    ] == [3, 4, 0]


async def test_environment_is_the_steps_own(connection: Connection) -> None:
    steps = [Run('echo "$A"', environment={"A": "it's $HOME `x`\n"}), Run('echo "${A-none}"')]
    assert [r.text for r in await connection.talk(steps)] == ["it's $HOME `x`\n\n", "none\n"]


async def test_a_step_cannot_change_the_shell_of_the_next(connection: Connection) -> None:
    steps = [
        Run("cd /tmp; umask 0; set -e; exec >/dev/null 2>&1; trap '' TERM"),
        Run("pwd"),
        Run("if", may_fail=True),
        Run("echo on"),
    ]
    results = await connection.talk(steps)
    assert [r.status for r in results] == [0, 0, 2, 0]
    assert results[1].text != "/tmp\n"


async def test_unread_input_does_not_reach_the_next_step(connection: Connection) -> None:
    steps = [Run("read x; echo $x", stdin=b"one\ntwo\n" * 50_000), Run("cat; echo end"), Run("cat", stdin=b"own")]
    assert [r.text for r in await connection.talk(steps)] == ["one\n", "end\n", "own"]


async def test_progress_is_told_and_taken_out_of_the_output(connection: Connection) -> None:
    told: list[tuple[float, float, str]] = []
    script = (
        "echo before >&2; echo 'fleetenv-progress 1 4 half way there' >&2; printf 'not fleetenv-progress 2 4 x\\n' >&2"
    )
    (result,) = await connection.talk([Run(script)], progress=lambda *what: told.append(what))
    assert told == [(1, 4, "half way there")]
    assert result.stderr == b"before\nnot fleetenv-progress 2 4 x\n"


async def test_a_step_that_takes_too_long_leaves_no_process_behind(connection: Connection) -> None:
    with pytest.raises(TaskFailed, match=r"longer than 0.5 s"):
        await connection.talk([Run("sleep 1234.5 & sh -c 'trap \"\" TERM; sleep 1234.5; sleep 1234.5'", timeout=0.5)])
    assert subprocess.run(["pgrep", "-f", r"sleep 1234\.5"], stdout=subprocess.PIPE).stdout == b""
    assert (await connection.talk([Run("echo on")]))[0].text == "on\n"


async def test_more_output_than_is_kept_is_counted_and_dropped(connection: Connection) -> None:
    (result, after) = await connection.talk([Run("head -c 20000000 /dev/zero"), Run("echo on")])
    assert len(result.stdout) == 16 * 2**20
    assert result.dropped == 20_000_000 - 16 * 2**20
    assert after.text == "on\n"


async def test_a_shell_that_kills_itself_is_replaced(connection: Connection) -> None:
    with pytest.raises(TaskFailed, match=r"shell on the host was ended"):
        await connection.talk([Run("kill -9 $$")])
    assert (await connection.talk([Run("echo on")]))[0].text == "on\n"


async def test_secrets_are_in_no_argument_list(connection: Connection) -> None:
    look = "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -c 'secr[e]t-value'"
    (result,) = await connection.talk(
        [Run(look, stdin=b"secret-value", environment={"PW": "secret-value"}, may_fail=True)]
    )
    assert result.text == "0\n"


async def test_no_file_is_made_for_a_script(connection: Connection, tmp_path: Path) -> None:
    """Other processes' files come and go there: only one with the script or its data in it would be the shell's."""
    (tmp_path / "mark").touch()
    mine = f"of this test {tmp_path}"
    find = f"find /tmp ~ -maxdepth 2 -type f -newer {tmp_path}/mark -exec grep -lF {mine!r} {{}} + 2>/dev/null || :"
    seen = await connection.talk([Run("cat", stdin=mine.encode() * 10_000), Run(find)])
    assert (len(seen[0].stdout), seen[1].text) == (len(mine) * 10_000, "")


@pytest.mark.parametrize("way", ["asyncssh", "fabric", "workers"])  # a local shell has no connection
async def test_a_killed_connection_is_told(connect: Connect, settings: Settings) -> None:
    async with await connect(settings) as connection:
        with pytest.raises(Unreachable, match=r"connection was lost"):
            await connection.talk([Run("kill -9 $(ps -o ppid= -p $$)")])


async def test_a_small_file_is_put_in_its_place_whole(connection: Connection, tmp_path: Path) -> None:
    target = tmp_path / "it's.conf"
    for mode, expected in ((None, 0o644), (0o600, 0o600), (None, 0o600), (0o4755, 0o4755)):
        results = await connection.talk([Send(b"content\0", str(target), mode), Run("umask")])
        assert [r.status for r in results] == [0, 0], results
        assert target.stat().st_mode & 0o7777 == expected & ~(int(results[1].text, 8) if mode is None else 0)
    assert target.read_bytes() == b"content\0"
    assert list(tmp_path.iterdir()) == [target]


async def test_a_file_into_a_folder_that_is_not_there_fails(connection: Connection, tmp_path: Path) -> None:
    (result,) = await connection.talk([Send(b"x", str(tmp_path / "no" / "file"))])
    assert result.status
    assert re.search(r"nonexistent|No such file", result.error_text)
