"""What can be set of a GPU: how it is now, what is wished for, and whether that can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct

from fleetenv.gpu.hardware import Gpu
from fleetenv.gpu.model import is_model

Setting: TypeAlias = "str | int | float"
Settings: TypeAlias = Mapping[str, Setting]
"""`persistence`, `ecc`, `mig` (on or off), `power_limit` (watts), `compute_mode`, `mig_instances`. ECC and MIG are as
they will be after the next reset."""

NO_INSTANCES = "none"
_SHARED_WITH_JOBS = ("ecc", "mig", "mig_instances")
_SHOWN = 3


class UnmetWish(Exception):
    """A wish cannot be met; the text says why, and what would be right."""


class SettingsWish(Struct, frozen=True, kw_only=True):
    """What a task asks for; None: it does not care."""

    gpus: Sequence[int] | None = None  # which; None: all
    model: str | None = None
    persistence: bool | None = None
    power_limit: float | None = None
    default_power: bool = False
    compute_mode: str | None = None
    ecc: bool | None = None
    mig: bool | None = None
    mig_instances: Sequence[str] | None = None
    force: bool = False

    def chosen(self, gpus: Sequence[Gpu]) -> list[Gpu]:
        """Return the GPUs that the wish is about.

        Raises:
            UnmetWish: there are none, or fewer than are named.
        """
        there = {gpu.index for gpu in gpus}
        missing = [str(index) for index in self.gpus or () if index not in there]
        if missing:
            raise UnmetWish(f"there is no GPU {', '.join(missing)}; the host has {_span(sorted(there))}")
        found = [gpu for gpu in gpus if self.gpus is None or gpu.index in self.gpus]
        right = [gpu for gpu in found if self.model is None or is_model(self.model, gpu.model)]
        if not right:
            models = ", ".join(sorted({gpu.model for gpu in found}))
            raise UnmetWish(f"no GPU is {self.model}; the host has {models}")
        return right

    def wanted(self, gpu: Gpu) -> dict[str, Setting]:
        """Return the settings that the GPU shall have, only those that are wished for.

        Raises:
            UnmetWish: it cannot have them.
        """
        found = settings_of(gpu)
        wanted: dict[str, Setting] = {}
        if self.persistence is not None:
            wanted["persistence"] = _switch(self.persistence)
        if self.mig is not None or self.mig_instances is not None:
            wanted["mig"] = _switch(self._mig(gpu))
            if not self._mig(gpu) and "mig_instances" in found:
                wanted["mig_instances"] = NO_INSTANCES
            elif self.mig_instances is not None:
                wanted["mig_instances"] = _layout(self.mig_instances)
        if self.ecc is not None:
            if gpu.memory.ecc is None and gpu.memory.ecc_after_reset is None:
                raise UnmetWish(f"{_name(gpu)} has no ECC; leave 'ecc' out for it (by 'gpus' or 'model')")
            wanted["ecc"] = _switch(self.ecc)
        if self.compute_mode is not None:
            wanted["compute_mode"] = self.compute_mode
        if self.power_limit is not None or self.default_power:
            wanted["power_limit"] = self._watts(gpu)
        changes = [name for name in _SHARED_WITH_JOBS if name in wanted and wanted[name] != found.get(name)]
        if changes and gpu.processes and not self.force:
            raise UnmetWish(
                f"{_name(gpu)} is used by {_users(gpu)}; its {' and '.join(changes)} is not changed under a running "
                "job: drain the host, or set 'force: true'"
            )
        return wanted

    def _mig(self, gpu: Gpu) -> bool:
        wanted = self.mig if self.mig is not None else bool(self.mig_instances)
        if wanted and gpu.mig is None and gpu.mig_after_reset is None:
            raise UnmetWish(f"{_name(gpu)} has no MIG; leave 'mig' out for it (by 'gpus' or 'model')")
        return wanted

    def _watts(self, gpu: Gpu) -> Setting:
        power = gpu.power
        watts = power.default if self.default_power else self.power_limit
        if watts is None or (power.limit is None and power.requested is None):
            raise UnmetWish(f"the power limit of {_name(gpu)} cannot be set")
        least, most = power.min, power.max
        if (least is not None and watts < least) or (most is not None and watts > most):
            span = f"{least or 0:g} to {most or 0:g} W" if most else f"{least:g} W or more"
            raise UnmetWish(f"{_name(gpu)} takes a power limit of {span}, not {watts:g} W")
        return _number(watts)


def settings_of(gpu: Gpu) -> dict[str, Setting]:
    """Return a GPU's settings as they are; what it does not have is left out."""
    ecc = gpu.memory.ecc if gpu.memory.ecc_after_reset is None else gpu.memory.ecc_after_reset
    mig = gpu.mig if gpu.mig_after_reset is None else gpu.mig_after_reset
    watts = gpu.power.limit if gpu.power.requested is None else gpu.power.requested
    told: dict[str, Setting | None] = {
        "persistence": None if gpu.persistence is None else _switch(gpu.persistence),
        "mig": None if mig is None else _switch(mig),
        "mig_instances": _layout([each.profile or "unknown" for each in gpu.mig_layout]) if mig or gpu.mig else None,
        "ecc": None if ecc is None else _switch(ecc),
        "compute_mode": gpu.compute_mode.lower() if gpu.compute_mode else None,
        "power_limit": None if watts is None else _number(watts),
    }
    return {name: value for name, value in told.items() if value is not None}


def waiting(gpu: Gpu) -> list[str]:
    """Return what a GPU changes only at its next reset, or the host's next boot: `ECC`, `MIG`."""
    memory = gpu.memory
    ecc = memory.ecc_after_reset not in (None, memory.ecc)
    mig = gpu.mig_after_reset not in (None, gpu.mig)
    return [name for name, waits in (("ECC", ecc), ("MIG", mig)) if waits]


def _switch(on: bool) -> str:
    return "on" if on else "off"


def _layout(profiles: Sequence[str]) -> str:
    """Return instances in one order, the largest first: where on the GPU they lie is the driver's choice."""
    return ", ".join(sorted(profiles, key=lambda name: (-int(name[0]) if name[:1].isdecimal() else 0, name))) or (
        NO_INSTANCES
    )


def _number(watts: float) -> int | float:
    return int(watts) if watts == int(watts) else round(watts, 2)


def _name(gpu: Gpu) -> str:
    return f"GPU {gpu.index} ({gpu.model})"


def _users(gpu: Gpu) -> str:
    names = [
        f"{process.name or 'a process'} (pid {process.pid}{f', {process.user}' if process.user else ''})"
        for process in gpu.processes
    ]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _span(indexes: Sequence[int]) -> str:
    if not indexes:
        return "none"
    return f"GPU {indexes[0]} to {indexes[-1]}" if len(indexes) > 1 else f"GPU {indexes[0]} only"
