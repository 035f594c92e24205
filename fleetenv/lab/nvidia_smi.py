"""Simulated GPUs: an `nvidia-smi` for lab hosts that answers as the real one does, without any hardware.

What it prints follows NVIDIA's documented forms (`man nvidia-smi`: return values, `--query-gpu`; nvsmi_device_v12.dtd).
All of it is labelled: the program's text, a comment in the XML, and the GPUs' serial numbers say so.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from xml.sax.saxutils import escape

from fleetenv.remote import sh

_ANSWERS = Path(__file__).with_name("nvidia_smi.sh")

SIMULATED = "<!-- fleetenv lab: simulated -->"
"""What each simulated nvidia-smi writes, in its XML and after a failure, and nothing else does."""


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
    temperature: int = 31
    memory_used: int = 0
    utilization: int = 0
    persistence: bool = True
    ecc_uncorrected: int = 0  # volatile and aggregate, each GPU
    remap_pending: bool = False  # a row remapping waits for a reset
    thermal_slowdown: bool = False
    fault: Fault | None = None
    library: str = ""  # with MISMATCH: the version of the library on disk

    @property
    def uuids(self) -> list[str]:
        """Each GPU's UUID: stable, made from model and index."""
        return [f"GPU-{uuid.uuid5(uuid.NAMESPACE_OID, f'{self.model} {index}')}" for index in range(self.count)]

    @property
    def bus_ids(self) -> list[str]:
        """Each GPU's PCI address, `DOMAIN:BUS:DEVICE.FUNCTION` as nvidia-smi writes it."""
        return [f"00000000:{0x07 + 8 * index:02X}:00.0" for index in range(self.count)]


A100 = Gpus()
H100 = Gpus(
    model="NVIDIA H100 80GB HBM3", memory=81559, architecture="Hopper", compute_capability="9.0", power_limit=700
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
)


def program(gpus: Gpus) -> str:
    """Return the text of an executable `nvidia-smi` (POSIX sh) for a host with these GPUs."""
    head = "#!/bin/sh\n# Simulated by fleetenv lab: no GPU, no driver.\n"
    if gpus.fault is not None:
        message, status = _failure(gpus)
        return f"{head}echo {sh(SIMULATED)} >&2\nprintf '%s\\n' {sh(message)}\nexit {status}\n"
    columns = "\n".join(f"    {sh(name)}) set -- {sh(*cells)} ;;" for name, cells in _columns(gpus).items())
    text = head + _ANSWERS.read_text(encoding="utf-8")
    for name, value in {
        "@xml@": xml(gpus),
        "@list@": _list(gpus),
        "@table@": _table(gpus),
        "@columns@": columns,
        "@count@": str(gpus.count),
    }.items():
        text = text.replace(name, value)
    return text


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
        "power.limit": each(f"{gpus.power_limit:.2f} W"),
        "persistence_mode": each(_switch(gpus.persistence)),
        "compute_mode": each("Default"),
        "compute_cap": each(gpus.compute_capability),
        "mig.mode.current": each("[N/A]"),
        "ecc.mode.current": each(_switch(gpus.ecc) if gpus.ecc else "[N/A]"),
        "ecc.errors.uncorrected.volatile.total": each(gpus.ecc_uncorrected if gpus.ecc else "[N/A]"),
        "pstate": each("P0"),
    }


def _switch(on: bool) -> str:
    return "Enabled" if on else "Disabled"


def xml(gpus: Gpus) -> str:
    """Return what `nvidia-smi -q -x` prints: the fields of nvsmi_device_v12.dtd that fleet tools read."""
    cards = "".join(
        _card(gpus, index, name, bus_id)
        for index, (name, bus_id) in enumerate(zip(gpus.uuids, gpus.bus_ids, strict=True))
    )
    return (
        '<?xml version="1.0" ?>\n'
        '<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">\n'
        f"{SIMULATED}\n"
        "<nvidia_smi_log>\n"
        "\t<timestamp>Thu Jan  1 00:00:00 1970</timestamp>\n"
        f"\t<driver_version>{escape(gpus.driver)}</driver_version>\n"
        f"\t<cuda_version>{escape(gpus.cuda)}</cuda_version>\n"
        f"\t<attached_gpus>{gpus.count}</attached_gpus>\n"
        f"{cards}"
        "</nvidia_smi_log>"
    )


