"""Fill a history with a simulated fleet, and measure how fast it is written and read.

The hosts are simulated: 8 GPUs, 4 environments of 250 packages, 30 tasks each. In every run some are lost, some changed
since the run before, and some have findings. Nothing but the store is measured.

Examples:
  python -m benchmarks.history                         # 500 hosts, 200 runs
  python -m benchmarks.history --hosts 500 --runs 1000 --file /tmp/history.db
"""

from __future__ import annotations

import argparse
import copy
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fleetenv.drift.finding import Against, Finding
from fleetenv.drift.snapshot import Snapshot
from fleetenv.errors import Location
from fleetenv.events import Status, TaskRef
from fleetenv.history.database import open_database
from fleetenv.history.model import Errand, HostRun, Kind, Origin, Standing, StoredDifference, StoredResult
from fleetenv.history.outcome import HostOutcome, RunOutcome
from fleetenv.history.record import enter_run, finish_run
from fleetenv.history.store import History, open_history
from fleetenv.severity import Severity

BEGUN = datetime(2026, 1, 1, 3, tzinfo=UTC)
ENVIRONMENTS, PACKAGES, GPUS, TASKS = 4, 250, 8, 30
CHANGED, LOST, ILL = 0.02, 0.01, 0.1  # parts of the hosts, a run
HOST = "gpu007"


def main() -> None:
    """Fill, and measure."""
    parser = argparse.ArgumentParser("benchmarks.history", None, __doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--hosts", type=int, default=500)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--file", type=Path, help="keep the history here; one that is there is only read")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = options.file or Path(folder) / "history.db"
        if not file.exists():
            fill(file, options.hosts, options.runs)
        print(f"file: {file.stat().st_size / 1e6:.1f} MB")
        for name, query in QUERIES.items():
            cold, warm = _timed(file, query)
            print(f"{name:<58}{cold * 1000:8.1f} ms{warm * 1000:8.1f} ms again")


def _timed(file: Path, query: Callable[[History], object]) -> tuple[float, float]:
    """Return how long a question takes in a history that was just opened, the median of three, and asked again."""
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        with open_history(file) as history:
            query(history)
            times.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            query(history)
            again = time.perf_counter() - begun
    return statistics.median(times), again


def _last(history: History) -> int:
    return history.runs.resolve("last")


QUERIES: dict[str, Callable[[History], object]] = {
    "the last 50 runs": lambda history: history.runs.find(limit=50),
    "the last 50 runs of one host": lambda history: history.runs.find(hosts=[HOST], limit=50),
    "the hosts of a run": lambda history: history.runs.hosts(_last(history)),
    "how every host fared last": lambda history: history.runs.latest(),
    "how one host fared in 50 runs": lambda history: history.runs.of_host(HOST),
    "one host's tasks in a run": lambda history: history.runs.results(_last(history), HOST),
    "all hosts' tasks in a run": lambda history: [
        history.runs.results(_last(history), each.host) for each in history.runs.hosts(_last(history))
    ],
    "open findings": lambda history: history.findings.open(),
    "findings of a run": lambda history: history.findings.of_run(history.runs.find(kind=Kind.DRIFT)[0].number),
    "findings of one host, ever": lambda history: history.findings.of_host(HOST),
    "one host's newest snapshot": lambda history: history.snapshots.latest([HOST]),
    "every host's newest snapshot": lambda history: history.snapshots.latest(),
    "every host's snapshot 30 runs ago": lambda history: history.snapshots.latest(before=_last(history) - 30),
    "one host's snapshots": lambda history: history.snapshots.of_host(HOST),
    "what changed on one host in 30 runs": lambda history: history.changes.since(_last(history) - 30, [HOST]),
    "what changed in the fleet in 30 runs": lambda history: history.changes.since(_last(history) - 30),
    "what changed in the fleet, ever": lambda history: history.changes.since(1),
    "plot: findings and hosts of 200 runs": lambda history: history.series.runs(kinds=[*Kind]),
    "plot: a value of a host over time": lambda history: history.series.value(HOST, ("facts", "driver")),
}


# The simulated fleet


