"""`nvidia-smi -q -x`: XML of the DTD generations v9 to v13, into [`Gpu`][fleetenv.gpu.hardware.Gpu]s.

Between generations elements come, go and move, and any value may be `N/A`, `[N/A]`, `Unknown Error` or 'Requested
functionality has been deprecated'. So each value is looked for where any generation has it, and one that is missing
or cannot be read is None.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec

from fleetenv.gpu import values
from fleetenv.gpu.hardware import Gpu, MigDevice, Process
from fleetenv.gpu.leftout import is_left_out
from fleetenv.gpu.smi_health import read_fabric, read_link, read_memory, read_power, read_temperatures
from fleetenv.gpu.smi_tables import BOARD, CLOCKS, FIRMWARE, MEMORY_USE, MODES, USAGE
from fleetenv.gpu.values import LOST
from fleetenv.gpu.xml import Element, parse_xml

_RESTING = frozenset({"gpu_idle", "applications_clocks_setting", "display_clocks_setting", "sync_boost"})
_ALIVE = (("fb_memory_usage", "total"), ("utilization", "gpu_util"), ("temperature", "gpu_temp"))
_MAX_GPUS = 256  # a host has 16 at most
_MAX_MIG_DEVICES = 64  # 7 a GPU
_MAX_PROCESSES = 1000
_MAX_UNREAD = 50


class SmiLog(msgspec.Struct, frozen=True, kw_only=True):
    """The whole document. `unread` are paths of elements that are neither understood nor left out on purpose."""

    driver: str | None
    cuda: str | None
    attached: int | None
    gpus: tuple[Gpu, ...]
    unread: tuple[str, ...] = ()


def parse_smi(document: bytes) -> SmiLog:
    """Read the XML that `nvidia-smi -q -x` writes.

    Raises:
        ValueError: it is not such XML, or not safe to read.
    """
    root = parse_xml(document)
    if root.tag != "nvidia_smi_log":
        raise ValueError(f"the XML is <{root.tag[:40]}>, not nvidia-smi's <nvidia_smi_log>")
    gpus = list(root.find_all("gpu"))
    if len(gpus) > _MAX_GPUS:
        raise ValueError(f"the XML has {len(gpus)} GPUs, more than any host")
    log = SmiLog(
        driver=values.version(root, "driver_version"),
        cuda=values.version(root, "cuda_version"),
        attached=values.integer(root, "attached_gpus"),
        gpus=tuple(_gpu(index, element) for index, element in enumerate(gpus)),
    )
    return msgspec.structs.replace(log, unread=_unread(root))


def _unread(root: Element) -> tuple[str, ...]:
    paths = dict.fromkeys("/".join(path)[: values.MAX_TEXT] for path in root.unread() if not is_left_out(path))
    return tuple(list(paths)[:_MAX_UNREAD])


def _gpu(index: int, gpu: Element) -> Gpu:
    mig_devices = tuple(_mig_devices(gpu))
    clock_reasons = _clock_reasons(gpu)
    power = read_power(gpu)
    return Gpu(
        index=index,
        bus_id=normal_bus_id(gpu.attributes.get("id") or values.text(gpu, "pci", "pci_bus_id") or ""),
        model=values.text(gpu, "product_name") or "unknown model",
        uuid=values.text(gpu, "uuid"),
        serial=values.text(gpu, "serial"),
        architecture=values.text(gpu, "product_architecture"),
        vbios=values.text(gpu, "vbios_version"),
        memory_mib=values.integer(gpu, "fb_memory_usage", "total"),
        memory_used_mib=values.integer(gpu, "fb_memory_usage", "used"),
        memory_use=values.integers(gpu, MEMORY_USE),
        utilization=values.integer(gpu, "utilization", "gpu_util"),
        usage=values.integers(gpu, USAGE),
        persistence=values.flag(gpu, "persistence_mode"),
        compute_mode=values.text(gpu, "compute_mode"),
        mig=values.flag(gpu, "mig_mode", "current_mig"),
        mig_after_reset=values.flag(gpu, "mig_mode", "pending_mig"),
        mig_devices=len(mig_devices),
        mig_layout=mig_devices,
        memory=read_memory(gpu),
        link=read_link(gpu),
        temperature_c=values.number(gpu, "temperature", "gpu_temp"),
        temperatures=read_temperatures(gpu),
        power_w=values.first((power.draw, power.draw_average)),
        power_limit_w=values.first((power.limit, power.requested)),
        power=power,
        clocks=values.numbers(gpu, CLOCKS),
        clock_reasons=clock_reasons,
        slowdowns=tuple(name for name in clock_reasons if name not in _RESTING),
        slowdown_us=_slowdown_times(gpu),
        lost=any(LOST in (gpu.text_at(*path) or "").lower() for path in _ALIVE),
        performance_state=values.text(gpu, "performance_state"),
        recovery_action=_recovery(gpu),
        fabric=values.text(gpu, "fabric", "state"),
        fabric_details=read_fabric(gpu),
        board=values.texts(gpu, BOARD),
        firmware=values.texts(gpu, FIRMWARE),
        modes=values.texts(gpu, MODES),
        processes=tuple(_processes(gpu)),
    )


def _clock_reasons(gpu: Element) -> tuple[str, ...]:
    """Active reasons; `clocks_throttle_reason_*` became `clocks_event_reason_*` in v12."""
    active = set()
    for group in ("clocks_event_reasons", "clocks_throttle_reasons"):
        reasons = gpu.find(group)
        for name, path in values.below(reasons, f"{group.removesuffix('s')}_").items():
            if reasons and values.flag(reasons, *path):
                active.add(name)
    return tuple(sorted(active))


def _slowdown_times(gpu: Element) -> dict[str, int]:
    counters = gpu.find("clocks_event_reasons_counters")
    return values.integers(counters, values.below(counters, f"{counters.tag}_")) if counters else {}


def _recovery(gpu: Element) -> str | None:
    """What v12.8 calls a recovery action; before, two flags said as much."""
    action = values.text(gpu, "gpu_recovery_action")
    reset = values.flag(gpu, "gpu_reset_status", "reset_required")
    drain = values.flag(gpu, "gpu_reset_status", "drain_and_reset_recommended")
    if action and action.lower() != "none":
        return action
    return "Reset" if reset else "Drain and Reset" if drain else None


def _mig_devices(gpu: Element) -> Iterator[MigDevice]:
    devices = gpu.find("mig_devices")
    for place, device in enumerate(islice(devices.find_all("mig_device"), _MAX_MIG_DEVICES) if devices else ()):
        index = values.integer(device, "index")
        engines = device.find("device_attributes", "shared")
        yield MigDevice(
            index=place if index is None else index,
            gpu_instance=values.integer(device, "gpu_instance_id"),
            compute_instance=values.integer(device, "compute_instance_id"),
            uuid=values.text(device, "uuid"),
            memory_mib=values.integer(device, "fb_memory_usage", "total"),
            memory_used_mib=values.integer(device, "fb_memory_usage", "used"),
            uncorrected=values.integer(device, "ecc_error_count", "volatile_count", "sram_uncorrectable"),
            engines=values.integers(engines, values.below(engines)) if engines else {},
        )


def _processes(gpu: Element) -> Iterable[Process]:
    listing = gpu.find("processes")
    for info in islice(listing.find_all("process_info"), _MAX_PROCESSES) if listing else ():
        pid = values.integer(info, "pid")
        name = values.text(info, "process_name") or ""
        process = Process(
            pid=pid or 0,
            name=name.partition(" -")[0],  # arguments may hold secrets
            kind=values.text(info, "type"),
            memory_mib=values.integer(info, "used_memory"),
            gpu_instance=values.integer(info, "gpu_instance_id"),
            compute_instance=values.integer(info, "compute_instance_id"),
        )
        if pid is not None:
            yield process


def normal_bus_id(text: str) -> str:
    """Return `0000:3b:00.0` for nvidia-smi's `00000000:3B:00.0`, as the kernel writes it."""
    domain, colon, rest = text.strip().lower().partition(":")
    if colon and len(domain) == 8 and domain.startswith("0000"):
        domain = domain[4:]
    return (domain + colon + rest)[: values.MAX_TEXT]