def _card(gpus: Gpus, index: int, name: str, bus_id: str) -> str:
    active = "Active" if gpus.thermal_slowdown else "Not Active"
    errors = str(gpus.ecc_uncorrected) if gpus.ecc else "N/A"
    corrected = "0" if gpus.ecc else "N/A"
    mode = _switch(True) if gpus.ecc else "N/A"
    draw = f"{gpus.power_limit / 8:.2f} W"
    counts = _element(
        "sram_correctable", corrected, "sram_uncorrectable_parity", "0" if gpus.ecc else "N/A",
        "sram_uncorrectable_secded", errors, "dram_correctable", corrected, "dram_uncorrectable", errors,
    )  # fmt: skip
    rows = _element(
        "remapped_row_corr", "0", "remapped_row_unc", str(int(gpus.remap_pending)),
        "remapped_row_pending", "Yes" if gpus.remap_pending else "No", "remapped_row_failure", "No",
    )  # fmt: skip
    power = _element(
        "power_state", "P0", "average_power_draw", draw, "instant_power_draw", draw,
        "current_power_limit", f"{gpus.power_limit:.2f} W", "default_power_limit", f"{gpus.power_limit:.2f} W",
    )  # fmt: skip
    body = _element(
        "product_name", escape(gpus.model),
        "product_brand", escape(gpus.brand),
        "product_architecture", escape(gpus.architecture),
        "display_mode", "Disabled",
        "display_active", "Disabled",
        "persistence_mode", _switch(gpus.persistence),
        "addressing_mode", "None",
        "mig_mode", _element("current_mig", "N/A", "pending_mig", "N/A"),
        "mig_devices", "None",
        "serial", "simulated",
        "uuid", name,
        "minor_number", str(index),
        "vbios_version", "simulated",
        "pci", _element("pci_bus", bus_id[9:11], "pci_device", "00", "pci_domain", "0000", "pci_bus_id", bus_id),
        "fan_speed", "N/A",
        "performance_state", "P0",
        "clocks_event_reasons", _element(
            "clocks_event_reason_gpu_idle", "Not Active" if gpus.utilization else "Active",
            "clocks_event_reason_sw_power_cap", "Not Active",
            "clocks_event_reason_hw_slowdown", active,
            "clocks_event_reason_hw_thermal_slowdown", active,
            "clocks_event_reason_hw_power_brake_slowdown", "Not Active",
            "clocks_event_reason_sw_thermal_slowdown", "Not Active",
        ),
        "fb_memory_usage", _element(
            "total", f"{gpus.memory} MiB", "reserved", "0 MiB", "used", f"{gpus.memory_used} MiB",
            "free", f"{gpus.memory - gpus.memory_used} MiB",
        ),
        "compute_mode", "Default",
        "utilization", _element("gpu_util", f"{gpus.utilization} %", "memory_util", "0 %"),
        "ecc_mode", _element("current_ecc", mode, "pending_ecc", mode),
        "ecc_errors", _element("volatile", counts, "aggregate", counts),
        "retired_pages", _element(
            "multiple_single_bit_retirement", _element("retired_count", "N/A"),
            "double_bit_retirement", _element("retired_count", "N/A"),
            "pending_blacklist", "N/A", "pending_retirement", "N/A",
        ),
        "remapped_rows", rows if gpus.ecc else "N/A",
        "temperature", _element(
            "gpu_temp", f"{gpus.temperature} C", "gpu_temp_max_threshold", "92 C", "gpu_temp_slow_threshold", "89 C",
        ),
        "gpu_power_readings", power,
        "processes", "",
    )  # fmt: skip
    return f'\t<gpu id="{bus_id}">\n{_indented(body, 2)}\t</gpu>\n'


def _element(*pairs: str) -> str:
    """Return elements, one a line, from alternating names and contents; contents with lines of their own are nested."""
    lines = []
    for name, content in zip(pairs[::2], pairs[1::2], strict=True):
        inner = f"\n{_indented(content, 1)}" if content.endswith("\n") else content
        lines.append(f"<{name}>{inner}</{name}>\n")
    return "".join(lines)


def _indented(text: str, depth: int) -> str:
    return "".join(f"{chr(9) * depth}{line}" for line in text.splitlines(keepends=True))
