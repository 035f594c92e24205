"""gpu_settings: keep what can be set of NVIDIA GPUs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from fleetenv.errors import TaskFailed
from fleetenv.gpu.probe import gpu_probe
from fleetenv.gpu.settings import NO_INSTANCES, Setting, Settings, SettingsWish, UnmetWish, waiting
from fleetenv.gpu.states import Vendor
from fleetenv.modules.base import StateModule
from fleetenv.modules.gpu_state import WORKING, GpuState, gpus_of, parse
from fleetenv.remote import Probe, Run, Step, sh
from fleetenv.source import Value
from fleetenv.state import Diff, Place

_SETTINGS = ("persistence", "power_limit", "compute_mode", "ecc", "mig", "mig_instances")
_NO_GPU = frozenset({"no-gpu", "passed-through"})
_AMD = "this host has AMD's GPUs, and gpu_settings sets NVIDIA's; use 'amd-smi set'"


class WantedSettings(GpuState, frozen=True, kw_only=True):
    """What is wanted of a host's GPUs: `gpus` alone. Drivers are gpu_driver's affair, and compared by its tasks."""

    alike: ClassVar[frozenset[str]] = frozenset()


_Profile = Annotated[str, Meta(pattern=r"^[1-7]g\.[0-9]{1,3}gb(\+[a-z.]{1,12})?$")]


class GpuSettings(StateModule[GpuState], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keep persistence mode, power limit, compute mode, ECC and MIG of NVIDIA GPUs.

    ```yaml
    - gpu_settings: {persistence: true, power_limit: 300}
      become: true
    - gpu_settings: {model: H100, power_limit: 600, compute_mode: exclusive_process}
      become: true
    - gpu_settings: {gpus: [0, 1], mig_instances: [3g.40gb, 3g.40gb]}
      become: true
    - gpu_settings: {ecc: true}
      become: true
      register: gpu
    ```

    ECC is switched at the GPU's next reset or the host's next boot, and so is MIG where the GPU is busy or older than
    Hopper: the task says so, and `register` has `reset_required`, the indexes of GPUs that wait. It resets nothing
    itself. Power limit, compute mode and MIG's instances do not outlive a reboot: apply again after one (docs/gpu.md).
    """

    name: ClassVar[str] = "gpu_settings"

    gpus: tuple[Annotated[int, Meta(ge=0, le=1023)], ...] | None = None
    """Which GPUs, by index; all if it is left out."""
    model: Annotated[str, Meta(min_length=1)] | None = None
    """Only GPUs of this model: words of its name, such as `A100`."""
    persistence: bool | None = None
    """Whether the driver stays loaded while no job runs."""
    power_limit: Annotated[float, Meta(gt=0, le=100_000)] | Literal["default"] | None = None
    """The power limit of each GPU in watts, or `default`, which is the GPU's own."""
    compute_mode: Literal["default", "exclusive_process", "prohibited"] | None = None
    """How many jobs may use a GPU at a time: any, one, none."""
    ecc: bool | None = None
    """Whether memory errors are corrected, at the cost of some memory and speed on older GPUs."""
    mig: bool | None = None
    """Whether the GPU can be split into instances. `false` destroys those that there are."""
    mig_instances: tuple[_Profile, ...] | None = None
    """The instances that there must be on each GPU, by profile (`nvidia-smi mig -lgip`): `[3g.40gb, 3g.40gb]`. Others
    are destroyed. It switches MIG on."""
    force: bool = False
    """Whether to change ECC and MIG while jobs use the GPU: instances in use are then destroyed if the driver lets."""
    required: bool = True
    """Whether a host without any GPU fails."""

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Value]) -> GpuSettings:
        """Build the module; something must be asked for."""
        module = msgspec.convert(arguments, cls, strict=False)
        if module.mig is False and module.mig_instances:
            raise msgspec.ValidationError("mig: false and mig_instances exclude each other")
        if not module.places():
            raise msgspec.ValidationError(f"one of {', '.join(_SETTINGS)} is needed")
        return module

    def places(self) -> tuple[Place, ...]:
        """Return the settings that are asked for: that they are unusual is what somebody wants."""
        return tuple(Place("gpu-setting", name) for name in _SETTINGS if getattr(self, name) is not None)

    def observe(self) -> Probe[GpuState | None]:
        """Return the question about GPUs, the same as gpu_driver's."""
        return Probe(gpu_probe().script, parse)

    def desired(self, found: GpuState | None) -> WantedSettings:
        """Return the settings of the chosen GPUs as they shall be.

        Raises:
            TaskFailed: there are no such GPUs, or they do not take such settings.
        """
        assert found is not None  # parse never gives None
        if not self.required and found.condition in _NO_GPU:
            return WantedSettings()
        if found.condition != WORKING:
            raise _failed(found, str(found.explanation))
        if found.vendor != Vendor.NVIDIA:
            raise _failed(found, _AMD)
        have = found.gpus if isinstance(found.gpus, Mapping) else {}
        wish = self._wish
        try:
            wanted = {str(gpu.index): wish.wanted(gpu) for gpu in wish.chosen(gpus_of(found))}
        except UnmetWish as error:
            raise _failed(found, str(error)) from error
        return WantedSettings(gpus={index: {**settings, **wanted.get(index, {})} for index, settings in have.items()})

    def converge(self, diff: Diff[GpuState]) -> Iterator[Step]:
        """Yield one nvidia-smi for each setting and value, of all GPUs that need it."""
        assert diff.found is not None
        assert diff.wanted is not None
        wanted = diff.wanted.gpus if isinstance(diff.wanted.gpus, Mapping) else {}
        have = diff.found.gpus if isinstance(diff.found.gpus, Mapping) else {}
        if diff.found.simulated is True:
            yield Run("echo 'fleetenv-note simulated GPUs'")
        for gpus in _alike(wanted, have, "persistence"):
            yield _set(gpus, "-pm", _number(gpus.value))
        yield from _mig_steps(wanted, have)
        for gpus in _alike(wanted, have, "ecc"):
            yield _set(gpus, "-e", _number(gpus.value), note="ECC is switched at the next reset or reboot")
        for gpus in _alike(wanted, have, "compute_mode"):
            yield _set(gpus, "-c", str(gpus.value).upper())
        for gpus in _alike(wanted, have, "power_limit"):
            yield _set(gpus, "-pl", str(gpus.value))

    def returns(self, found: GpuState | None) -> Mapping[str, Value]:
        """Return the settings by GPU, and which GPUs wait for a reset, for `register`."""
        if found is None:
            return {}
        settings = found.gpus if isinstance(found.gpus, Mapping) else {}
        return {
            "gpus": {index: dict(each) for index, each in settings.items()},
            "reset_required": [gpu.index for gpu in gpus_of(found) if waiting(gpu)],
            "simulated": found.simulated is True,
        }

    @property
    def _wish(self) -> SettingsWish:
        return SettingsWish(
            gpus=self.gpus,
            model=self.model,
            persistence=self.persistence,
            power_limit=self.power_limit if isinstance(self.power_limit, int | float) else None,
            default_power=self.power_limit == "default",
            compute_mode=self.compute_mode,
            ecc=self.ecc,
            mig=self.mig,
            mig_instances=self.mig_instances,
            force=self.force,
        )


