"""Simulated AMD GPUs: an `amd-smi` for lab hosts, with what fleet tools read of `static|metric|version --json`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from fleetenv.lab.nvidia_xml import SIMULATED
from fleetenv.remote import sh

if TYPE_CHECKING:
    from fleetenv.lab.nvidia_smi import Gpus

_OPTIONS = "Simulated by fleetenv lab: static, metric and version with --json."


def program(gpus: Gpus) -> str:
    """Return the text of an executable `amd-smi` (POSIX sh) for a host with these GPUs."""
    parts = {"static": [_static(gpus, index) for index in range(gpus.count)],
             "metric": [_metric(gpus, index) for index in range(gpus.count)],
             "version": [{"tool": "AMDSMI Tool", "amdgpu_version": gpus.driver, "note": SIMULATED}]}  # fmt: skip
    cases = "\n".join(
        f"'{name} --json') printf '%s\\n' {sh(json.dumps(part, indent=4))} ;;" for name, part in parts.items()
    )
    return f'#!/bin/sh\n# {_OPTIONS}\ncase "$*" in\n{cases}\n*) echo {sh(_OPTIONS)} >&2; exit 2 ;;\nesac\n'


def _static(gpus: Gpus, index: int) -> dict[str, object]:
    return {
        "gpu": index,
        "note": SIMULATED,
        "asic": {
            "market_name": gpus.model,
            "asic_serial": gpus.uuids[index],
            "target_graphics_version": gpus.architecture,
        },
        "bus": {"bdf": gpus.bus_ids[index][4:].lower(), "max_pcie_width": 16, "max_pcie_speed": _unit(32, "GT/s")},
        "limit": {
            "max_power": _unit(gpus.power_limit, "W"),
            "socket_power": _unit(gpus.power_limit, "W"),
            "slowdown_hotspot_temperature": _unit(100, "C"),
        },
        "driver": {"name": "amdgpu", "version": gpus.driver},
        "board": {"product_serial": "simulated"},
        "ras": {"ecc_block_state": {"UMC": "ENABLED"}},
        "vram": {"size": _unit(gpus.memory, "MB")},
    }


def _metric(gpus: Gpus, index: int) -> dict[str, object]:
    return {
        "gpu": index,
        "usage": {"gfx_activity": _unit(gpus.utilization, "%")},
        "power": {"socket_power": _unit(gpus.power_limit // 8, "W")},
        "temperature": {"hotspot": _unit(gpus.temperature, "C")},
        "pcie": {"width": 16, "speed": _unit(32, "GT/s"), "replay_count": 0},
        "ecc": {"total_correctable_count": 0, "total_uncorrectable_count": gpus.ecc_uncorrected},
        "mem_usage": {"used_vram": _unit(gpus.memory_used, "MB")},
        "throttle": {"hbm_thermal_violation_status": "ACTIVE" if gpus.thermal_slowdown else "NOT ACTIVE"},
    }


def _unit(value: int, unit: str) -> dict[str, object]:
    return {"value": value, "unit": unit}
