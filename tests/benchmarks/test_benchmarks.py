"""The benchmark measures what it says it does, and refuses to compare unequal work."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import measure, report, results
from benchmarks.results import Case, Measured, Results, Traffic
from benchmarks.targets import TARGETS
from benchmarks.tools import TOOLS, Outcome
from fleetenv.report.recap import HostCounts
from fleetenv.report.rows import recap_rows

ROOT = Path(__file__).parents[2]
OUTCOMES = {tool.name: tool.outcome for tool in TOOLS}


def run(command: list[str], folder: Path, **more: Any) -> measure.Run:
    return measure.run(command, folder, dict(os.environ), **more)


def test_cpu_time_of_daemons_counts_and_they_do_not_outlive_the_run(tmp_path):
    (tmp_path / "daemon.py").write_text(
        "import time\nwhile time.process_time() < 0.3: pass\nopen('burnt', 'w').close()\nwhile True: time.sleep(60)\n"
    )
    daemon = f"setsid {sys.executable} daemon.py >/dev/null 2>&1 & echo $! >pid"
    done = run(["sh", "-c", f"{daemon}; until [ -e burnt ]; do sleep 0.01; done"], tmp_path)
    assert done.status == 0, done.printed
    assert done.cpu >= 0.3
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


def test_memory_is_that_of_all_processes_together(tmp_path):
    one = f"{sys.executable} -c 'x = b\"1\" * (64 << 20); import time; time.sleep(0.6)'"
    done = run(["sh", "-c", f"{one} & {one}; wait"], tmp_path, watch_memory=True)
    assert done.memory is not None
    assert 128 < done.memory / 2**20 < 190


def test_a_run_that_takes_too_long_is_ended(tmp_path):
    done = run(["sh", "-c", "sleep 60 & sleep 60"], tmp_path, patience=0.2)
    assert done.status != 0
    assert done.wall < 5


def test_a_command_that_fails_says_what_it_said(tmp_path):
    done = run(["sh", "-c", "echo no >&2; exit 3"], tmp_path)
    assert (done.status, done.printed) == (3, "no\n")


def test_recaps_are_read_as_each_tool_writes_them():
    fleet = {f"gpu{number:03}": HostCounts(ok=2, changed=1) for number in range(1, 32)}
    fleet["gpu032"] = HostCounts(ok=1, unreachable=1)
    for hosts, outcome in ((fleet, Outcome(63, 31, 1)), ({"gpu001": fleet["gpu001"]}, Outcome(2, 1, 0))):
        assert OUTCOMES["fleetenv"]("\n".join(["RECAP", *(row.text for row in recap_rows(hosts))])) == outcome
    ansible = "gpu001                     : ok=2    changed=0    unreachable=0    failed=0    skipped=1    rescued=0\n"
    assert OUTCOMES["ansible"](ansible * 3) == Outcome(done=6, changed=0, failed=0)
    assert OUTCOMES["pyinfra"]("    Grand total          10      4       1       5           \n") == Outcome(9, 4, 1)
    assert OUTCOMES["pyinfra"]("--> Error\n") is None


class Echo(asyncio.Protocol):
    """A host that greets, and answers each line with itself."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.write(b"hello\n")

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


async def test_relay_holds_back_counts_and_keeps_the_order():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    relay = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.relay", "0.1", f"127.0.0.1:{port}"),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    (relayed,) = json.loads(await relay.stdout.readline())
    begun = loop.time()
    reader, writer = await asyncio.open_connection("127.0.0.1", relayed)
    assert await reader.readline() == b"hello\n"  # TCP's round trip, and the greeting's
    assert 0.2 <= loop.time() - begun < 0.35
    for number in range(3):
        writer.write(b"%d\n" % number)
        assert await reader.readline() == b"%d\n" % number
    assert 0.5 <= loop.time() - begun < 0.75
    lines = b"".join(b"%d\n" % number for number in range(100_000))  # all at once: one round trip
    writer.write(lines)
    assert await reader.readexactly(len(lines)) == lines
    relay.stdin.write(b"\n")
    (passed,) = json.loads(await relay.stdout.readline())
    assert passed == {"connections": 1, "to_host": 6 + len(lines), "from_host": 12 + len(lines), "round_trips": 6}
    writer.close()
    relay.stdin.close()
    assert await relay.wait() == 0
    server.close()


def case(**tools: Measured) -> Results:
    return Results(cases=[Case("W1", "nothing to do", 32, 0.0, "2026-01-01", "abc", tools)])


def test_page_shows_each_figure_with_its_ratios():
    floor = Measured([0.5, 0.4, 0.6], [0.3, 0.3, 0.3], 20 << 20, Traffic(5000, 9, 1))
    ours = Measured([0.75, 0.7, 0.8], [0.6, 0.6, 0.6], 40 << 20, Traffic(10000, 9, 1))
    page = report.page(case(floor=floor, fleetenv=ours))
    row = next(line for line in page.splitlines() if line.startswith("| fleetenv"))
    figures = "| 3 | 0.75 s<br>1.00x · 1.50x | 0.70 s to 0.80 s | 0.60 s<br>1.00x · 2.0x | 40 MiB<br>1.00x · 2.0x |"
    assert figures in row
    assert "| W1, 32 hosts: times the floor's wall time | at most 1.6 | 1.5 | ✓ |" in page


def test_a_tool_that_did_other_work_has_no_figures():
    page = report.page(
        case(fleetenv=Measured([1.0], [1.0]), pyinfra=Measured([0.1], [0.1], failure="on gpu001 it left"))
    )
    row = next(line for line in page.splitlines() if line.startswith("| pyinfra |"))
    assert "0.10 s<br>" not in row
    assert "pyinfra has no figures: on gpu001 it left" in page


def test_a_promise_that_is_not_kept_is_shown_as_broken():
    page = report.page(case(floor=Measured([0.5], [0.5]), fleetenv=Measured([0.9], [0.5])))
    assert "| at most 1.6 | 1.8 | ✗ |" in page
    assert all(target.figure(Results()) is None for target in TARGETS)


def test_measuring_a_case_again_replaces_it_alone(tmp_path):
    kept = case(fleetenv=Measured([1.0], [1.0]))
    kept.put(Case("W0", "first", 8, 0.0, "", "", {}), ["W0", "W1"])
    kept.put(Case("W1", "again", 32, 0.0, "", "", {}), ["W0", "W1"])
    results.write(tmp_path / "results.json", kept)
    assert [each.title for each in results.read(tmp_path / "results.json").cases] == ["first", "again"]


@pytest.mark.root
@pytest.mark.sshd
def test_quick_run_measures_fleetenv_and_the_floor(tmp_path, namespace_fleet):
    namespace_fleet(1)  # skips where there can be none
    words = ["--quick", "--hosts", "2", "--rounds", "1", "--results", str(tmp_path / "results.json")]
    done = subprocess.run([sys.executable, "-m", "benchmarks", *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for column in report.COLUMNS:
        assert column in done.stdout
    (only,) = results.read(tmp_path / "results.json").cases
    assert (only.workload, only.hosts, set(only.tools)) == ("W1", 2, {"floor", "fleetenv"})
    for tool in only.tools.values():
        assert tool.failure == ""
        assert tool.wall
        assert tool.cpu
        assert tool.memory
        assert tool.traffic
        assert tool.traffic.round_trips >= 5
