"""What nvidia-smi's XML says of a GPU's memory, links, power and heat."""

from __future__ import annotations

from collections.abc import Mapping

from fleetenv.gpu import values
from fleetenv.gpu.hardware import EccErrors, Fabric, Link, Memory, Power, Temperatures
from fleetenv.gpu.values import Path
from fleetenv.gpu.xml import Element

_CORRECTED: Mapping[str, Path] = {"sram": ("sram_correctable",), "dram": ("dram_correctable",)}
_UNCORRECTED: Mapping[str, Path] = {
    "sram": ("sram_uncorrectable",),
    "sram_parity": ("sram_uncorrectable_parity",),
    "sram_secded": ("sram_uncorrectable_secded",),
    "dram": ("dram_uncorrectable",),
}


def read_memory(gpu: Element) -> Memory:
    """Read ECC, retired pages, remapped rows and repairs."""
    single = values.integer(gpu, "retired_pages", "multiple_single_bit_retirement", "retired_count")
    double = values.integer(gpu, "retired_pages", "double_bit_retirement", "retired_count")
    correctable = values.integer(gpu, "remapped_rows", "remapped_row_corr")
    uncorrectable = values.integer(gpu, "remapped_rows", "remapped_row_unc")
    return Memory(
        ecc=values.flag(gpu, "ecc_mode", "current_ecc"),
        ecc_after_reset=values.flag(gpu, "ecc_mode", "pending_ecc"),
        volatile=_ecc_errors(gpu, "volatile"),
        aggregate=_ecc_errors(gpu, "aggregate"),
        sram_sources=_children(gpu, "ecc_errors", "aggregate_uncorrectable_sram_sources"),
        sram_threshold_exceeded=values.flag(gpu, "ecc_errors", "aggregate", "sram_threshold_exceeded"),
        retired_pages=values.total((single, double)),
        retired_single_bit=single,
        retired_double_bit=double,
        retirement_pending=values.flag(gpu, "retired_pages", "pending_retirement"),
        remapped_rows=values.total((correctable, uncorrectable)),
        remapped_correctable=correctable,
        remapped_uncorrectable=uncorrectable,
        remapped_inactive=values.integers(
            gpu,
            {
                "correctable": ("remapped_rows", "remapped_row_corr_inactive"),
                "uncorrectable": ("remapped_rows", "remapped_row_unc_inactive"),
            },
        ),
        remapping_pending=values.flag(gpu, "remapped_rows", "remapped_row_pending"),
        remapping_failed=values.flag(gpu, "remapped_rows", "remapped_row_failure"),
        spare_rows=_children(gpu, "remapped_rows", "row_remapper_histogram"),
        channel_repair_pending=values.flag(gpu, "ecc_errors", "channel_repair_pending"),
        tpc_repair_pending=values.flag(gpu, "ecc_errors", "tpc_repair_pending"),
        unrepairable=values.flag(gpu, "ecc_errors", "unrepairable_memory"),
    )


def _ecc_errors(gpu: Element, period: str) -> EccErrors:
    counts = gpu.find("ecc_errors", period)
    if counts is None:
        return EccErrors()
    if counts.find("double_bit") or counts.find("single_bit"):  # until Volta: by cause, with a total
        corrected, uncorrected = _children(counts, "single_bit"), _children(counts, "double_bit")
        return EccErrors(
            corrected=corrected.pop("total", None),
            uncorrected=uncorrected.pop("total", None),
            corrected_at=corrected,
            uncorrected_at=uncorrected,
        )
    corrected = values.integers(counts, _CORRECTED)
    uncorrected = values.integers(counts, _UNCORRECTED)
    return EccErrors(
        corrected=values.total(corrected.values()),
        uncorrected=values.total(uncorrected.values()),
        corrected_at=corrected,
        uncorrected_at=uncorrected,
    )


def _children(element: Element, *path: str) -> dict[str, int]:
    """Return all numbers right below an element, by their tags less its own (`row_remapper_histogram_max`)."""
    found = element.find(*path)
    return values.integers(found, values.below(found, f"{found.tag}_")) if found else {}


