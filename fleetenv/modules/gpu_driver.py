"""gpu_driver: verify a host's GPUs and their driver."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from fleetenv.errors import TaskFailed, nearest
from fleetenv.gpu.probe import gpu_probe, thorough_probe
from fleetenv.gpu.problem import HEALTH_CODES, code_of
from fleetenv.gpu.version import parse_wish
from fleetenv.modules.base import StateModule
from fleetenv.modules.gpu_state import GpuState, gpus_of, parse
from fleetenv.modules.gpu_wishes import HealthRules, Wishes
from fleetenv.remote import Probe, Step
from fleetenv.source import Value
from fleetenv.state import Diff

__all__ = ["GpuDriver", "HealthRules"]

_Version = Annotated[str, Meta(pattern=r"^[0-9]{1,9}(\.[0-9]{1,9}){0,5}$")]
_QUOTED = ("min_version", "version", "cuda")


class GpuDriver(StateModule[GpuState], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Verify the driver and the GPUs of a host.

    ```yaml
    - gpu_driver: {min_version: "535.104", count: 8, model: A100}
    - gpu_driver:
        version: ">=535,<560"
        cuda: "12.4"
        flavour: open
        health: {fail: warning, ignore: [remapping-pending], severity: {xid-94: note}}
    - gpu_driver: {version: "550", required: false}
      register: gpus
    ```

    It changes nothing: a driver is installed with the site's own means, and with a reboot. Where a host is not as
    the task says, the task fails with one line that says what is wrong and what to do. Without `health` what ails
    GPUs that work (heat, ECC errors, Xids, ...) fails no task; `register` has it all the same.

    `register` and facts get what was seen: `fleetenv_gpus`, `fleetenv_gpu_count`, `fleetenv_gpu_driver`,
    `fleetenv_gpu_cuda`, `fleetenv_gpu_vendor`, `fleetenv_gpus_simulated`.
    """

    name: ClassVar[str] = "gpu_driver"

    min_version: _Version | None = None
    """The oldest driver that will do, in quotes: `"535.104"`."""
    version: str | None = None
    """The driver that must run: a whole version (`"550.54.15"`), a branch (`"550"`), or bounds (`">=535,<560"`)."""
    cuda: _Version | None = None
    """The CUDA that the driver must support at least, in quotes: `"12.4"`."""
    flavour: Literal["open", "proprietary"] | None = None
    """Which of NVIDIA's kernel modules must run."""
    count: Annotated[int, Meta(ge=1, le=1024)] | None = None
    """How many GPUs there must be."""
    model: Annotated[str, Meta(min_length=1)] | None = None
    """What all GPUs must be: words of the model's name, such as `A100` or `RTX 4090`."""
    required: bool = True
    """Whether a host without any GPU fails."""
    health: HealthRules | None = None
    """Which health problems fail: `fail` (the mildest that does: `error`, `warning`, `never`), `ignore` (codes), and
    `severity` (code -> another severity). `xid-N` stands for all Xids. The codes are in docs/gpu.md."""
    dcgm: bool = False
    """Whether to run DCGM's quick diagnosis (`dcgmi diag -r 1`), which takes seconds and uses the GPUs meanwhile."""

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Value]) -> GpuDriver:
        """Build the module; a version that YAML read as a number is refused, since it may have lost a digit."""
        for name in _QUOTED:
            value = arguments.get(name)
            if isinstance(value, float):
                raise msgspec.ValidationError(f'{name} must be text: write it in quotes, {name}: "{value}"')
            if isinstance(value, int) and not isinstance(value, bool):
                arguments = {**arguments, name: str(value)}
        module = msgspec.convert(arguments, cls, strict=False)
        module._check()
        return module

    def _check(self) -> None:
        try:
            parse_wish(self.version or "0")
        except ValueError as error:
            raise msgspec.ValidationError(f"version: {error}") from error
        rules = self.health or HealthRules()
        for code in (*rules.ignore, *rules.severity):
            if code_of(code) is None:
                hint = nearest(code, HEALTH_CODES) or "docs/gpu.md lists them"
                raise msgspec.ValidationError(f"health: '{code[:40]}' is no code of a problem; {hint}")

    def observe(self) -> Probe[GpuState | None]:
        """Return the question about GPUs, the same for every task."""
        return Probe((thorough_probe() if self.dcgm else gpu_probe()).script, parse)

    def desired(self, found: GpuState | None) -> GpuState:
        """Return what the task asks for and `found` lacks."""
        assert found is not None  # parse never gives None
        return self._wishes.unmet(found)

    def converge(self, diff: Diff[GpuState]) -> Iterator[Step]:
        """Say what is wrong: none of it can be mended by a playbook.

        Raises:
            TaskFailed: always.
        """
        assert diff.found is not None
        reasons = self._wishes.reasons(diff)
        raise TaskFailed(("simulated GPUs: " if diff.found.simulated is True else "") + "; also, ".join(reasons))
        yield  # a generator, as its base says

    def returns(self, found: GpuState | None) -> Mapping[str, Value]:
        """Return what was seen, for `register`; `problems` are as this task's rules see them."""
        if found is None:
            return {}
        shown = ("vendor", "condition", "driver", "cuda", "flavour", "count", "models", "health", "simulated")
        seen = {name: getattr(found, name) for name in shown}
        seen["gpus"] = gpus_of(found)
        seen["problems"] = (self.health or HealthRules()).judged(found)
        return msgspec.json.decode(msgspec.json.encode(seen), type=dict[str, Any])  # lists and dicts, as from any JSON

    def facts(self, found: GpuState | None) -> Mapping[str, Value]:
        """Return the facts about GPUs."""
        seen = self.returns(found)
        return {
            "fleetenv_gpus": seen.get("gpus"),
            "fleetenv_gpu_count": seen.get("count"),
            "fleetenv_gpu_driver": seen.get("driver"),
            "fleetenv_gpu_cuda": seen.get("cuda"),
            "fleetenv_gpu_vendor": seen.get("vendor"),
            "fleetenv_gpus_simulated": seen.get("simulated"),
        }

    @property
    def _wishes(self) -> Wishes:
        return Wishes(
            min_version=self.min_version,
            version=self.version,
            cuda=self.cuda,
            flavour=self.flavour,
            count=self.count,
            model=self.model,
            required=self.required,
            health=self.health,
        )
