"""Simulated GPUs: an `nvidia-smi` for lab hosts that answers as the real one does, without any hardware.

What it prints follows NVIDIA's documented forms (`man nvidia-smi`: return values, `--query-gpu`; nvsmi_device_v12.dtd).
All of it is labelled: the program's text, a comment in the XML, and the GPUs' serial numbers say so.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from fleetenv.lab import amd_smi
from fleetenv.lab.nvidia_xml import SIMULATED, marked, marked_xml, unmarked
from fleetenv.remote import sh

_ANSWERS = Path(__file__).with_name("nvidia_smi.sh")
_SETTINGS = Path(__file__).with_name("nvidia_smi_set.sh")
_STATE = ".simulated-gpus"

AMD = "AMD"
"""The brand of GPUs that amd-smi tells of; of those only what goes well, heat and ECC errors are simulated."""

PLACES = {"nvidia-smi": "/usr/bin/nvidia-smi", "dmesg": "/usr/local/bin/dmesg", "amd-smi": "/usr/bin/amd-smi"}
"""Where a host that has a file system of its own has them; the real dmesg stays where it is."""


class Fault(StrEnum):
    """What can be wrong with a host's GPUs, as its `nvidia-smi` shows it."""

    NO_DRIVER = "no driver"  # the kernel module is not loaded: exit 9
    MISMATCH = "mismatch"  # the user-space library was upgraded, the loaded kernel module not: exit 18
    NO_DEVICES = "no devices"  # the driver runs and finds no GPU: exit 6
    LOST = "lost"  # a GPU fell off the bus: exit 15


@dataclass(frozen=True, slots=True)
class Gpus:
    """The GPUs of one simulated host, all of one model. Memory in MiB, power in W, temperature in degrees Celsius."""

    model: str = "NVIDIA A100-SXM4-80GB"
    count: int = 8
    driver: str = "550.54.15"
    cuda: str = "12.4"  # the highest CUDA that the driver supports
    memory: int = 81920
    brand: str = "NVIDIA"
    architecture: str = "Ampere"
    compute_capability: str = "8.0"
    power_limit: int = 400
    ecc: bool = True
    mig: bool = True  # whether it can be switched on
    nvlinks: int = 12
    temperature: int = 31
    memory_used: int = 0
    utilization: int = 0
    persistence: bool = True
    ecc_uncorrected: int = 0  # volatile and aggregate, each GPU
    remap_pending: bool = False  # a row remapping waits for a reset
    thermal_slowdown: bool = False
    nvlinks_down: int = 0  # of the first GPU
    xids: tuple[int, ...] = ()  # in the kernel log, all of the first GPU
    process: str = ""  # the name of a program that uses each GPU
    fault: Fault | None = None
    library: str = ""  # with MISMATCH: the version of the library on disk

    @property
    def uuids(self) -> list[str]:
        """Each GPU's UUID: stable, made from model and index."""
        return [f"GPU-{uuid.uuid5(uuid.NAMESPACE_OID, f'{self.model} {index}')}" for index in range(self.count)]

    @property
    def least_power(self) -> int:
        """The lowest power limit that a GPU takes; the highest is its default."""
        return self.power_limit // 4

    @property
    def bus_ids(self) -> list[str]:
        """Each GPU's PCI address, `DOMAIN:BUS:DEVICE.FUNCTION` as nvidia-smi writes it."""
        return [f"00000000:{0x07 + 8 * index:02X}:00.0" for index in range(self.count)]


A100 = Gpus()
H100 = Gpus(
    model="NVIDIA H100 80GB HBM3",
    memory=81559,
    architecture="Hopper",
    compute_capability="9.0",
    power_limit=700,
    nvlinks=18,
)
RTX4090 = Gpus(
    model="NVIDIA GeForce RTX 4090",
    count=4,
    memory=24564,
    brand="GeForce",
    architecture="Ada Lovelace",
    compute_capability="8.9",
    power_limit=450,
    ecc=False,
    mig=False,
    nvlinks=0,
)
V100 = Gpus(
    model="Tesla V100-SXM2-32GB",
    driver="470.82.01",
    cuda="11.4",
    memory=32768,
    brand="Tesla",
    architecture="Volta",
    compute_capability="7.0",
    power_limit=300,
    mig=False,
    nvlinks=6,
)

