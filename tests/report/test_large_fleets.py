"""A thousand hosts on a terminal: what they tell alike is told once, and who differs is named."""

from __future__ import annotations

from collections.abc import Sequence

from fleetenv.errors import Location
from fleetenv.events import (
    Event,
    HostBegun,
    HostEnded,
    HostLost,
    PlayStarted,
    RunFinished,
    RunStarted,
    Status,
    TaskFinished,
    TaskRef,
)
from fleetenv.report.console import Console
from fleetenv.report.standing import Standing

HOSTS = tuple(f"gpu{number:04}" for number in range(1, 1001))
TASK = TaskRef("site", "Folder", "file", Location("site.yml", 3, 5))


def told(events: Sequence[Event], hosts: Sequence[str] = HOSTS, verbosity: int = 0) -> list[str]:
    """What the console says of a run of one play in which these things happened."""
    lines: list[str] = []
    console = Console(lambda line, style: lines.append(line), verbosity=verbosity)
    for event in (RunStarted("site.yml", tuple(hosts), False), PlayStarted("site", tuple(hosts)), *events):
        console(event)
    console(RunFinished(12.34, dict.fromkeys(hosts, 1)))
    return lines


def test_hosts_that_are_as_they_should_be_take_one_line() -> None:
    assert told([TaskFinished(host, TASK, Status.OK) for host in HOSTS]) == [
        "PLAY [site] on 1000 hosts",
        "",
        "RECAP",
        "  1000 hosts  ok=1   changed=0   unreachable=0 failed=0 skipped=0",
        "1000 hosts converged, 0 changed in 12.3 s, at most 1 round trip a host",
    ]


def test_what_changes_everywhere_is_told_of_the_first_hosts_and_then_of_all_others() -> None:
    lines = told([TaskFinished(host, TASK, Status.CHANGED) for host in HOSTS])
    assert lines[1:9] == [
        *(f"changed: [{host}] Folder" for host in HOSTS[:5]),
        "changed: [995 more hosts] Folder",
        "    gpu[0006:1000]",
        "",
    ]
    assert lines[9:12] == [
        "RECAP",
        "  1000 hosts  ok=1   changed=1   unreachable=0 failed=0 skipped=0",
        "    gpu[0001:1000]",
    ]


def test_every_host_that_failed_or_was_lost_is_named() -> None:
    failed, lost = HOSTS[::10], HOSTS[5::100]
    events: list[Event] = [TaskFinished(host, TASK, Status.FAILED, msg="no space") for host in failed]
    events += [HostLost(host, f"10.0.0.{number}: connection refused") for number, host in enumerate(lost)]
    events += [TaskFinished(host, TASK, Status.OK) for host in HOSTS if host not in {*failed, *lost}]
    lines = told(events)
    assert len(lines) < 70
    recap = "\n".join(lines[lines.index("RECAP") :])
    assert all(host in recap for host in (*failed, *lost))
    assert sum("connection refused" in line for line in lines) == 6
    assert "failed: [95 more hosts] Folder: no space" in lines
    assert all(len(line) <= 80 for line in lines[:-1])
    assert lines[-1].startswith("890 hosts converged, 0 changed, 100 hosts failed, 10 hosts unreachable")


def test_different_messages_are_all_told() -> None:
    events = [TaskFinished(host, TASK, Status.FAILED, msg=f"disk of {host}") for host in HOSTS]
    assert sum(line.startswith("failed: [") for line in told(events)) == 1000


def test_a_run_that_was_ended_early_has_a_short_recap() -> None:
    events = [TaskFinished(host, TASK, Status.OK) for number, host in enumerate(HOSTS) for _ in range(number % 60)]
    lines = told(events)
    assert lines[lines.index("RECAP") + 1] == "  1000 hosts  ok=0-59 changed=0   unreachable=0 failed=0 skipped=0"


def test_a_small_fleet_has_a_line_for_everything() -> None:
    hosts = HOSTS[:8]
    lines = told([TaskFinished(host, TASK, Status.CHANGED) for host in hosts], hosts)
    assert lines[1:9] == [f"changed: [{host}] Folder" for host in hosts]
    assert sum(line.startswith("  gpu000") for line in lines) == 8


def test_where_a_play_stands_is_counted() -> None:
    standing = Standing()
    for event in (
        PlayStarted("site", HOSTS),
        *(HostBegun(host) for host in HOSTS[:64]),
        TaskFinished("gpu0001", TASK, Status.FAILED),
        HostLost("gpu0002", "gone"),
        HostEnded("gpu0001"),
        HostEnded("gpu0002"),
    ):
        standing(event)
    assert (standing.done, standing.hosts) == (2, 1000)
    assert standing.rest == "62 at work, 1 failed, 1 unreachable"


def test_results_are_shown_as_far_as_somebody_reads_them() -> None:
    result = {"stdout": "x" * 1_000_000, "stdout_lines": [f"line {number}" for number in range(100_000)]}
    lines = told([TaskFinished("gpu0001", TASK, Status.OK, result=result)], ["gpu0001"], verbosity=2)
    assert sum(map(len, lines)) < 10_000
    assert any(line.endswith("xxx ... and 998,015 more characters") for line in lines)
    assert "    ... and 99,805 more lines" in lines
