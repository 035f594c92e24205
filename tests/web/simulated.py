"""A history of simulated hosts, written through the store: what the dashboard is looked at, tested and measured with.

`python -m tests.web.simulated FILE HOSTS RUNS` fills a file. Nothing in it was seen on hardware, and GPUs say so.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from copy import deepcopy
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from fleetenv.drift.finding import Against, Finding, Waiver
from fleetenv.errors import Location
from fleetenv.events import Status, TaskRef
from fleetenv.history.database import open_database
from fleetenv.history.model import Errand, HostRun, Kind, Origin, Standing, StoredDifference, StoredResult
from fleetenv.history.record import HostOutcome, RunOutcome, enter_run, finish_run
from fleetenv.severity import Severity

HOSTILE = "<script>alert('host')</script>"
"""The name of an environment, a package, a task's message ... on the host that means harm."""

ESCAPES = "\x1b[31mred\x1b[0m \u202ereversed\u2066 \x00\x07 </td></table><img src=x onerror=alert(2)>"
NOISE = "A" * 1_000_000

_PACKAGES = {
    **{f"library-{number:03}": f"1.{number}.0 py311h{number:04x}_0 conda-forge" for number in range(120)},
    "numpy": "1.26.4 py311h64a7726_0 conda-forge",
    "python": "3.11.9 hb806964_0_cpython conda-forge",
    "pytorch": "2.3.1 cuda120_py311_0 conda-forge",
}
_TASKS = tuple(
    TaskRef("gpu servers", name, module, Location(f"roles/{role}/tasks/main.yml", line, 3), role)
    for line, (role, module, name) in enumerate(
        [
            ("base", "file", "Make folders"),
            ("base", "template", "Write motd"),
            ("gpu_driver", "gpu_driver", "Verify the driver"),
            ("miniconda", "miniconda", "Install Miniconda"),
            ("condarc", "condarc", "Point conda at the mirror"),
            ("conda_envs", "conda_env", "Create environments"),
            ("kernels", "jupyter_kernel", "Register kernels"),
            ("pip", "pip_conf", "Point pip at the mirror"),
        ],
        start=2,
    )
)