MI300X = Gpus(
    model="AMD Instinct MI300X",
    driver="6.16.6",
    cuda="",
    memory=196592,
    brand=AMD,
    architecture="gfx942",
    power_limit=750,
    mig=False,
    nvlinks=0,
)


def programs(gpus: Gpus) -> dict[str, str]:
    """Return the text of each program (POSIX sh) that such a host has: `nvidia-smi`, perhaps `dmesg`; or `amd-smi`."""
    if gpus.brand == AMD:
        return {"amd-smi": amd_smi.program(gpus)}
    found = {"nvidia-smi": program(gpus)}
    if gpus.xids:
        found["dmesg"] = _kernel_log(gpus)
    return found


def program(gpus: Gpus) -> str:
    """Return the text of an executable `nvidia-smi` (POSIX sh) for a host with these GPUs.

    It behaves: what is set with -pm, -pl, -c, -e, -mig and `mig -cgi` is what it tells afterwards. It keeps that in a
    folder beside itself, so who may not write there may not set anything.
    """
    head = "#!/bin/sh\n# Simulated by fleetenv lab: no GPU, no driver.\n"
    if gpus.fault is not None:
        message, status = _failure(gpus)
        return f"{head}echo {sh(SIMULATED)} >&2\nprintf '%s\\n' {sh(message)}\nexit {status}\n"
    columns = "\n".join(f"    {sh(name)}) set -- {sh(*cells)} ;;" for name, cells in _columns(gpus).items())
    names = zip(gpus.uuids, gpus.bus_ids, strict=True)
    ids = "\n".join(f"    {index} | {name} | {bus_id}) echo {index} ;;" for index, (name, bus_id) in enumerate(names))
    text = head + _SETTINGS.read_text(encoding="utf-8") + _ANSWERS.read_text(encoding="utf-8")
    for name, value in {
        "@xml@": marked_xml(gpus),
        "@list@": _list(gpus),
        "@table@": _table(gpus),
        "@columns@": columns,
        "@ids@": ids,
        "@count@": str(gpus.count),
        "@state@": _STATE,
        "@ecc@": "yes" if gpus.ecc else "",
        "@mig@": "yes" if gpus.mig else "",
        "@busy@": "yes" if gpus.process else "",
        "@least@": str(gpus.least_power),
        "@most@": str(gpus.power_limit),
        "@memory@": str(gpus.memory),
        "@nvlinks@": str(gpus.nvlinks),
        "@nvlinks_down@": str(gpus.nvlinks_down),
        "@model@": sh(gpus.model),
    }.items():
        text = text.replace(name, value)
    return text


def settings_folder(program: Path) -> Path:
    """Return the folder in which the simulated nvidia-smi at this path keeps what was set."""
    return program.with_name(_STATE)


def xml(gpus: Gpus) -> str:
    """Return what `nvidia-smi -q -x` prints while nothing is set."""
    return unmarked(marked_xml(gpus))


def _kernel_log(gpus: Gpus) -> str:
    """Return a `dmesg` that tells of the Xids."""
    bus_id = gpus.bus_ids[0].removeprefix("0000").lower().removesuffix(".0")
    lines = [f"[{100 + number}.000000] NVRM: Xid (PCI:{bus_id}): {code}, pid=4242, name=simulated, simulated"
             for number, code in enumerate(gpus.xids)]  # fmt: skip
    return f"#!/bin/sh\n# Simulated by fleetenv lab.\nprintf '%s\\n' {sh(SIMULATED, *lines)}\n"


