"""What is wrong with a host's driver, in words that say what to do about it; GPUs that do answer are health.py's."""

from __future__ import annotations

from typing import NamedTuple

from fleetenv.gpu.health import health_problems
from fleetenv.gpu.probe import SMI_SECONDS
from fleetenv.gpu.problem import DRIVER_CODES, Problem
from fleetenv.gpu.states import Answer, GpuHost, Vendor

__all__ = ["Problem", "driver_problem", "health_problems"]


class _Vendor(NamedTuple):
    """What a vendor's things are called."""

    name: str
    module: str
    tool: str
    lspci: str
    query: str
    tools: str  # the package that has the tool
    log: str  # how its driver's lines in the kernel log begin


_VENDORS = {
    Vendor.NVIDIA: _Vendor("NVIDIA", "nvidia", "nvidia-smi", "10de", "nvidia-smi -q", "nvidia-utils", "NVRM"),
    Vendor.AMD: _Vendor("AMD", "amdgpu", "amd-smi", "1002", "amd-smi static", "amd-smi-lib", "amdgpu"),
}


def driver_problem(host: GpuHost) -> Problem | None:
    """Return why the host's GPUs cannot be used at all, or not all of them; None when they can."""
    found = _unanswered(host) or _missing(host)
    if found is None:
        return None
    code, text, advice = found
    return Problem(code=code, severity=DRIVER_CODES[code].severity, text=text, advice=advice)


_Words = tuple[str, str, str]  # code, text, advice


def _unanswered(host: GpuHost) -> _Words | None:
    """Why nvidia-smi has nothing to show."""
    if host.answer is Answer.OK and host.gpus:
        return None
    if host.answer is Answer.MISMATCH:
        return _mismatch(host)
    if host.answer is Answer.HUNG:
        return (
            "hung",
            f"nvidia-smi did not answer within {SMI_SECONDS} s, so a GPU or its driver hangs",
            "look for Xid lines in 'dmesg', then drain and reboot the host",
        )
    if host.answer is Answer.GPU_LOST:
        return _lost(host)
    if host.vendor is Vendor.AMD and host.answer is Answer.ABSENT and _driven(host):
        return _silent(host)
    if host.driver is None and host.answer in (Answer.ABSENT, Answer.NO_DEVICES, Answer.NOT_LOADED, Answer.NO_LIBRARY):
        return _no_driver(host)
    return _silent(host)


def _mismatch(host: GpuHost) -> _Words:
    running = f"kernel module {host.driver.version}" if host.driver else "the loaded kernel module"
    library = f"libraries {host.library}" if host.library else "the libraries"
    return (
        "mismatch",
        f"driver/library mismatch: {running} does not fit {library} (the driver was upgraded without a reboot)",
        "reboot the host, or stop its GPU processes and reload the nvidia modules",
    )


def _lost(host: GpuHost) -> _Words:
    which = f"GPU {', '.join(host.lost)}" if host.lost else "a GPU"
    lines = "'Xid 79'" if host.vendor is Vendor.NVIDIA else "'amdgpu'"
    return (
        "lost",
        f"{which} has fallen off the bus: the driver has it, {_VENDORS[host.vendor].tool} cannot reach it",
        f"look for {lines} in 'dmesg', drain and reboot the host; if it happens again, reseat or replace the GPU",
    )


def _no_driver(host: GpuHost) -> _Words:
    """No kernel module runs."""
    vendor = _VENDORS[host.vendor]
    if host.simulated and host.answer is Answer.NOT_LOADED:  # there are no slots to tell it from
        return "not-loaded", "the NVIDIA driver is not loaded", "run 'modprobe nvidia'"
    if not host.slots:
        return (
            "no-gpu",
            "no NVIDIA GPU" if host.simulated else "no NVIDIA GPU on the PCI bus",
            "check that the card is seated and powered ('lspci -d 10de:'), or set 'required: false' for such hosts",
        )
    cards = f"{len(host.slots)} {vendor.name} GPU{'s' if len(host.slots) > 1 else ''} on the PCI bus"
    if all(slot.driver == "vfio-pci" for slot in host.slots):
        return (
            "passed-through",
            f"{cards}, all given to virtual machines (vfio-pci)",
            "set 'required: false' here and ask the machines instead, or give a GPU back to the host",
        )
    if host.on_disk:
        return (
            "not-loaded",
            f"{cards}, and driver {host.on_disk} is installed but not loaded" + _nouveau(host),
            "run 'modprobe nvidia'; if that fails see 'dmesg' and 'dkms status' (Secure Boot refuses unsigned modules)",
        )
    if host.nouveau:
        return (
            "nouveau",
            f"{cards}, driven by nouveau, which cannot run CUDA",
            "install NVIDIA's driver, blacklist nouveau, rebuild the initramfs and reboot",
        )
    return (
        "no-driver",
        f"{cards}, and no NVIDIA driver is installed for the running kernel",
        "install one (and check 'dkms status' after a kernel upgrade)",
    )


def _driven(host: GpuHost) -> bool:
    return any(slot.driver == _VENDORS[host.vendor].module for slot in host.slots)


def _nouveau(host: GpuHost) -> str:
    return " (nouveau is)" if host.nouveau else ""


def _silent(host: GpuHost) -> _Words:
    """A kernel module runs, or something stranger, and the vendor's tool tells nothing."""
    vendor = _VENDORS[host.vendor]
    runs = f"driver {host.driver.version} is loaded" if host.driver else f"{vendor.module} is loaded"
    if host.driver is None and host.vendor is Vendor.NVIDIA:
        runs = "nvidia-smi is there"
    if host.answer is Answer.ABSENT:
        return "no-smi", f"{runs}, but there is no {vendor.tool}", f"install the driver's utilities ({vendor.tools})"
    if host.answer is Answer.NO_LIBRARY:
        return "no-library", f"{runs}, but libnvidia-ml.so is not", "install the driver's libraries of the same version"
    if host.answer in (Answer.NO_DEVICES, Answer.OK):
        seen = f", and the PCI bus has {len(host.slots)}" if host.slots else ""
        return (
            "no-devices",
            f"{runs}, but finds no GPU{seen}",
            f"see 'dmesg' for {vendor.log} lines, and whether the GPU is supported",
        )
    said = f": {host.message}" if host.message else ""
    return (
        "failed",
        f"{runs}, but {vendor.tool} failed ({host.answer}){said}",
        f"run '{vendor.query}' on the host and see 'dmesg'",
    )


def _missing(host: GpuHost) -> _Words | None:
    """Some GPUs answer, and others do not."""
    if host.lost:
        return _lost(host)
    if host.attached is not None and host.attached > len(host.gpus):
        return _lost(host)
    return None
