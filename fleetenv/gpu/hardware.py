"""One GPU, as its driver's tool describes it: plain data. None means that the tool did not say.

Sizes are MiB, temperatures degrees Celsius, powers watts, clocks MHz, speeds GB/s.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

_MIB_PER_GIB = 1024
_NAMES_MEMORY = re.compile(r"\b[0-9]+ ?GB\b", re.ASCII)


class EccErrors(msgspec.Struct, frozen=True, kw_only=True):
    """ECC errors; None where ECC is off or not there.

    By place: `dram`, `sram`, `sram_parity`, `sram_secded` since Turing; `device_memory`, `l2_cache`, ... until Volta;
    `UMC`, `GFX`, ... with AMD.
    """

    corrected: int | None = None
    uncorrected: int | None = None
    corrected_at: Mapping[str, int] = {}
    uncorrected_at: Mapping[str, int] = {}


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a GPU's memory is sound. 'Volatile' counts since the driver was loaded, 'aggregate' since ever."""

    ecc: bool | None = None
    ecc_after_reset: bool | None = None
    volatile: EccErrors = EccErrors()
    aggregate: EccErrors = EccErrors()
    sram_sources: Mapping[str, int] = {}  # uncorrected SRAM errors since ever, by unit
    sram_threshold_exceeded: bool | None = None
    retired_pages: int | None = None
    retired_single_bit: int | None = None
    retired_double_bit: int | None = None
    retirement_pending: bool | None = None
    remapped_rows: int | None = None
    remapped_correctable: int | None = None
    remapped_uncorrectable: int | None = None
    remapped_inactive: Mapping[str, int] = {}  # correctable, uncorrectable
    remapping_pending: bool | None = None
    remapping_failed: bool | None = None
    spare_rows: Mapping[str, int] = {}  # banks by how many spare rows they have: max, high, partial, low, none
    channel_repair_pending: bool | None = None
    tpc_repair_pending: bool | None = None
    unrepairable: bool | None = None


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """PCI Express generation and width, now and at best. A GPU at rest lowers its generation to save power."""

    generation: int | None = None
    max_generation: int | None = None
    device_generation: int | None = None
    max_device_generation: int | None = None  # what the GPU could do
    max_host_generation: int | None = None  # what its slot could do
    width: int | None = None
    max_width: int | None = None
    replays: int | None = None
    replay_rollovers: int | None = None


class NvLink(msgspec.Struct, frozen=True, kw_only=True):
    """One NVLink of a GPU. `errors` counts by kind, as nvidia-smi names them: `CRC`, `Replay`, `Rx remote`, ..."""

    index: int
    active: bool
    speed: float | None = None
    errors: Mapping[str, int] = {}


class Fabric(msgspec.Struct, frozen=True, kw_only=True):
    """How a GPU stands with its NVLink fabric."""

    status: str | None = None
    clique: str | None = None
    cluster: str | None = None
    health: Mapping[str, str] = {}  # bandwidth, route_unhealthy, summary, ...


class Power(msgspec.Struct, frozen=True, kw_only=True):
    """What a GPU draws, and the limits: in force, asked for, the default, and what it takes."""

    draw: float | None = None
    draw_average: float | None = None
    limit: float | None = None
    requested: float | None = None
    default: float | None = None
    min: float | None = None
    max: float | None = None
    managed: str | None = None  # whether limits can be set
    memory: Mapping[str, float] = {}  # the memory's own draw
    module: Mapping[str, float] = {}  # the whole module's (Grace Hopper): draw and limits
    profiles: Mapping[str, str] = {}


class Temperatures(msgspec.Struct, frozen=True, kw_only=True):
    """Temperatures and their limits. Newer GPUs tell limits as margins: degrees that are left until slowdown, ..."""

    memory: float | None = None
    slowdown: float | None = None
    shutdown: float | None = None
    operating: float | None = None  # the highest that the GPU is meant to run at
    memory_operating: float | None = None
    target: float | None = None
    target_min: float | None = None
    target_max: float | None = None
    margin: float | None = None  # left until the GPU slows down by itself; at 0 and below it does
    slowdown_margin: float | None = None
    shutdown_margin: float | None = None
    operating_margin: float | None = None
    memory_margin: float | None = None


class MigDevice(msgspec.Struct, frozen=True, kw_only=True):
    """One MIG device. `profile` is as `nvidia-smi -L` names it: `3g.40gb`, or `1c.3g.40gb` for a part of one."""

    index: int
    gpu_instance: int | None = None
    compute_instance: int | None = None
    profile: str | None = None
    uuid: str | None = None
    memory_mib: int | None = None
    memory_used_mib: int | None = None
    uncorrected: int | None = None  # SRAM errors
    engines: Mapping[str, int] = {}  # multiprocessor_count, copy_engine_count, ...


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """A process that uses a GPU."""

    pid: int
    name: str
    kind: str | None = None  # C: compute, G: graphics, C+G
    memory_mib: int | None = None
    user: str | None = None
    gpu_instance: int | None = None
    compute_instance: int | None = None


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """One GPU."""

    index: int
    bus_id: str
    model: str
    uuid: str | None = None
    serial: str | None = None
    architecture: str | None = None
    vbios: str | None = None
    memory_mib: int | None = None
    memory_used_mib: int | None = None
    memory_use: Mapping[str, int] = {}  # MiB: free, reserved, bar1_used, ...
    utilization: int | None = None  # percent
    usage: Mapping[str, int] = {}  # percent, of the parts: memory, encoder, decoder, fan, ...
    persistence: bool | None = None
    compute_mode: str | None = None
    mig: bool | None = None
    mig_after_reset: bool | None = None
    mig_devices: int = 0
    mig_layout: tuple[MigDevice, ...] = ()
    memory: Memory = Memory()
    link: Link = Link()
    temperature_c: float | None = None
    temperatures: Temperatures = Temperatures()
    power_w: float | None = None
    power_limit_w: float | None = None
    power: Power = Power()
    clocks: Mapping[str, float] = {}  # sm, memory, max_sm, ...
    clock_reasons: tuple[str, ...] = ()  # all that the clocks follow now, gpu_idle among them
    slowdowns: tuple[str, ...] = ()  # why clocks are held down now: hw_thermal_slowdown, sw_power_cap, ...
    slowdown_us: Mapping[str, int] = {}  # since the driver was loaded, by cause; microseconds
    lost: bool = False  # nvidia-smi knows it, and cannot reach it
    performance_state: str | None = None  # P0 is the fastest
    recovery_action: str | None = None  # what the driver wants done: Reset, Reboot, Drain P2P, ...
    fabric: str | None = None  # state of the NVLink fabric: Completed, In Progress, ...
    fabric_details: Fabric = Fabric()
    nvlinks: tuple[NvLink, ...] = ()
    board: Mapping[str, str] = {}  # part numbers, PCI ids, place in the chassis
    firmware: Mapping[str, str] = {}  # gsp, inforom_image, ...
    modes: Mapping[str, str] = {}  # whatever else can be switched: accounting, virtualization, display_active, ...
    processes: tuple[Process, ...] = ()

    @property
    def kind(self) -> str:
        """Model and memory: `Tesla T4 15 GiB`, and `NVIDIA A100-SXM4-80GB`, which says it already."""
        if self.memory_mib is None or _NAMES_MEMORY.search(self.model):
            return self.model
        return f"{self.model} {round(self.memory_mib / _MIB_PER_GIB)} GiB"
