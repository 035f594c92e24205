"""The tools that are compared: how each is called, and how it says what it changed."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import peers

ROOT = Path(__file__).parent.parent
_RECAP = re.compile(
    r"^ *(?:(\d+) hosts?|\S.*?) +ok=(\d+) +changed=(\d+) +unreachable=(\d+) +failed=(\d+)", re.MULTILINE
)
_TOTAL = re.compile(r"Grand total\s+(\d+|-)\s+(\d+|-)\s+(\d+|-)\s+(\d+|-)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a tool says of its run, over all hosts."""

    done: int
    """Tasks that were carried out or found to be right; with a loop a task counts once for ansible, not for pyinfra."""
    changed: int
    failed: int


@dataclass(frozen=True, slots=True)
class Tool:
    """One way to do the work."""

    name: str
    label: str
    command: Callable[[str, Path, int], list[str]]
    """Argument list for a play, an inventory folder and a number of hosts."""
    outcome: Callable[[str], Outcome | None]
    """Read from what it printed; None: it tells nothing."""
    environment: Mapping[str, str] = field(default_factory=dict)


def _recap(printed: str) -> Outcome | None:
    """Read the recap of fleetenv or ansible: a line for each host, or (fleetenv) for many that have equal counts."""
    rows = [[int(word or 1) for word in match.groups()] for match in _RECAP.finditer(printed)]
    if not rows:
        return None
    done, changed, unreachable, failed = (sum(row[0] * row[column] for row in rows) for column in range(1, 5))
    return Outcome(done, changed, unreachable + failed)


def _totals(printed: str) -> Outcome | None:
    """Read the last line of pyinfra's results: hosts, success (it changed something), error, no change."""
    match = _TOTAL.search(printed)
    if match is None:
        return None
    operations, changed, failed, _ = (0 if word == "-" else int(word) for word in match.groups())
    return Outcome(operations - failed, changed, failed)


def _floor(play: str, inventories: Path, hosts: int) -> list[str]:
    return [sys.executable, str(ROOT / "benchmarks/floor.py"), str(inventories / "inventory.yml")]


def _fleetenv(play: str, inventories: Path, hosts: int) -> list[str]:
    words = ["apply", play, "-i", str(inventories / "inventory.yml"), "--forks", str(hosts)]
    return [sys.executable, "-m", "fleetenv", *words]


def _pyinfra(play: str, inventories: Path, hosts: int) -> list[str]:
    words = ["--yes", "--parallel", str(hosts), str(inventories / "inventory.py"), play]
    return [str(peers.program("pyinfra")), *words]


def _ansible(play: str, inventories: Path, hosts: int) -> list[str]:
    return [str(peers.program("ansible-playbook")), "-i", str(inventories / "inventory.yml"), play, "-f", str(hosts)]


def _nothing(printed: str) -> None:
    return None


_ANSIBLE = {"ANSIBLE_CONFIG": "ansible.cfg"}
TOOLS = (
    Tool("floor", "floor: one asyncssh process, `true`", _floor, _nothing),
    Tool("fleetenv", "fleetenv", _fleetenv, _recap, {"PYTHONPATH": str(ROOT)}),
    Tool("pyinfra", "pyinfra", _pyinfra, _totals),
    Tool("mitogen", "ansible-core with mitogen", _ansible, _recap, {"ANSIBLE_CONFIG": "mitogen.cfg"}),
    Tool("ansible", "ansible-core", _ansible, _recap, _ANSIBLE),
)
