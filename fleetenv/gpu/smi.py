"""`nvidia-smi -q -x`: XML of the DTD generations v9 to v13, into [`Gpu`][fleetenv.gpu.states.Gpu]s.

Between generations elements come, go and move, and any value may be `N/A`, `[N/A]`, `Unknown Error` or 'Requested
functionality has been deprecated'. So each value is looked for where any generation has it, and one that is missing
or cannot be read is None.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from fleetenv.gpu.states import EccErrors, Gpu, Link, Memory, Process
from fleetenv.gpu.version import parse_version
from fleetenv.gpu.xml import Element, parse_xml

_NUMBER = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,6})?", re.ASCII)
_UNKNOWN = frozenset(
    {"n/a", "[n/a]", "unknown error", "[unknown error]", "requested functionality has been deprecated"}
)
_YES = frozenset({"yes", "enabled", "active", "on"})
_NO = frozenset({"no", "disabled", "not active", "off"})
_RESTING = frozenset({"gpu_idle", "applications_clocks_setting", "display_clocks_setting", "sync_boost"})
_MAX_TEXT = 200


class SmiLog(msgspec.Struct, frozen=True, kw_only=True):
    """The whole document."""

    driver: str | None
    cuda: str | None
    attached: int | None
    gpus: tuple[Gpu, ...]


def parse_smi(document: bytes) -> SmiLog:
    """Read the XML that `nvidia-smi -q -x` writes.

    Raises:
        ValueError: it is not such XML, or not safe to read.
    """
    root = parse_xml(document)
    if root.tag != "nvidia_smi_log":
        raise ValueError(f"the XML is <{root.tag[:40]}>, not nvidia-smi's <nvidia_smi_log>")
    return SmiLog(
        driver=_version(root, "driver_version"),
        cuda=_version(root, "cuda_version"),
        attached=_integer(root, "attached_gpus"),
        gpus=tuple(_gpu(index, element) for index, element in enumerate(root.find_all("gpu"))),
    )


def _gpu(index: int, gpu: Element) -> Gpu:
    mig_devices = gpu.find("mig_devices")
    return Gpu(
        index=index,
        bus_id=normal_bus_id(gpu.attributes.get("id") or _text(gpu, "pci", "pci_bus_id") or ""),
        model=_text(gpu, "product_name") or "unknown model",
        uuid=_text(gpu, "uuid"),
        serial=_text(gpu, "serial"),
        architecture=_text(gpu, "product_architecture"),
        vbios=_text(gpu, "vbios_version"),
        memory_mib=_integer(gpu, "fb_memory_usage", "total"),
        memory_used_mib=_integer(gpu, "fb_memory_usage", "used"),
        utilization=_integer(gpu, "utilization", "gpu_util"),
        persistence=_flag(gpu, "persistence_mode"),
        compute_mode=_text(gpu, "compute_mode"),
        mig=_flag(gpu, "mig_mode", "current_mig"),
        mig_after_reset=_flag(gpu, "mig_mode", "pending_mig"),
        mig_devices=len(list(mig_devices.find_all("mig_device"))) if mig_devices else 0,
        memory=_memory(gpu),
        link=_link(gpu),
        temperature_c=_number(gpu, "temperature", "gpu_temp"),
        power_w=_first(_number(gpu, *path) for path in _POWER),
        power_limit_w=_first(_number(gpu, *path) for path in _POWER_LIMIT),
        slowdowns=_slowdowns(gpu),
        recovery_action=_recovery(gpu),
        fabric=_text(gpu, "fabric", "state"),
        processes=tuple(_processes(gpu)),
    )


_POWER = (
    ("gpu_power_readings", "instant_power_draw"),
    ("gpu_power_readings", "power_draw"),
    ("gpu_power_readings", "average_power_draw"),
    ("power_readings", "power_draw"),
)
_POWER_LIMIT = (
    ("gpu_power_readings", "current_power_limit"),
    ("gpu_power_readings", "power_limit"),
    ("power_readings", "enforced_power_limit"),
    ("power_readings", "power_limit"),
)


def _memory(gpu: Element) -> Memory:
    return Memory(
        ecc=_flag(gpu, "ecc_mode", "current_ecc"),
        ecc_after_reset=_flag(gpu, "ecc_mode", "pending_ecc"),
        volatile=_ecc_errors(gpu, "volatile"),
        aggregate=_ecc_errors(gpu, "aggregate"),
        retired_pages=_sum(
            _integer(gpu, "retired_pages", cause, "retired_count")
            for cause in ("multiple_single_bit_retirement", "double_bit_retirement")
        ),
        retirement_pending=_flag(gpu, "retired_pages", "pending_retirement"),
        remapped_rows=_sum(_integer(gpu, "remapped_rows", name) for name in ("remapped_row_corr", "remapped_row_unc")),
        remapping_pending=_flag(gpu, "remapped_rows", "remapped_row_pending"),
        remapping_failed=_flag(gpu, "remapped_rows", "remapped_row_failure"),
    )


def _ecc_errors(gpu: Element, period: str) -> EccErrors:
    counts = gpu.find("ecc_errors", period)
    if counts is None:
        return EccErrors()
    if counts.find("double_bit"):  # until Volta: by cause, with a total
        return EccErrors(
            corrected=_integer(counts, "single_bit", "total"), uncorrected=_integer(counts, "double_bit", "total")
        )
    return EccErrors(
        corrected=_sum(_integer(counts, name) for name in ("sram_correctable", "dram_correctable")),
        uncorrected=_sum(
            _integer(counts, name)
            for name in (
                "sram_uncorrectable",
                "sram_uncorrectable_parity",
                "sram_uncorrectable_secded",
                "dram_uncorrectable",
            )
        ),
    )


def _link(gpu: Element) -> Link:
    info = gpu.find("pci", "pci_gpu_link_info")
    if info is None:
        return Link()
    return Link(
        generation=_integer(info, "pcie_gen", "current_link_gen"),
        max_generation=_integer(info, "pcie_gen", "max_link_gen"),
        width=_integer(info, "link_widths", "current_link_width"),
        max_width=_integer(info, "link_widths", "max_link_width"),
    )


def _slowdowns(gpu: Element) -> tuple[str, ...]:
    """Active reasons; `clocks_throttle_reason_*` became `clocks_event_reason_*` in v12."""
    for group in ("clocks_event_reasons", "clocks_throttle_reasons"):
        reasons = gpu.find(group)
        if reasons:
            names = (reason.tag.partition("_reason_")[2] for reason in reasons.children if _is_yes(reason.text))
            return tuple(sorted(name for name in names if name and name not in _RESTING))
    return ()


def _recovery(gpu: Element) -> str | None:
    """What v12.8 calls a recovery action; before, two flags said as much."""
    action = _text(gpu, "gpu_recovery_action")
    if action:
        return None if action.lower() == "none" else action
    if _flag(gpu, "gpu_reset_status", "reset_required"):
        return "Reset"
    if _flag(gpu, "gpu_reset_status", "drain_and_reset_recommended"):
        return "Drain and Reset"
    return None


def _processes(gpu: Element) -> Iterable[Process]:
    listing = gpu.find("processes")
    for info in listing.find_all("process_info") if listing else ():
        pid = _integer(info, "pid")
        if pid is not None:
            yield Process(
                pid=pid,
                name=(_text(info, "process_name") or "").partition(" -")[0],  # arguments may hold secrets
                kind=_text(info, "type"),
                memory_mib=_integer(info, "used_memory"),
            )


def normal_bus_id(text: str) -> str:
    """Return `0000:3b:00.0` for nvidia-smi's `00000000:3B:00.0`, as the kernel writes it."""
    domain, colon, rest = text.strip().lower().partition(":")
    if colon and len(domain) == 8 and domain.startswith("0000"):
        domain = domain[4:]
    return (domain + colon + rest)[:_MAX_TEXT]


def _text(element: Element, *path: str) -> str | None:
    text = element.text_at(*path)
    return None if text is None or text.lower() in _UNKNOWN else text[:_MAX_TEXT]


def _version(element: Element, *path: str) -> str | None:
    text = _text(element, *path)
    try:
        return text if text and parse_version(text) else None
    except ValueError:
        return None


def _number(element: Element, *path: str) -> float | None:
    """Read the number in `26.78 W`, `16x`, `96 bank(s)`."""
    text = _text(element, *path)
    found = _NUMBER.match(text) if text else None
    return float(found[0]) if found else None


def _integer(element: Element, *path: str) -> int | None:
    number = _number(element, *path)
    return None if number is None else int(number)


def _flag(element: Element, *path: str) -> bool | None:
    text = (_text(element, *path) or "").lower()
    return True if text in _YES else False if text in _NO else None


def _is_yes(text: str) -> bool:
    return text.lower() in _YES


def _first(values: Iterable[float | None]) -> float | None:
    return next((value for value in values if value is not None), None)


def _sum(values: Iterable[int | None]) -> int | None:
    """Add up what is known; None when nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None
