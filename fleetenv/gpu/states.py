"""What was seen of a host's GPUs and driver, as plain data. None means that the host did not say.

Sizes are MiB, temperatures degrees Celsius, powers watts.
"""

from __future__ import annotations

import re
from collections import Counter
from enum import StrEnum

import msgspec

_MIB_PER_GIB = 1024
_NAMES_MEMORY = re.compile(r"\b[0-9]+ ?GB\b", re.ASCII)


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """An NVIDIA GPU as the PCI bus shows it, with or without a driver."""

    bus_id: str  # 0000:3b:00.0
    device: str  # PCI device id, 20b2
    driver: str | None = None  # nvidia, nouveau, vfio-pci; None: no driver has it


class KernelModule(msgspec.Struct, frozen=True, kw_only=True):
    """The driver that runs in the kernel."""

    version: str
    flavour: str | None = None  # open or proprietary


class Answer(StrEnum):
    """How nvidia-smi answered. Its exit statuses are NVML's: see 'RETURN VALUE' in its manual page."""

    OK = "ok"
    ABSENT = "absent"  # there is no nvidia-smi
    NO_DEVICES = "no devices"  # 6
    NOT_LOADED = "driver not loaded"  # 9
    NO_LIBRARY = "no NVML library"  # 12
    GPU_LOST = "GPU lost"  # 15
    MISMATCH = "driver/library mismatch"  # 18
    HUNG = "no answer in time"  # 124 or 137, of timeout(1)
    UNREADABLE = "not readable"  # exit status 0, but not XML that can be read
    FAILED = "failed"


class EccErrors(msgspec.Struct, frozen=True, kw_only=True):
    """ECC errors; None where ECC is off or not there."""

    corrected: int | None = None
    uncorrected: int | None = None


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a GPU's memory is sound. 'Volatile' counts since the driver was loaded, 'aggregate' since ever."""

    ecc: bool | None = None
    ecc_after_reset: bool | None = None
    volatile: EccErrors = EccErrors()
    aggregate: EccErrors = EccErrors()
    retired_pages: int | None = None
    retirement_pending: bool | None = None
    remapped_rows: int | None = None
    remapping_pending: bool | None = None
    remapping_failed: bool | None = None


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """PCI Express generation and width, now and at best. A GPU at rest lowers its generation to save power."""

    generation: int | None = None
    max_generation: int | None = None
    width: int | None = None
    max_width: int | None = None


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """A process that uses a GPU."""

    pid: int
    name: str
    kind: str | None = None  # C: compute, G: graphics, C+G
    memory_mib: int | None = None


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """One GPU, as nvidia-smi describes it."""

    index: int
    bus_id: str
    model: str
    uuid: str | None = None
    serial: str | None = None
    architecture: str | None = None
    vbios: str | None = None
    memory_mib: int | None = None
    memory_used_mib: int | None = None
    utilization: int | None = None  # percent
    persistence: bool | None = None
    compute_mode: str | None = None
    mig: bool | None = None
    mig_after_reset: bool | None = None
    mig_devices: int = 0
    memory: Memory = Memory()
    link: Link = Link()
    temperature_c: float | None = None
    power_w: float | None = None
    power_limit_w: float | None = None
    slowdowns: tuple[str, ...] = ()  # why clocks are held down now: hw_thermal_slowdown, sw_power_cap, ...
    recovery_action: str | None = None  # what the driver wants done: Reset, Reboot, Drain P2P, ...
    fabric: str | None = None  # state of the NVLink fabric: Completed, In Progress, ...
    processes: tuple[Process, ...] = ()

    @property
    def kind(self) -> str:
        """Model and memory: `Tesla T4 15 GiB`, and `NVIDIA A100-SXM4-80GB`, which says it already."""
        if self.memory_mib is None or _NAMES_MEMORY.search(self.model):
            return self.model
        return f"{self.model} {round(self.memory_mib / _MIB_PER_GIB)} GiB"


class GpuHost(msgspec.Struct, frozen=True, kw_only=True):
    """All that one probe learnt of a host's GPUs.

    `driver` is what runs in the kernel, `on_disk` what the next boot (or module load) would run, `library` the
    user-space libraries; after an upgrade without a reboot they differ.
    """

    answer: Answer = Answer.ABSENT
    message: str = ""  # what nvidia-smi said instead of XML
    slots: tuple[Slot, ...] = ()
    driver: KernelModule | None = None
    on_disk: str | None = None
    library: str | None = None
    cuda: str | None = None  # the highest that the driver supports, as nvidia-smi says
    nouveau: bool = False
    gpus: tuple[Gpu, ...] = ()
    attached: int | None = None  # how many GPUs nvidia-smi counts
    simulated: bool = False  # fleetenv's lab made this answer

    @property
    def kinds(self) -> dict[str, int]:
        """How many GPUs of each model and memory."""
        return dict(sorted(Counter(gpu.kind for gpu in self.gpus).items()))

    @property
    def lost(self) -> tuple[str, ...]:
        """Bus ids of GPUs that the nvidia driver has taken, and nvidia-smi does not show."""
        shown = {gpu.bus_id for gpu in self.gpus}
        return tuple(slot.bus_id for slot in self.slots if slot.driver == "nvidia" and slot.bus_id not in shown)
