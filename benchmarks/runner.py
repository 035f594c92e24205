"""One case: a workload on a number of hosts, done by all tools, checked, and measured in interleaved rounds."""

from __future__ import annotations

import datetime
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.results import Case, Measured, Traffic
from benchmarks.site import FAR, NEAR, Site, UnequalWork
from benchmarks.tools import ROOT, Outcome, Tool
from benchmarks.wire import Wire
from benchmarks.workload import Workload
from fleetenv.lab.namespaces import NamespaceFleet

_WATCHED_ROUND_TRIP = 0.05  # seconds; with a delay it shows what waits for what
_VERIFIED_HOSTS = 2


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a tool is measured in one case."""

    rounds: int
    seconds: float
    """A tool whose timed runs took that long in all gets no further round."""
    watched: float
    """A tool whose run takes longer, in seconds, gets no run in which memory and network are watched."""


Snapshot = dict[str, str]


class Verified:
    """What the tools do in one workload, as was seen on a few hosts: the same."""

    def __init__(self, workload: Workload, tools: Sequence[Tool]) -> None:
        self.workload = workload
        self.failures: dict[str, str] = {}
        self.done: dict[str, int] = {}
        """Tasks a host, by tool."""
        self.snapshot: Snapshot = {}
        with opened_site(workload, _VERIFIED_HOSTS) as site:
            workload.prepare(site)
            for tool in tools:
                if tool.name not in workload.plays:
                    continue
                say(f"{workload.name}: is it the same work? {tool.label}")
                try:
                    self._verify(site, tool)
                except UnequalWork as problem:
                    self.failures[tool.name] = str(problem)
                    say(f"{workload.name}: {problem}")

    def _verify(self, site: Site, tool: Tool) -> None:
        self.workload.clean(site)
        if self.workload.changes:
            self.workload.before(site, tool)
        _, first = site.run(tool)
        _expect_change(tool, first)
        snapshot = snapshots(self.workload, site)
        _, second = site.run(tool)
        _expect_no_change(tool, second)
        if snapshots(self.workload, site) != snapshot:
            raise UnequalWork(f"{tool.label}: the second run says that it changed nothing, and it did")
        if not self.snapshot:
            self.snapshot = snapshot
        expect_same(tool, self.snapshot, snapshot)
        if second is not None:
            self.done[tool.name] = second.done // _VERIFIED_HOSTS


def measure(workload: Workload, verified: Verified, tools: Sequence[Tool], hosts: int, limits: Limits) -> Case:
    """Measure a workload on new hosts."""
    measured = {tool.name: Measured(failure=verified.failures.get(tool.name, "")) for tool in tools}
    delay = workload.round_trip or _WATCHED_ROUND_TRIP
    with opened_site(workload, hosts) as site, Wire(site.fleet.hosts, delay) as wire:
        site.settle_far(wire.hosts)
        workload.prepare(site)
        course = _Course(workload, verified, site, wire, limits)
        working = [tool for tool in tools if tool.name in workload.plays and not measured[tool.name].failure]
        if working and not workload.changes:
            workload.clean(site)
            site.run(working[0])
            course.snapshot = snapshots(workload, site)
        for number in range(limits.rounds):
            for tool in tools:
                course.timed(tool, measured[tool.name], number)
        for tool in tools:
            course.watched(tool, measured[tool.name])
    return Case(
        workload=workload.name,
        title=workload.title,
        hosts=hosts,
        round_trip=workload.round_trip,
        date=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        commit=commit(),
        tools=measured,
    )


class _Course:
    """The runs of one case."""

    def __init__(self, workload: Workload, verified: Verified, site: Site, wire: Wire, limits: Limits) -> None:
        self.workload = workload
        self.verified = verified
        self.site = site
        self.wire = wire
        self.limits = limits
        self.snapshot: Snapshot = {}

    def timed(self, tool: Tool, measured: Measured, number: int) -> None:
        """Do one timed run, unless the tool has had its time."""
        if measured.failure or sum(measured.walls) > self.limits.seconds:
            return
        workload, hosts = self.workload, len(self.site.fleet.hosts)
        try:
            workload.before(self.site, tool)
            run, outcome = self.site.run(tool, place=FAR if workload.round_trip else NEAR)
            self._check(tool, outcome)
            if number == 0 and tool.name in workload.plays:
                snapshot = snapshots(workload, self.site)
                self.snapshot = self.snapshot or snapshot
                expect_same(tool, self.snapshot, snapshot)
        except UnequalWork as problem:
            measured.failure = str(problem)
            say(f"{workload.name}, {hosts} hosts: {problem}")
            return
        measured.walls.append(round(run.wall, 4))
        measured.cpus.append(round(run.cpu, 4))
        say(f"{workload.name}, {hosts} hosts, round {number + 1}: {tool.label}: {run.wall:.2f} s, CPU {run.cpu:.2f} s")

    def watched(self, tool: Tool, measured: Measured) -> None:
        """Do one run behind the relay whose time does not count, and watch memory and network."""
        if measured.wall is None or measured.wall > self.limits.watched:
            return
        try:
            self.workload.before(self.site, tool)
            self.wire.passed()  # from here on
            run, outcome = self.site.run(tool, place=FAR, watch_memory=True)
            passed = self.wire.passed()
            self._check(tool, outcome)
        except UnequalWork as problem:
            measured.failure = str(problem)
            say(f"{self.workload.name}: {problem}")
            return
        measured.memory = run.memory
        measured.traffic = Traffic(
            bytes=round(sum(each.to_host + each.from_host for each in passed) / len(passed), 1),
            round_trips=statistics.median_high(each.round_trips for each in passed),
            connections=max(each.connections for each in passed),
        )

    def _check(self, tool: Tool, outcome: Outcome | None) -> None:
        """Check what a tool says: it did all tasks on all hosts, and changed as much as it should."""
        if tool.name not in self.workload.plays:
            return
        if self.workload.changes:
            _expect_change(tool, outcome)
            return
        _expect_no_change(tool, outcome)
        done, expected = outcome and outcome.done, self.verified.done[tool.name] * len(self.site.fleet.hosts)
        if done != expected:
            raise UnequalWork(f"{tool.label}: it did {done} tasks, not {expected}")


def _expect_change(tool: Tool, outcome: Outcome | None) -> None:
    if outcome is None or not outcome.changed:
        raise UnequalWork(f"{tool.label}: it had something to change, and says: {outcome}")


def _expect_no_change(tool: Tool, outcome: Outcome | None) -> None:
    if outcome is None or outcome.changed:
        raise UnequalWork(f"{tool.label}: it had nothing to change, and says: {outcome}")


def expect_same(tool: Tool, expected: Snapshot, found: Snapshot) -> None:
    """Compare what is on the hosts.

    Raises:
        UnequalWork: something else; the first difference is shown.
    """
    for host, text in expected.items():
        if found[host] != text:
            both = zip(text.splitlines(), found[host].splitlines(), strict=False)
            first = next((pair for pair in both if pair[0] != pair[1]), ("", "there is more or less of it"))
            raise UnequalWork(f"{tool.label}: on {host} it left not {first[0]!r} but {first[1]!r}")


def snapshots(workload: Workload, site: Site) -> Snapshot:
    """Look at what there is on every host.

    Raises:
        UnequalWork: what should be there is not.
    """
    try:
        return {host.name: workload.snapshot(host) for host in site.fleet.hosts}
    except RuntimeError as problem:
        raise UnequalWork(f"what should be there is not: {problem}") from problem


@contextmanager
def opened_site(workload: Workload, hosts: int) -> Iterator[Site]:
    """Bring up new hosts for a workload."""
    names = [f"gpu{number:03}" for number in range(1, hosts + 1)]
    with (
        tempfile.TemporaryDirectory(prefix="bench") as folder,
        NamespaceFleet(names, folder=Path(folder, "fleet"), size=workload.size) as fleet,
    ):
        site = Site(Path(folder, "site"), fleet, workload.plays)
        site.settle()
        yield site


@cache
def commit() -> str:
    """Return which commit is measured; asked once, before results are written into the working tree."""
    words = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(words, capture_output=True, text=True).stdout.strip() or "unknown"


def say(text: str) -> None:
    """Tell who waits how far it is."""
    print(text, file=sys.stderr, flush=True)
