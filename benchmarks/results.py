"""What was measured, as it is kept in a JSON file."""

from __future__ import annotations

import statistics
from pathlib import Path

import msgspec


class Traffic(msgspec.Struct, frozen=True):
    """What went over the wire to and from one host."""

    bytes: float
    """In both directions, mean of all hosts; what SSH sent, without the headers of packets."""
    round_trips: int
    """One after the other, median of all hosts; TCP's handshake is one."""
    connections: int


class Measured(msgspec.Struct):
    """One tool in one case."""

    walls: list[float] = msgspec.field(default_factory=list)
    """Seconds of each timed run."""
    cpus: list[float] = msgspec.field(default_factory=list)
    """Seconds of user and system time on the controller, of each timed run."""
    memory: int | None = None
    """Most bytes at a time of the tool and all its descendants, in one run that is not timed."""
    traffic: Traffic | None = None
    """Of the same run."""
    failure: str = ""
    """Why it has no figures, or none that count."""

    @property
    def wall(self) -> float | None:
        """Median seconds."""
        return statistics.median(self.walls) if self.walls and not self.failure else None

    @property
    def cpu(self) -> float | None:
        """Median seconds."""
        return statistics.median(self.cpus) if self.cpus and not self.failure else None


class Case(msgspec.Struct):
    """A workload on a number of hosts."""

    workload: str
    title: str
    hosts: int
    round_trip: float
    """Seconds of delay under which the timed runs were."""
    date: str
    commit: str
    tools: dict[str, Measured]


class Results(msgspec.Struct):
    """All cases, and the machine on which they were measured."""

    machine: dict[str, str] = msgspec.field(default_factory=dict)
    versions: dict[str, str] = msgspec.field(default_factory=dict)
    cases: list[Case] = msgspec.field(default_factory=list)

    def case(self, workload: str, hosts: int) -> Case | None:
        """Return a case, if it was measured."""
        return next((case for case in self.cases if (case.workload, case.hosts) == (workload, hosts)), None)

    def put(self, case: Case, order: list[str]) -> None:
        """Add a case in the place of what was measured of it before; `order` are the names of all workloads."""
        self.cases = [each for each in self.cases if (each.workload, each.hosts) != (case.workload, case.hosts)]
        self.cases.append(case)
        self.cases.sort(key=lambda each: (order.index(each.workload) if each.workload in order else 99, each.hosts))


def read(path: Path) -> Results:
    """Read results; a file that is not there holds none."""
    return msgspec.json.decode(path.read_bytes(), type=Results) if path.exists() else Results()


def write(path: Path, results: Results) -> None:
    """Write results, readable for people too."""
    data = msgspec.json.format(msgspec.json.encode(results), indent=1)
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(data + b"\n")
    fresh.rename(path)