def kernel_module(gpus: Gpus) -> str | None:
    """Return what /proc/driver/nvidia/version says on such a host; None: the file is not there."""
    if gpus.fault is Fault.NO_DRIVER:
        return None
    return (
        f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {gpus.driver}  Thu Jan  1 00:00:00 UTC 1970\n"
        "GCC version:  simulated by fleetenv lab\n"
    )


def _failure(gpus: Gpus) -> tuple[str, int]:
    """What nvidia-smi prints on stdout, and its exit status (`man nvidia-smi`, RETURN VALUE)."""
    if gpus.fault is Fault.NO_DRIVER:
        text = (
            "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest "
            "NVIDIA driver is installed and running.\n"
        )
        return text, 9
    if gpus.fault is Fault.MISMATCH:
        library = ".".join((gpus.library or gpus.driver).split(".")[:2])
        return f"Failed to initialize NVML: Driver/library version mismatch\nNVML library version: {library}", 18
    if gpus.fault is Fault.LOST:
        bus_id = gpus.bus_ids[-1].removeprefix("0000")
        text = (
            f"Unable to determine the device handle for GPU{gpus.count - 1}: {bus_id}: GPU is lost.  Reboot the system "
            "to recover this GPU"
        )
        return text, 15
    return "No devices were found", 6


def _list(gpus: Gpus) -> str:
    return "\n".join(f"GPU {index}: {gpus.model} (UUID: {name})" for index, name in enumerate(gpus.uuids))


def _table(gpus: Gpus) -> str:
    rows = "\n".join(
        f"|{index:4}  {gpus.model[:30]:<30} {bus_id} {gpus.memory_used:>7}MiB / {gpus.memory:>6}MiB |"
        for index, bus_id in enumerate(gpus.bus_ids)
    )
    return f"NVIDIA-SMI {gpus.driver}  Driver Version: {gpus.driver}  CUDA Version: {gpus.cuda}  (simulated)\n{rows}"


def _columns(gpus: Gpus) -> dict[str, list[str]]:
    """`--query-gpu`'s fields that people use (`nvidia-smi --help-query-gpu`), each with one cell a GPU."""

    def each(cell: object) -> list[str]:
        return [str(cell)] * gpus.count

    indexes = [str(index) for index in range(gpus.count)]
    return {
        "count": each(gpus.count),
        "index": indexes,
        "name": each(gpus.model),
        "gpu_name": each(gpus.model),
        "uuid": gpus.uuids,
        "gpu_uuid": gpus.uuids,
        "serial": each("simulated"),
        "pci.bus_id": gpus.bus_ids,
        "gpu_bus_id": gpus.bus_ids,
        "driver_version": each(gpus.driver),
        "memory.total": each(f"{gpus.memory} MiB"),
        "memory.used": each(f"{gpus.memory_used} MiB"),
        "memory.free": each(f"{gpus.memory - gpus.memory_used} MiB"),
        "utilization.gpu": each(f"{gpus.utilization} %"),
        "temperature.gpu": each(gpus.temperature),
        "power.draw": each(f"{gpus.power_limit / 8:.2f} W"),
        "power.limit": [marked("power_limit", index, f"{gpus.power_limit:.2f} W") for index in range(gpus.count)],
        "persistence_mode": [marked("persistence", index, _switch(gpus.persistence)) for index in range(gpus.count)],
        "compute_mode": [marked("compute_mode", index, "Default") for index in range(gpus.count)],
        "compute_cap": each(gpus.compute_capability),
        "mig.mode.current": [marked("mig", index, "Disabled" if gpus.mig else "[N/A]") for index in range(gpus.count)],
        "ecc.mode.current": [marked("ecc", index, "Enabled" if gpus.ecc else "[N/A]") for index in range(gpus.count)],
        "ecc.errors.uncorrected.volatile.total": each(gpus.ecc_uncorrected if gpus.ecc else "[N/A]"),
        "pstate": each("P0"),
    }


def _switch(on: bool) -> str:
    return "Enabled" if on else "Disabled"
