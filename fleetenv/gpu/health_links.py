"""What is wrong with PCI Express, NVLinks, NVSwitches and their Fabric Manager."""

from __future__ import annotations

from collections.abc import Iterator

from fleetenv.gpu.hardware import Gpu
from fleetenv.gpu.problem import Problem, health
from fleetenv.gpu.states import GpuHost
from fleetenv.severity import Severity

_BUSY = 50  # percent; a GPU at rest lowers its PCIe generation
_WELL = frozenset({"full", "false", "none", "healthy", "no", "n/a", "not supported", "true-assigned"})
_REPAIRED = frozenset({"Replay", "CRC", "CRC FLIT", "CRC Data", "Symbol"})  # what CRC finds a replay repairs
_FLAGS = ("bandwidth", "route_unhealthy", "access_timeout_recovery", "route_recovery_in_progress", "summary")


def fabric_problems(host: GpuHost) -> Iterator[Problem]:
    """Yield what is wrong with Fabric Manager on a machine with NVSwitches; elsewhere nobody needs it."""
    if not host.switches:
        return
    manager = host.fabric_manager
    service = manager.service if manager else None
    start = "start it: 'systemctl enable --now nvidia-fabricmanager'"
    if manager is None or (manager.version is None and service in (None, "inactive", "unknown")):
        text = f"{host.switches} NVSwitches, and Fabric Manager is not installed"
        yield health("fabric-manager", text, "install nvidia-fabricmanager of the driver's version")
    elif service not in (None, "active", "activating", "reloading"):
        text = f"{host.switches} NVSwitches, and Fabric Manager is {service}, so GPUs do not see each other"
        yield health("fabric-manager", text, f"{start}; see 'journalctl -u nvidia-fabricmanager'")
    if manager and manager.version and host.driver and manager.version != host.driver.version:
        yield health(
            "fabric-manager-version",
            f"Fabric Manager is {manager.version}, the driver {host.driver.version}",
            f"install nvidia-fabricmanager {host.driver.version}: it works with no other driver",
        )


def link_problems(gpu: Gpu) -> Iterator[Problem]:
    """Yield what is wrong with one GPU's links."""
    yield from _fabric(gpu)
    yield from _nvlinks(gpu)
    yield from _pcie(gpu)


def _fabric(gpu: Gpu) -> Iterator[Problem]:
    if gpu.fabric is not None and gpu.fabric.lower() != "completed":
        text = f"has not joined the NVLink fabric ({gpu.fabric})"
        advice = "see 'systemctl status nvidia-fabricmanager'; its version must be the driver's"
        yield health("fabric", text, advice, gpu=gpu.index)
        return
    details = gpu.fabric_details
    if gpu.fabric is not None and details.status is not None and details.status.lower() != "success":
        text = f"joined the NVLink fabric with '{details.status}'"
        yield health("fabric", text, "see 'journalctl -u nvidia-fabricmanager'", gpu=gpu.index)
    ill = [f"{name} {value}" for name, value in details.health.items() if name in _FLAGS and value.lower() not in _WELL]
    if ill:
        text = f"has an unwell NVLink fabric: {', '.join(ill)}"
        yield health("fabric-unhealthy", text, "see 'journalctl -u nvidia-fabricmanager'", gpu=gpu.index)


def _nvlinks(gpu: Gpu) -> Iterator[Problem]:
    down = [str(link.index) for link in gpu.nvlinks if not link.active]
    if down and len(down) < len(gpu.nvlinks):  # all down: there is no bridge
        text = f"has {len(down)} of {len(gpu.nvlinks)} NVLinks down ({', '.join(down)})"
        advice = "look for Xid 74 in 'dmesg'; reset all GPUs of the host, then reseat or replace it"
        yield health("nvlink-down", text, advice, gpu=gpu.index)
    kinds: dict[str, int] = {}
    for link in gpu.nvlinks:
        for kind, count in link.errors.items():
            kinds[kind] = kinds.get(kind, 0) + count
    counted = ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count)
    if counted:
        repaired = all(not count or kind in _REPAIRED for kind, count in kinds.items())
        yield health(
            "nvlink-errors",
            f"has had NVLink errors: {counted}",
            "watch whether they grow ('nvidia-smi nvlink -e'); if so, reseat or replace it",
            gpu=gpu.index,
            severity=Severity.NOTE if repaired else None,
        )


def _pcie(gpu: Gpu) -> Iterator[Problem]:
    link = gpu.link
    if link.width and link.max_width and link.width < link.max_width:
        text = f"uses {link.width} of {link.max_width} PCIe lanes"
        yield health("link-width", text, "right in many slots and clouds; otherwise reseat it", gpu=gpu.index)
    busy = (gpu.utilization or 0) >= _BUSY
    if busy and link.generation and link.max_generation and link.generation < link.max_generation:
        text = f"is busy at PCIe generation {link.generation} of {link.max_generation}"
        yield health("link-generation", text, "check the slot's setting in the BIOS, and reseat it", gpu=gpu.index)
    elif link.max_device_generation and link.max_generation and link.max_generation < link.max_device_generation:
        text = f"can do PCIe generation {link.max_device_generation}, its slot {link.max_generation}"
        yield health("link-generation", text, "right if the mainboard is older than the GPU", gpu=gpu.index)
    if link.replay_rollovers:
        text = f"has had so many PCIe replays that their counter rolled over {link.replay_rollovers} times"
        yield health("pcie-replays", text, "reseat it; check risers and cables", gpu=gpu.index)