class _Alike(msgspec.Struct, frozen=True):
    """GPUs that get the same value of one setting."""

    value: Setting
    indexes: tuple[str, ...]

    @property
    def ids(self) -> str:
        return ",".join(self.indexes)

    @property
    def names(self) -> str:
        return f"GPU {', '.join(self.indexes)}"


def _alike(wanted: Mapping[str, Settings], have: Mapping[str, Settings], name: str) -> list[_Alike]:
    """Return the GPUs whose setting differs, by the value that they get."""
    values: dict[Setting, list[str]] = {}
    for index, settings in wanted.items():
        if name in settings and settings[name] != have.get(index, {}).get(name):
            values.setdefault(settings[name], []).append(index)
    return [_Alike(value, tuple(sorted(indexes, key=int))) for value, indexes in values.items()]


def _mig_steps(wanted: Mapping[str, Settings], have: Mapping[str, Settings]) -> Iterator[Step]:
    """Destroy instances that are not wanted, switch MIG, create those that are wanted."""
    layouts = _alike(wanted, have, "mig_instances")
    for gpus in layouts:
        full = [
            index for index in gpus.indexes if have.get(index, {}).get("mig_instances", NO_INSTANCES) != NO_INSTANCES
        ]
        if full:
            smi = ("nvidia-smi", "mig")
            destroy = (sh(*smi, "-dci", "-i", ",".join(full)), sh(*smi, "-dgi", "-i", ",".join(full)))
            yield Run(f"{{ {'; '.join(destroy)}; }} >&2")  # -dci fails where an instance has no compute instance
    for gpus in _alike(wanted, have, "mig"):
        note = "MIG is switched at the next reset or reboot"
        yield _set(gpus, "-mig", _number(gpus.value), note=note, unless=_mig_is(gpus, str(gpus.value)))
    for gpus in layouts:
        if gpus.value != NO_INSTANCES:
            profiles = str(gpus.value).replace(" ", "")
            waits = (
                f"MIG of {gpus.names} is on only after a reset ('nvidia-smi -r') or a reboot; run this again after it"
            )
            create = sh("nvidia-smi", "mig", "-i", gpus.ids, "-cgi", profiles, "-C")
            yield Run(f"{_mig_is(gpus, 'on')} || {{ {sh('echo', waits)} >&2; exit 1; }}\n{create} >&2")


def _mig_is(gpus: _Alike, switch: str) -> str:
    """Return a script that succeeds when MIG of all these GPUs is so by now."""
    query = sh("nvidia-smi", "-i", gpus.ids, "--query-gpu=mig.mode.current", "--format=csv,noheader")
    return f"! {query} | grep -qv {sh('^Enabled' if switch == 'on' else '^Disabled')}"


def _set(gpus: _Alike, option: str, value: str, *, note: str = "", unless: str = "false") -> Run:
    """Set one option; `note` is told unless a script succeeds."""
    script = f"{sh('nvidia-smi', '-i', gpus.ids, option, value)} >&2"  # it tells its failures on standard output
    if note:
        script += f" || exit\n{unless} || {sh('echo', f'fleetenv-note {gpus.names}: {note}')}"
    return Run(script)


def _number(switch: Setting) -> str:
    return "1" if switch == "on" else "0"


def _failed(found: GpuState, text: str) -> TaskFailed:
    return TaskFailed(("simulated GPUs: " if found.simulated is True else "") + text)