class Fleet:
    """Simulated hosts that change a little from run to run, always in the same way."""

    def __init__(self, hosts: int, *, hostile: bool = False, seed: int = 5) -> None:
        self.random = random.Random(seed)
        self.hosts = [f"gpu{number:03}" for number in range(1, hosts + 1)]
        self.snapshots: dict[str, dict[str, Any]] = {name: _snapshot(n) for n, name in enumerate(self.hosts)}
        self.lost: set[str] = set()
        if hostile:
            self.hosts.append("hostile")
            self.snapshots["hostile"] = _hostile_snapshot()

    def groups(self, host: str) -> tuple[str, ...]:
        number = self.hosts.index(host)
        return ("gpu_servers", ("a100", "h100", "a100_old")[number % 3])

    def change(self) -> None:
        """Let some time go by."""
        for host in self.random.sample(self.hosts, max(1, len(self.hosts) // 50)):
            snapshot = deepcopy(self.snapshots[host])
            match self.random.randrange(4):
                case 0 if snapshot["gpus"]["devices"]:
                    device = self.random.choice(list(snapshot["gpus"]["devices"].values()))
                    device["uncorrected"] = device.get("uncorrected", 0) + self.random.randrange(1, 5)
                case 1:
                    snapshot["environments"]["nlp_train"]["packages"]["numpy"] = self.random.choice(
                        ["1.26.3 py311h64a7726_0 conda-forge", "1.26.4 py311h64a7726_0 conda-forge"]
                    )
                case 2:
                    snapshot["gpus"]["driver"] = self.random.choice(["550.54.15", "535.104.05"])
                case _:
                    snapshot["facts"]["kernel"] = f"6.1.0-{self.random.randrange(20, 30)}-amd64"
            self.snapshots[host] = snapshot
        self.lost = {host for host in self.hosts if self.random.random() < 0.01}

    def findings(self, host: str) -> list[Finding]:
        if host in self.lost:
            return [
                _finding(host, "unreachable", "connection", Against.REACH, Severity.ERROR, "could not be looked at")
            ]
        snapshot, found = self.snapshots[host], []
        if snapshot["gpus"].get("driver") == "535.104.05":
            text = "driver 535.104.05 is older than 550.54 (it supports CUDA up to 12.2); upgrade it and reboot"
            found.append(
                _finding(host, "failed", "gpu_driver : Verify the driver", Against.PLAYBOOK, Severity.ERROR, text)
            )
        for index, device in snapshot["gpus"].get("devices", {}).items():
            if device.get("uncorrected"):
                text = f"has had {device['uncorrected']} uncorrected ECC errors in its life"
                found.append(
                    _finding(host, "gpu-ecc-uncorrected-past", f"GPU {index}", Against.CARE, Severity.NOTE, text)
                )
        if snapshot["environments"]["nlp_train"]["packages"]["numpy"].startswith("1.26.3"):
            text = "packages.numpy: wanted 1.26.4, found 1.26.3"
            subject = "conda_envs : Create environments (nlp_train)"
            found.append(_finding(host, "drift", subject, Against.PLAYBOOK, Severity.WARNING, text))
        if host.endswith("7"):
            waiver = Waiver(reason="until the course is over", until=date.today() + timedelta(days=90))
            found.append(
                _finding(
                    host,
                    "base-packages",
                    "/opt/miniconda3",
                    Against.CARE,
                    Severity.WARNING,
                    "jupyterlab is in base",
                    waiver,
                )
            )
        if host == "hostile":
            found.append(_finding(host, "files-changed", HOSTILE, Against.CARE, Severity.WARNING, ESCAPES + NOISE))
        return found

    def outcome(self, host: str, kind: Kind) -> HostOutcome:
        findings = self.findings(host)
        drifted = {each.subject: each for each in findings if each.against is Against.PLAYBOOK}
        results = []
        for number, task in enumerate(_TASKS):
            item = "nlp_train" if task.module == "conda_env" else None
            each = drifted.get(f"{task.role} : {task.name}" + (f" ({item})" if item else ""))
            status, differences = Status.OK, ()
            if each and each.severity is Severity.ERROR:
                status = Status.FAILED
            elif each:
                status, differences = Status.CHANGED, (StoredDifference("packages.numpy", "1.26.4", "1.26.3"),)
            msg = each.text if each and status is Status.FAILED else ESCAPES if host == "hostile" else ""
            results.append(StoredResult(number, status, item, msg, differences, task.module == "gpu_driver"))
        lost = host in self.lost
        statuses = [each.status for each in results]
        standing = (
            Standing.LOST if lost
            else Standing.FAILED if Status.FAILED in statuses
            else Standing.CHANGED if Status.CHANGED in statuses
            else Standing.SAME
        )  # fmt: skip
        visit = HostRun(
            run=0,
            host=host,
            standing=standing,
            ok=statuses.count(Status.OK),
            changed=statuses.count(Status.CHANGED),
            failed=statuses.count(Status.FAILED),
            lost="connect to 10.0.0.4 port 22: Connection refused" if lost else None,
            seconds=0.4,
            groups=self.groups(host),
        )
        return HostOutcome(
            visit=visit,
            tasks=() if lost else _TASKS,
            results=() if lost else tuple(results),
            findings=findings if kind is Kind.DRIFT else None,
            snapshot=None if lost or kind is not Kind.DRIFT else self.snapshots[host],
        )


def record(file: Path, fleet: Fleet, started: datetime, kind: Kind = Kind.DRIFT, tags: tuple[str, ...] = ()) -> int:
    """Write one run of the whole fleet, and return its number."""
    connection = open_database(file)
    errand = Errand(
        kind=kind,
        playbook=Origin("playbooks/site.yml", "0123456789abcdef0123456789abcdef01234567", dirty=False),
        inventory=(Origin("inventories/lab"),),
        command=("fleetenv", str(kind), "playbooks/site.yml", "-i", "inventories/lab"),
        tags=tags,
        user="ops",
        controller="controller",
        version="1",
    )
    number = enter_run(connection, errand, started)
    outcome = RunOutcome(
        finished=started + timedelta(seconds=9),
        seconds=9.0,
        exit_status=0,
        hosts=[fleet.outcome(host, kind) for host in fleet.hosts],
    )
    finish_run(connection, number, outcome)
    connection.close()
    return number


def fill(file: Path, fleet: Fleet, runs: int, *, until: datetime | None = None) -> None:
    """Write runs, some hours apart, the last one now; every tenth is an apply."""
    until = until or datetime.now().astimezone()
    for number in range(runs):
        if number:
            fleet.change()
        kind = Kind.APPLY if number % 10 == 9 else Kind.DRIFT
        record(file, fleet, until - timedelta(hours=4 * (runs - 1 - number)), kind)


def _finding(
    host: str, code: str, subject: str, against: Against, severity: Severity, text: str, waiver: Waiver | None = None
) -> Finding:
    return Finding(
        code=code,
        host=host,
        subject=subject,
        against=against,
        severity=severity,
        text=text,
        advice=f"fleetenv apply playbooks/site.yml -i inventories/lab -l {host}",
        waiver=waiver,
        simulated="gpu" in code,
    )


def _snapshot(number: int) -> dict[str, Any]:
    model = ("NVIDIA A100-SXM4-80GB", "NVIDIA H100 80GB HBM3", "NVIDIA A100-SXM4-80GB")[number % 3]
    packages = dict(_PACKAGES) | ({"numpy": "1.26.3 py311h64a7726_0 conda-forge"} if number % 23 == 5 else {})
    return {
        "facts": {"kernel": "6.1.0-25-amd64", "os": "Debian GNU/Linux 12", "cpus": 128, "memory_gib": 1024},
        "miniconda": {"/opt/miniconda3": {"conda": "24.7.1", "python": "3.11.9", "owner": "root", "asked": True}},
        "condarc": {"/opt/miniconda3/.condarc": {"channels": "[conda-forge]", "channel_priority": "strict"}},
        "environments": {
            name: {
                "path": f"/opt/miniconda3/envs/{name}",
                "packages": dict(packages) if name == "nlp_train" else dict(_PACKAGES),
                "pip": {"datasets": "2.20.0"},
                "frozen": True,
                "owner": "root",
            }
            for name in ("nlp_train", "vision_seg", "speech_asr")
        },
        "virtualenvs": {},
        "kernels": {"/usr/local/share/jupyter/kernels/nlp": {"program": "/opt/x/bin/python", "title": "NLP"}},
        "gpus": {
            "count": 8,
            "simulated": True,
            "driver": "535.104.05" if number % 31 == 8 else "550.54.15",
            "cuda": "12.4",
            "devices": {
                str(index): {
                    "model": model,
                    "uuid": f"GPU-{number:08x}-{index}",
                    "memory_mib": 81920,
                    "persistence": True,
                    "ecc": True,
                    "mig": False,
                    "uncorrected": 0,
                    "retired_pages": 0,
                    "power_limit_w": 400.0,
                }
                for index in range(8)
            },
        },
    }


def _hostile_snapshot() -> dict[str, Any]:
    snapshot = _snapshot(0)
    snapshot["facts"] |= {"os": HOSTILE, "kernel": ESCAPES, "cpu": NOISE}
    snapshot["environments"][HOSTILE] = {"packages": {HOSTILE: ESCAPES, "noise": NOISE}}
    snapshot["environments"]["../../etc?x=1#y"] = {"packages": "not a mapping"}
    snapshot["gpus"] = {"driver": HOSTILE, "devices": {HOSTILE: {"model": ESCAPES, "uncorrected": 3}}, "count": None}
    snapshot[HOSTILE] = [HOSTILE, None, 1]
    return snapshot


def main(words: Sequence[str]) -> None:
    """Fill a file from the command line."""
    file, hosts, runs = Path(words[0]), int(words[1]), int(words[2])
    fill(file, Fleet(hosts, hostile=True), runs)


if __name__ == "__main__":
    main(sys.argv[1:])
