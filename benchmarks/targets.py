"""What fleetenv promises of its speed, each as a figure that the results either reach or do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.results import Results


@dataclass(frozen=True, slots=True)
class Target:
    """One promise."""

    text: str
    bound: float
    figure: Callable[[Results], float | None]
    """None: it was not measured."""
    at_least: bool = False

    def reached(self, figure: float) -> bool:
        """Whether a figure keeps the promise."""
        return figure >= self.bound if self.at_least else figure <= self.bound

    @property
    def wanted(self) -> str:
        """The bound in words."""
        return f"{'at least' if self.at_least else 'at most'} {self.bound:g}"


def _ratio(workload: str, hosts: int, above: str, below: str) -> Callable[[Results], float | None]:
    """Return a function that divides one tool's wall time by another's."""

    def figure(results: Results) -> float | None:
        case = results.case(workload, hosts)
        if case is None or above not in case.tools or below not in case.tools:
            return None
        over, under = case.tools[above].wall, case.tools[below].wall
        return over / under if over is not None and under is not None else None

    return figure


def _faster(what: str, workload: str, hosts: int, peer: str, times: float) -> Target:
    return Target(f"{what}: times faster than {peer}", times, _ratio(workload, hosts, peer, "fleetenv"), at_least=True)


def _memory(results: Results, hosts: int) -> float | None:
    case = results.case("W1", hosts)
    measured = case and case.tools.get("fleetenv")
    return measured.memory / 2**20 if measured and measured.memory is not None else None


def _growth(results: Results) -> float | None:
    """Return KiB a host, from 8 hosts to 100."""
    few, many = _memory(results, 8), _memory(results, 100)
    return (many - few) * 1024 / (100 - 8) if few is not None and many is not None else None


def _round_trips(results: Results) -> float | None:
    case = results.case("W6", 32)
    measured = case and case.tools.get("fleetenv")
    return measured.traffic.round_trips if measured and measured.traffic else None


def _no_op(hosts: int) -> list[Target]:
    what = f"W1, {hosts} hosts"
    return [
        Target(f"{what}: times the floor's wall time", 1.6, _ratio("W1", hosts, "fleetenv", "floor")),
        _faster(what, "W1", hosts, "pyinfra", 6),
        _faster(what, "W1", hosts, "mitogen", 25),
        _faster(what, "W1", hosts, "ansible", 80),
    ]


TARGETS = (
    *_no_op(32),
    *_no_op(100),
    _faster("W3, first run", "W3", 8, "pyinfra", 2.5),
    _faster("W3, first run", "W3", 8, "ansible", 3.5),
    _faster("W3, re-run", "W3-again", 8, "pyinfra", 10),
    _faster("W5, 32 hosts", "W5", 32, "pyinfra", 8),
    _faster("W6, 32 hosts", "W6", 32, "pyinfra", 5),
    Target("W6: network round trips a host, all handshakes included", 8, _round_trips),
    Target("W1, 100 hosts: MiB of memory", 120, lambda results: _memory(results, 100)),
    Target("W1: KiB of memory that each further host takes", 200, _growth),
)