def read_link(gpu: Element) -> Link:
    """Read the PCI Express link."""
    generation = ("pci", "pci_gpu_link_info", "pcie_gen")
    width = ("pci", "pci_gpu_link_info", "link_widths")
    return Link(
        generation=values.integer(gpu, *generation, "current_link_gen"),
        max_generation=values.integer(gpu, *generation, "max_link_gen"),
        device_generation=values.integer(gpu, *generation, "device_current_link_gen"),
        max_device_generation=values.integer(gpu, *generation, "max_device_link_gen"),
        max_host_generation=values.integer(gpu, *generation, "max_host_link_gen"),
        width=values.integer(gpu, *width, "current_link_width"),
        max_width=values.integer(gpu, *width, "max_link_width"),
        replays=values.integer(gpu, "pci", "replay_counter"),
        replay_rollovers=values.integer(gpu, "pci", "replay_rollover_counter"),
    )


def read_fabric(gpu: Element) -> Fabric:
    """Read how the GPU stands with its NVLink fabric; what `fabric` itself says is the state."""
    health = gpu.find("fabric", "health")
    return Fabric(
        status=values.text(gpu, "fabric", "status"),
        clique=values.text(gpu, "fabric", "cliqueId"),
        cluster=values.text(gpu, "fabric", "clusterUuid"),
        health=values.texts(health, values.below(health)) if health else {},
    )


_LIMITS: Mapping[str, Path] = {
    "draw": ("instant_power_draw",),
    "draw_average": ("average_power_draw",),
    "draw_now": ("power_draw",),
    "limit": ("current_power_limit",),
    "requested": ("requested_power_limit",),
    "default": ("default_power_limit",),
    "min": ("min_power_limit",),
    "max": ("max_power_limit",),
}


def read_power(gpu: Element) -> Power:
    """Read draw and limits: `power_readings` until v11, `gpu_power_readings` since.

    What v11 calls `power_limit` is what was asked for, and `enforced_power_limit` what is in force.
    """

    def watts(*names: str) -> float | None:
        groups = ("gpu_power_readings", "power_readings")
        return values.first([values.number(gpu, group, name) for group in groups for name in names])

    memory, module = gpu.find("gpu_memory_power_readings"), gpu.find("module_power_readings")
    return Power(
        draw=watts("instant_power_draw", "power_draw"),
        draw_average=watts("average_power_draw"),
        limit=watts("current_power_limit", "enforced_power_limit"),
        requested=watts("requested_power_limit", "power_limit"),
        default=watts("default_power_limit"),
        min=watts("min_power_limit"),
        max=watts("max_power_limit"),
        managed=values.text(gpu, "power_readings", "power_management"),
        memory=values.numbers(memory, _LIMITS) if memory else {},
        module=values.numbers(module, _LIMITS) if module else {},
        profiles=values.texts(
            gpu,
            {
                "requested": ("power_profiles", "power_profile_requested_profiles"),
                "enforced": ("power_profiles", "power_profile_enforced_profiles"),
            },
        ),
    )


def read_temperatures(gpu: Element) -> Temperatures:
    """Read temperatures and their limits; since v12 many GPUs tell limits as margins (`tlimit`)."""

    def degrees(name: str, group: str = "temperature") -> float | None:
        return values.number(gpu, group, name)

    return Temperatures(
        memory=degrees("memory_temp"),
        slowdown=degrees("gpu_temp_slow_threshold"),
        shutdown=degrees("gpu_temp_max_threshold"),
        operating=degrees("gpu_temp_max_gpu_threshold"),
        memory_operating=degrees("gpu_temp_max_mem_threshold"),
        target=degrees("gpu_target_temperature"),
        target_min=degrees("gpu_target_temp_min", "supported_gpu_target_temp"),
        target_max=degrees("gpu_target_temp_max", "supported_gpu_target_temp"),
        margin=degrees("gpu_temp_tlimit"),
        slowdown_margin=degrees("gpu_temp_slow_tlimit_threshold"),
        shutdown_margin=degrees("gpu_temp_max_tlimit_threshold"),
        operating_margin=degrees("gpu_temp_max_gpu_tlimit_threshold"),
        memory_margin=degrees("gpu_temp_max_mem_tlimit_threshold"),
    )
