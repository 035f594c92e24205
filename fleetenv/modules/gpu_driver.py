"""gpu_driver: verify a host's NVIDIA driver and GPUs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from fleetenv.errors import TaskFailed
from fleetenv.gpu.compat import max_cuda
from fleetenv.gpu.diagnosis import driver_problem, health_problems
from fleetenv.gpu.model import is_model
from fleetenv.gpu.probe import gpu_probe
from fleetenv.gpu.states import Gpu, GpuHost
from fleetenv.gpu.version import is_branch_of, parse_version
from fleetenv.modules.base import StateModule
from fleetenv.remote import Completed, Probe, Step
from fleetenv.source import Value
from fleetenv.state import Diff, State

WORKING = "working"
_NO_GPU = frozenset({"no-gpu", "passed-through"})


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
    health: tuple[str, ...] | UnsetType = UNSET
    explanation: str | UnsetType = UNSET
    gpus: tuple[Gpu, ...] | UnsetType = UNSET
    simulated: bool | UnsetType = UNSET


_Version = Annotated[str, Meta(pattern=r"^[0-9]{1,9}(\.[0-9]{1,9}){0,5}$")]


class GpuDriver(StateModule[DriverState], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Verify the NVIDIA driver and the GPUs of a host.

    ```yaml
    - gpu_driver: {min_version: "535.104", count: 8, model: A100}
    - gpu_driver: {version: "550", required: false}
      register: gpus
    ```

    It changes nothing: a driver is installed with the site's own means, and with a reboot. Where a host is not as
    the task says, the task fails with one line that says what is wrong and what to do. `register` and facts get what
    was seen: `fleetenv_gpus`, `fleetenv_gpu_count`, `fleetenv_gpu_driver`, `fleetenv_gpu_cuda`,
    `fleetenv_gpus_simulated`.
    """

    name: ClassVar[str] = "gpu_driver"

    min_version: _Version | None = None
    """The oldest driver that will do, in quotes: `"535.104"`."""
    version: _Version | None = None
    """The driver that must run: a whole version (`"550.54.15"`), or a branch that it must be of (`"550"`)."""
    count: Annotated[int, Meta(ge=1, le=1024)] | None = None
    """How many GPUs there must be."""
    model: Annotated[str, Meta(min_length=1)] | None = None
    """What all GPUs must be: words of the model's name, such as `A100` or `RTX 4090`."""
    required: bool = True
    """Whether a host without any NVIDIA GPU fails."""

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Value]) -> GpuDriver:
        """Build the module; a version that YAML read as a number is refused, since it may have lost a digit."""
        for name in ("min_version", "version"):
            value = arguments.get(name)
            if isinstance(value, float):
                raise msgspec.ValidationError(f'{name} must be text: write it in quotes, {name}: "{value}"')
            if isinstance(value, int) and not isinstance(value, bool):
                arguments = {**arguments, name: str(value)}
        return msgspec.convert(arguments, cls, strict=False)

    def observe(self) -> Probe[DriverState | None]:
        """Return the question about GPUs, the same for every task."""
        return Probe(gpu_probe().script, _parse)

    def desired(self, found: DriverState | None) -> DriverState:
        """Return what the task asks for and `found` lacks."""
        assert found is not None  # _parse never gives None
        if not self.required and found.condition in _NO_GPU:
            return DriverState()
        return DriverState(
            condition=UNSET if found.condition == WORKING else WORKING,
            driver=self._wanted_driver(found),
            count=UNSET if self.count in (None, found.count) else self.count,
            models=self._wanted_models(found),
        )

    def converge(self, diff: Diff[DriverState]) -> Iterator[Step]:
        """Say what is wrong: none of it can be mended by a playbook.

        Raises:
            TaskFailed: always.
        """
        assert diff.found is not None
        found, wanted = diff.found, diff.wanted or DriverState()
        reasons = []
        if diff.touches("condition"):
            reasons.append(str(found.explanation))
        if diff.touches("driver") and found.driver:
            reasons.append(self._wrong_driver(str(found.driver)))
        if diff.touches("count") and (found.condition == WORKING or found.count):
            reasons.append(_wrong_count(wanted, found))
        if diff.touches("models") and found.count:
            reasons.append(self._wrong_models(found))
        raise TaskFailed(("simulated GPUs: " if found.simulated is True else "") + "; also, ".join(reasons))
        yield  # a generator, as its base says

    def returns(self, found: DriverState | None) -> Mapping[str, Value]:
        """Return what was seen, for `register`."""
        if found is None:
            return {}
        shown = ("condition", "driver", "cuda", "flavour", "count", "models", "health", "gpus", "simulated")
        seen = msgspec.json.encode({name: getattr(found, name) for name in shown})
        return msgspec.json.decode(seen, type=dict[str, Any])  # variables are lists and dicts, as from any JSON

    def facts(self, found: DriverState | None) -> Mapping[str, Value]:
        """Return the facts about GPUs."""
        seen = self.returns(found)
        return {
            "fleetenv_gpus": seen.get("gpus"),
            "fleetenv_gpu_count": seen.get("count"),
            "fleetenv_gpu_driver": seen.get("driver"),
            "fleetenv_gpu_cuda": seen.get("cuda"),
            "fleetenv_gpus_simulated": seen.get("simulated"),
        }

    def _wanted_driver(self, found: DriverState) -> str | UnsetType:
        have = found.driver if isinstance(found.driver, str) else None
        if self.version and not (have and is_branch_of(self.version, have)):
            return self.version
        if self.min_version and not (have and parse_version(have) >= parse_version(self.min_version)):
            return f">= {self.min_version}"
        return UNSET

    def _wanted_models(self, found: DriverState) -> Mapping[str, int | str] | UnsetType:
        models = found.models if isinstance(found.models, Mapping) else {}
        if self.model is None:
            return UNSET
        right = {name: count for name, count in models.items() if is_model(self.model, name)}
        if right:
            return UNSET if len(right) == len(models) else right
        return {self.model: self.count or "any"}

    def _wrong_driver(self, driver: str) -> str:
        if self.version and not is_branch_of(self.version, driver):
            return f"driver {driver} is not the wanted {self.version}; install {self.version} and reboot"
        cuda = max_cuda(driver)
        up_to = f" (it supports CUDA up to {cuda})" if cuda else ""
        return f"driver {driver} is older than {self.min_version}{up_to}; upgrade it and reboot"

    def _wrong_models(self, found: DriverState) -> str:
        gpus = found.gpus if isinstance(found.gpus, tuple) else ()
        wrong = [f"GPU {gpu.index} is {gpu.model}" for gpu in gpus if not is_model(self.model or "", gpu.model)]
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        return f"not every GPU is {self.model}: {', '.join(wrong[:3])}{more}; correct the host's group, or its hardware"


def _wrong_count(wanted: DriverState, found: DriverState) -> str:
    if isinstance(found.count, int) and isinstance(wanted.count, int) and found.count < wanted.count:
        return (
            f"{found.count} of {wanted.count} GPUs are there; look for 'Xid 79' and NVRM lines in 'dmesg', "
            "and for the missing GPU in 'lspci -d 10de:'"
        )
    return f"{found.count} GPUs are there, the task says {wanted.count}; correct 'count'"


def _parse(completed: Completed) -> DriverState:
    return driver_state(gpu_probe().parse(completed))


def driver_state(host: GpuHost) -> DriverState:
    """Return the state that tasks compare, out of all that was seen."""
    problem = driver_problem(host)
    return DriverState(
        condition=problem.code if problem else WORKING,
        driver=host.driver.version if host.driver else None,
        cuda=host.cuda,
        flavour=host.driver.flavour if host.driver else None,
        count=len(host.gpus),
        models=host.kinds,
        health=tuple(f"{problem.subject}{problem.text}" for problem in health_problems(host)),
        explanation=str(problem) if problem else "",
        gpus=host.gpus,
        simulated=host.simulated,
    )
