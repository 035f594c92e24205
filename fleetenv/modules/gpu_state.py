"""What `gpu_driver` compares: a host's driver and GPUs as a state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from msgspec import UNSET, UnsetType

from fleetenv.gpu.diagnosis import driver_problem, health_problems
from fleetenv.gpu.problem import Problem
from fleetenv.gpu.states import Gpu, GpuHost
from fleetenv.state import State

WORKING = "working"


class DriverState(State, frozen=True, kw_only=True):
    """A host's driver and GPUs. What is wanted holds only what is not so."""

    alike: ClassVar[frozenset[str]] = frozenset({"driver"})

    condition: str | UnsetType = UNSET
    """`working`, else why the GPUs cannot be used: no-gpu, no-driver, mismatch, lost, ..."""
    driver: str | UnsetType | None = UNSET
    cuda: str | UnsetType | None = UNSET
    flavour: str | UnsetType | None = UNSET
    count: int | str | UnsetType = UNSET
    models: Mapping[str, int | str] | UnsetType = UNSET
    problems: Mapping[str, Mapping[str, str]] | UnsetType = UNSET
    """`GPU 3`, or `host` -> code -> what was seen."""
    health: tuple[str, ...] | UnsetType = UNSET
    explanation: str | UnsetType = UNSET
    vendor: str | UnsetType = UNSET
    gpus: tuple[Gpu, ...] | UnsetType = UNSET
    found_problems: tuple[Problem, ...] | UnsetType = UNSET
    simulated: bool | UnsetType = UNSET
    seen: GpuHost | UnsetType = UNSET
    """All that the probe told: whoever asks the same question gets this answer."""


def driver_state(host: GpuHost) -> DriverState:
    """Return the state that tasks compare, out of all that was seen."""
    problem = driver_problem(host)
    problems = health_problems(host)
    return DriverState(
        condition=problem.code if problem else WORKING,
        driver=host.driver.version if host.driver else None,
        cuda=host.cuda,
        flavour=host.driver.flavour if host.driver else None,
        count=len(host.gpus),
        models=host.kinds,
        problems=by_subject(problems),
        health=tuple(f"{problem.subject}{problem.text}" for problem in problems),
        explanation=str(problem) if problem else "",
        vendor=host.vendor.value,
        gpus=host.gpus,
        found_problems=problems,
        simulated=host.simulated,
        seen=host,
    )


def by_subject(problems: tuple[Problem, ...]) -> dict[str, dict[str, str]]:
    """Return `GPU 3` or `host` -> code -> text."""
    found: dict[str, dict[str, str]] = {}
    for problem in problems:
        found.setdefault(problem.subject.strip() or "host", {})[problem.code] = problem.text
    return found