class _Fleet:
    """Simulated hosts, as they are on one day."""

    def __init__(self, hosts: int) -> None:
        self.random = random.Random(7)
        shared = {
            f"team_project_{number}": {
                "packages": {f"package-{number}-{each}": f"1.{each}.0 py311_0 conda-forge" for each in range(PACKAGES)},
                "generation": f"{number:016x}",
            }
            for number in range(ENVIRONMENTS)
        }
        self.snapshots = {f"gpu{number:03}": self._snapshot(number, shared) for number in range(hosts)}
        self.findings: dict[str, list[Finding]] = {name: [] for name in self.snapshots}
        self.groups = {name: (f"rack{number // 20:02}", "a100") for number, name in enumerate(self.snapshots)}

    def _snapshot(self, number: int, shared: Snapshot) -> Snapshot:
        return {
            "facts": {
                "driver": "550.54.15",
                "kernel": "6.8.0-45",
                "machine_id": f"{self.random.getrandbits(128):032x}",
            },
            "miniconda": {"version": "24.7.1", "prefix": "/opt/miniconda3"},
            "condarc": {"/opt/miniconda3/.condarc": {"sha256": "0" * 64}},
            "environments": copy.deepcopy(shared),
            "gpus": {
                "driver": "550.54.15",
                "count": GPUS,
                "devices": {
                    str(index): {"uuid": f"GPU-{self.random.getrandbits(128):032x}", "model": "A100", "vbios": "92.00"}
                    for index in range(GPUS)
                },
            },
        }

    def pass_a_day(self, day: int) -> None:
        """Some hosts are changed, some fall ill, some recover."""
        for name, snapshot in self.snapshots.items():
            if self.random.random() < CHANGED:
                environment = snapshot["environments"][f"team_project_{self.random.randrange(ENVIRONMENTS)}"]
                environment["packages"][f"package-0-{self.random.randrange(PACKAGES)}"] = f"2.{day}.0 py311_0 pypi"
            if self.random.random() < CHANGED / 4:
                snapshot["facts"]["driver"] = f"550.{day}"
            if self.random.random() < ILL / 10:
                self.findings[name] = [_finding(name, number) for number in range(self.random.randrange(1, 6))]
            elif self.findings[name] and self.random.random() < 1 / 10:
                self.findings[name] = []


def _finding(host: str, number: int) -> Finding:
    return Finding(
        code="package",
        host=host,
        subject=f"team_project_0: package-0-{number}",
        against=Against.PLAYBOOK,
        severity=[Severity.ERROR, Severity.WARNING, Severity.NOTE][number % 3],
        text="is 2.0.0, should be 1.0.0",
        advice=f"fleetenv apply playbooks/site.yml -i inventories/lab -l {host}",
    )


def fill(file: Path, hosts: int, runs: int) -> None:
    """Write a history of a simulated fleet, and say how long that took."""
    fleet, connection = _Fleet(hosts), open_database(file)
    tasks = tuple(
        TaskRef("gpu servers", f"Task number {n}", "file", Location("roles/base/tasks/main.yml", n * 4, 3), "base")
        for n in range(TASKS)
    )
    times = []
    for number in range(runs):
        fleet.pass_a_day(number)
        kind = Kind.APPLY if number % 5 == 4 else Kind.DRIFT
        outcomes = [_outcome(fleet, name, kind, tasks) for name in fleet.snapshots]
        begun = time.perf_counter()
        started = BEGUN + timedelta(hours=12 * number)
        errand = Errand(
            kind=kind,
            playbook=Origin("playbooks/site.yml", "fleet/playbooks/site.yml", f"{number:040x}", False),
            command=(str(kind), "playbooks/site.yml", "-i", "inventories/lab"),
            user="anna",
            controller="ops1",
        )
        run = enter_run(connection, errand, started)
        finished = started + timedelta(seconds=30)
        finish_run(connection, run, RunOutcome(finished=finished, seconds=30.0, exit_status=2, hosts=outcomes))
        times.append(time.perf_counter() - begun)
    connection.close()
    print(f"{hosts} simulated hosts, {runs} runs, {TASKS} tasks each")
    print(f"writing a run: first {times[0]:.2f} s, median {statistics.median(times):.2f} s, slowest {max(times):.2f} s")


def _outcome(fleet: _Fleet, name: str, kind: Kind, tasks: tuple[TaskRef, ...]) -> HostOutcome:
    lost = fleet.random.random() < LOST
    ill = bool(fleet.findings[name])
    differences = (StoredDifference("packages.package-0-1", "1.0.0", "2.0.0"),) if ill else ()
    results = tuple(
        StoredResult(
            each, Status.CHANGED if ill and each == 3 else Status.OK, None, "", differences * (each == 3), False
        )
        for each in range(0 if lost else TASKS)
    )
    standing = Standing.LOST if lost else Standing.CHANGED if ill else Standing.SAME
    look = kind is Kind.DRIFT and not lost
    return HostOutcome(
        visit=HostRun(
            run=0,
            host=name,
            standing=standing,
            ok=len(results),
            changed=int(ill),
            lost="connect to port 22: timed out" if lost else None,
            seconds=1.0,
            groups=fleet.groups[name],
        ),
        tasks=tasks,
        results=results,
        findings=fleet.findings[name] if kind is Kind.DRIFT else None,
        snapshot=fleet.snapshots[name] if look else None,
    )


if __name__ == "__main__":
    main()
