"""The XML of simulated GPUs: the fields of nvsmi_device_v12.dtd that fleet tools read.

What can be set stands there as a mark, `%persistence.0:Enabled%`, with its default; nvidia_smi.sh puts in its
place what was set.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from fleetenv.lab.nvidia_smi import Gpus

SIMULATED = "<!-- fleetenv lab: simulated -->"
"""What each simulated nvidia-smi and dmesg writes, and nothing else does."""

_MARK = re.compile(r"%[a-z_]+\.[0-9]+:([^%]*)%")


def marked(name: str, index: int, default: str) -> str:
    """Return the place of what can be set of one GPU."""
    return f"%{name}.{index}:{default}%"


def unmarked(text: str) -> str:
    """Put its default in place of each mark."""
    return _MARK.sub(r"\1", text)


def marked_xml(gpus: Gpus) -> str:
    """Return what `nvidia-smi -q -x` prints, with marks."""
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
    ecc, mig = ("Enabled" if gpus.ecc else "N/A"), ("Disabled" if gpus.mig else "N/A")
    limit = marked("power_limit", index, f"{gpus.power_limit:.2f} W")
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
        "current_power_limit", limit, "requested_power_limit", limit,
        "default_power_limit", f"{gpus.power_limit:.2f} W", "min_power_limit", f"{gpus.least_power:.2f} W",
        "max_power_limit", f"{gpus.power_limit:.2f} W",
    )  # fmt: skip
    body = _element(
        "product_name", escape(gpus.model),
        "product_brand", escape(gpus.brand),
        "product_architecture", escape(gpus.architecture),
        "display_mode", "Disabled",
        "display_active", "Disabled",
        "persistence_mode", marked("persistence", index, "Enabled" if gpus.persistence else "Disabled"),
        "addressing_mode", "None",
        "mig_mode", _element(
            "current_mig", marked("mig", index, mig), "pending_mig", marked("mig_pending", index, mig),
        ),
        "mig_devices", marked("mig_devices", index, "None"),
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
        "compute_mode", marked("compute_mode", index, "Default"),
        "utilization", _element("gpu_util", f"{gpus.utilization} %", "memory_util", "0 %"),
        "ecc_mode", _element(
            "current_ecc", marked("ecc", index, ecc), "pending_ecc", marked("ecc_pending", index, ecc),
        ),
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
        "processes", _processes(gpus, index),
    )  # fmt: skip
    return f'\t<gpu id="{bus_id}">\n{_indented(body, 2)}\t</gpu>\n'


def _processes(gpus: Gpus, index: int) -> str:
    if not gpus.process:
        return ""
    return _element(
        "process_info",
        _element("pid", str(4000 + index), "type", "C", "process_name", escape(gpus.process), "used_memory", "512 MiB"),
    )


def _element(*pairs: str) -> str:
    """Return elements, one a line, from alternating names and contents; contents with lines of their own are nested."""
    lines = []
    for name, content in zip(pairs[::2], pairs[1::2], strict=True):
        inner = f"\n{_indented(content, 1)}" if content.endswith("\n") else content
        lines.append(f"<{name}>{inner}</{name}>\n")
    return "".join(lines)


def _indented(text: str, depth: int) -> str:
    return "".join(f"{chr(9) * depth}{line}" for line in text.splitlines(keepends=True))
