"""What was seen of a host's GPUs and driver, as plain data. None means that the host did not say."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from enum import StrEnum

import msgspec

from fleetenv.gpu.hardware import EccErrors, Gpu, Link, Memory, MigDevice, NvLink, Process

__all__ = [
    "Answer",
    "DcgmTest",
    "EccErrors",
    "FabricManager",
    "Gpu",
    "GpuHost",
    "KernelEvent",
    "KernelLog",
    "KernelModule",
    "Link",
    "Memory",
    "MigDevice",
    "NvLink",
    "Process",
    "Slot",
    "Vendor",
]


class Vendor(StrEnum):
    """Whose GPUs a host has."""

    NVIDIA = "nvidia"
    AMD = "amd"


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """A GPU as the PCI bus shows it, with or without a driver."""

    bus_id: str  # 0000:3b:00.0
    device: str  # PCI device id, 20b2
    driver: str | None = None  # nvidia, nouveau, vfio-pci, amdgpu; None: no driver has it


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
    UNREADABLE = "not readable"  # exit status 0, but nothing that can be read
    FAILED = "failed"


class FabricManager(msgspec.Struct, frozen=True, kw_only=True):
    """NVIDIA's Fabric Manager, which sets up the NVSwitches of a machine. It must be of the driver's own version."""

    version: str | None = None
    service: str | None = None  # as `systemctl is-active` says: active, inactive, failed, ...


class KernelEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One line in which the driver tells the kernel log of an error: an Xid of a GPU, an SXid of an NVSwitch."""

    kind: str  # xid or sxid
    code: int
    bus_id: str
    text: str
    at: datetime | None = None
    fatal: bool | None = None  # what an SXid says itself


class KernelLog(StrEnum):
    """Whether the kernel log could be looked at."""

    READ = "read"
    DENIED = "denied"
    UNASKED = "not asked"


class DcgmTest(msgspec.Struct, frozen=True, kw_only=True):
    """One result of `dcgmi diag`, of one GPU where it is about one."""

    name: str
    status: str  # Pass, Fail, Warn, Skip
    gpu: int | None = None
    text: str = ""


class GpuHost(msgspec.Struct, frozen=True, kw_only=True):
    """All that one probe learnt of a host's GPUs.

    `driver` is what runs in the kernel, `on_disk` what the next boot (or module load) would run, `library` the
    user-space libraries; after an upgrade without a reboot they differ.
    """

    vendor: Vendor = Vendor.NVIDIA
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
    switches: int = 0  # NVSwitches on the PCI bus
    fabric_manager: FabricManager | None = None
    kernel_log: KernelLog = KernelLog.UNASKED
    events: tuple[KernelEvent, ...] = ()  # the last ones in the kernel log, oldest first
    dcgm: tuple[DcgmTest, ...] | None = None  # None: not asked for, or there is no dcgmi
    dcgm_message: str = ""  # why it was asked for and told nothing
    unread: tuple[str, ...] = ()  # fields of a newer driver that fleetenv does not know
    simulated: bool = False  # fleetenv's lab made this answer

    @property
    def kinds(self) -> dict[str, int]:
        """How many GPUs of each model and memory."""
        return dict(sorted(Counter(gpu.kind for gpu in self.gpus).items()))

    @property
    def lost(self) -> tuple[str, ...]:
        """Bus ids of GPUs that the driver has taken, and its tool does not show, or cannot reach."""
        unreachable = [gpu.bus_id for gpu in self.gpus if gpu.lost]
        shown = {gpu.bus_id for gpu in self.gpus}
        if "" in shown:  # which is not told
            return tuple(unreachable)
        ours = "amdgpu" if self.vendor is Vendor.AMD else "nvidia"
        missing = [slot.bus_id for slot in self.slots if slot.driver == ours and slot.bus_id not in shown]
        return tuple(missing + unreachable)
