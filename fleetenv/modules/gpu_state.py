"""A host's driver and GPUs as a state: the one answer that `gpu_driver` and `gpu_settings` compare wishes with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from msgspec import UNSET, UnsetType

from fleetenv.gpu.diagnosis import driver_problem, health_problems
from fleetenv.gpu.probe import gpu_probe
from fleetenv.gpu.problem import Problem
from fleetenv.gpu.settings import Settings, settings_of
from fleetenv.gpu.states import Gpu, GpuHost
from fleetenv.remote import Completed
from fleetenv.state import State

WORKING = "working"


class GpuState(State, frozen=True, kw_only=True):
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
    gpus: Mapping[str, Settings] | UnsetType = UNSET
    """What is set of each GPU, by its index."""
    found_problems: tuple[Problem, ...] | UnsetType = UNSET
    simulated: bool | UnsetType = UNSET
    seen: GpuHost | UnsetType = UNSET
    """All that the probe told: whoever asks the same question gets this answer."""


def gpu_state(host: GpuHost) -> GpuState:
    """Return the state that tasks compare, out of all that was seen."""
    problem = driver_problem(host)
    problems = health_problems(host)
    return GpuState(
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
        gpus={str(gpu.index): settings_of(gpu) for gpu in host.gpus},
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


def gpus_of(state: GpuState) -> tuple[Gpu, ...]:
    """Return the GPUs of a state that was found."""
    return state.seen.gpus if isinstance(state.seen, GpuHost) else ()


def parse(completed: Completed) -> GpuState:
    """Read a host's answer about its GPUs, for each module that asks for it: equal questions have one answer."""
    return gpu_state(gpu_probe().parse(completed))
