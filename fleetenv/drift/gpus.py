"""Findings about GPUs: what gpu.diagnosis sees wrong, but for what a task has said already."""

from __future__ import annotations

from collections.abc import Iterator

from fleetenv.drift.codes import GPU
from fleetenv.drift.finding import Against, Finding
from fleetenv.drift.report import HostReport, Verdict
from fleetenv.gpu.diagnosis import Problem, driver_problem, health_problems
from fleetenv.gpu.states import GpuHost

_SETTINGS = {"persistence-off": "persistence", "power-limit": "power_limit", "compute-prohibited": "compute_mode"}
"""Problems that are somebody's wish where a gpu_settings task speaks of the setting."""

_NONE = "no-gpu"  # most hosts of the world: whether it should have some is for a task to say


def gpu_findings(host: HostReport, seen: GpuHost) -> Iterator[Finding]:
    """Yield what is wrong with a host's GPUs and their driver."""
    problem = driver_problem(seen)
    problems = ([problem] if problem else []) + list(health_problems(seen))
    told = [cell.msg for cell in host.cells.values() if cell.verdict is Verdict.FAILED]
    asked = {place.path for cell in host.cells.values() for place in cell.places if place.kind == "gpu-setting"}
    for each in problems:
        if each.code != _NONE and _SETTINGS.get(each.code) not in asked and not any(each.text in msg for msg in told):
            yield _finding(host.name, each, simulated=seen.simulated)


def _finding(host: str, problem: Problem, *, simulated: bool) -> Finding:
    return Finding(
        code=f"{GPU}{problem.code}",
        host=host,
        subject="driver" if problem.gpu is None else f"GPU {problem.gpu}",
        against=Against.CARE,
        severity=problem.severity,
        text=problem.text,
        advice=problem.advice,
        simulated=simulated,
    )
