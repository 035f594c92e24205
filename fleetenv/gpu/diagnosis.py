"""What is wrong with a host's GPUs, in words that say what to do about it."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from fleetenv.gpu.probe import SMI_SECONDS
from fleetenv.gpu.states import Answer, Gpu, GpuHost
from fleetenv.severity import Severity


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong: a stable `code`, what was seen (of the GPU with that index), and what mends it."""

    code: str
    severity: Severity
    text: str
    advice: str
    gpu: int | None = None

    def __str__(self) -> str:
        return f"{self.subject}{self.text}; {self.advice}"

    @property
    def subject(self) -> str:
        """`GPU 3 `, or nothing when it is not about one GPU."""
        return "" if self.gpu is None else f"GPU {self.gpu} "


def driver_problem(host: GpuHost) -> Problem | None:
    """Return why the host's GPUs cannot be used at all, or not all of them; None when they can."""
    found = _unanswered(host) or _missing(host)
    if found is None:
        return None
    code, text, advice = found
    return Problem(code=code, severity=Severity.ERROR, text=text, advice=advice)


def health_problems(host: GpuHost) -> tuple[Problem, ...]:
    """Return what is wrong with GPUs that do answer, the worst first."""
    found = [*_host_health(host), *(problem for gpu in host.gpus for problem in _gpu_health(gpu))]
    return tuple(sorted(found, key=lambda problem: problem.severity.rank))


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
        return _lost(host.lost)
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


def _lost(bus_ids: tuple[str, ...]) -> _Words:
    which = f"GPU {', '.join(bus_ids)}" if bus_ids else "a GPU"
    return (
        "lost",
        f"{which} has fallen off the bus: the driver has it, nvidia-smi does not show it",
        "look for 'Xid 79' in 'dmesg', drain and reboot the host; if it happens again, reseat or replace the GPU",
    )


def _no_driver(host: GpuHost) -> _Words:
    """No kernel module runs."""
    if host.simulated and host.answer is Answer.NOT_LOADED:  # there are no slots to tell it from
        return "not-loaded", "the NVIDIA driver is not loaded", "run 'modprobe nvidia'"
    if not host.slots:
        return (
            "no-gpu",
            "no NVIDIA GPU" if host.simulated else "no NVIDIA GPU on the PCI bus",
            "check that the card is seated and powered ('lspci -d 10de:'), or set 'required: false' for such hosts",
        )
    cards = f"{len(host.slots)} NVIDIA GPU{'s' if len(host.slots) > 1 else ''} on the PCI bus"
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


def _nouveau(host: GpuHost) -> str:
    return " (nouveau is)" if host.nouveau else ""


def _silent(host: GpuHost) -> _Words:
    """A kernel module runs, or something stranger, and nvidia-smi tells nothing."""
    runs = f"driver {host.driver.version} is loaded" if host.driver else "nvidia-smi is there"
    if host.answer is Answer.ABSENT:
        return "no-smi", f"{runs}, but there is no nvidia-smi", "install the driver's utilities (nvidia-utils)"
    if host.answer is Answer.NO_LIBRARY:
        return "no-library", f"{runs}, but libnvidia-ml.so is not", "install the driver's libraries of the same version"
    if host.answer in (Answer.NO_DEVICES, Answer.OK):
        seen = f", and the PCI bus has {len(host.slots)}" if host.slots else ""
        return (
            "no-devices",
            f"{runs}, but finds no GPU{seen}",
            "see 'dmesg' for NVRM lines, and whether the GPU is supported",
        )
    said = f": {host.message}" if host.message else ""
    return (
        "failed",
        f"{runs}, but nvidia-smi failed ({host.answer}){said}",
        "run 'nvidia-smi -q' on the host and see 'dmesg'",
    )


def _missing(host: GpuHost) -> _Words | None:
    """Some GPUs answer, and others do not."""
    if host.lost:
        return _lost(host.lost)
    if host.attached is not None and host.attached > len(host.gpus):
        return _lost(())
    return None


def _host_health(host: GpuHost) -> Iterator[Problem]:
    if len({gpu.model for gpu in host.gpus}) > 1:
        yield Problem(
            code="mixed-models",
            severity=Severity.WARNING,
            text="GPUs of different models: " + ", ".join(f"{count} {kind}" for kind, count in host.kinds.items()),
            advice="jobs over all GPUs run at the pace of the slowest; choose by CUDA_VISIBLE_DEVICES",
        )
    if host.driver and host.on_disk and host.on_disk != host.driver.version:
        yield Problem(
            code="reboot-pending",
            severity=Severity.WARNING,
            text=f"driver {host.driver.version} runs, {host.on_disk} is on disk",
            advice="reboot before the libraries and the kernel module stop fitting",
        )


def _gpu_health(gpu: Gpu) -> Iterator[Problem]:
    def problem(code: str, severity: Severity, text: str, advice: str) -> Problem:
        return Problem(code=code, severity=severity, text=text, advice=advice, gpu=gpu.index)

    memory = gpu.memory
    if gpu.recovery_action:
        text = f"asks for recovery: {gpu.recovery_action}"
        yield problem("recovery", Severity.ERROR, text, "drain the host and do that")
    if memory.volatile.uncorrected:
        text = f"has had {memory.volatile.uncorrected} uncorrected ECC errors since its driver was loaded"
        yield problem(
            "ecc-uncorrected", Severity.ERROR, text, "drain it and reset it ('nvidia-smi -r'); run dcgmi diag"
        )
    elif memory.aggregate.uncorrected:
        text = f"has had {memory.aggregate.uncorrected} uncorrected ECC errors in its life"
        yield problem("ecc-uncorrected-past", Severity.NOTE, text, "watch it; more of them are a reason to replace it")
    if memory.remapping_failed:
        yield problem("remapping-failed", Severity.ERROR, "could not remap a bad memory row", "replace it (RMA)")
    if memory.remapping_pending:
        text = "has memory rows to remap at its next reset"
        yield problem("remapping-pending", Severity.WARNING, text, "drain it and reset it ('nvidia-smi -r')")
    if memory.retirement_pending:
        text = "has memory pages to retire at its next reset"
        yield problem("retirement-pending", Severity.WARNING, text, "drain it and reset it ('nvidia-smi -r')")
    for reason in gpu.slowdowns:
        if reason in _SLOWDOWNS:
            text, advice = _SLOWDOWNS[reason]
            yield problem("slowdown", Severity.WARNING, f"is slowed down: {text}", advice)
    if gpu.fabric is not None and gpu.fabric.lower() != "completed":
        text = f"has not joined the NVLink fabric ({gpu.fabric})"
        yield problem(
            "fabric",
            Severity.ERROR,
            text,
            "see 'systemctl status nvidia-fabricmanager'; its version must be the driver's",
        )
    if gpu.link.width and gpu.link.max_width and gpu.link.width < gpu.link.max_width:
        text = f"uses {gpu.link.width} of {gpu.link.max_width} PCIe lanes"
        yield problem("link-width", Severity.NOTE, text, "right in many slots and clouds; otherwise reseat it")
    if memory.ecc is not None and memory.ecc_after_reset not in (None, memory.ecc):
        text = f"turns ECC {'on' if memory.ecc_after_reset else 'off'} at its next reset"
        yield problem("ecc-pending", Severity.NOTE, text, "reset it ('nvidia-smi -r') or reboot")
    if gpu.mig is not None and gpu.mig_after_reset not in (None, gpu.mig):
        text = f"turns MIG {'on' if gpu.mig_after_reset else 'off'} at its next reset"
        yield problem("mig-pending", Severity.NOTE, text, "reset it ('nvidia-smi -r') or reboot")


_SLOWDOWNS = {
    "hw_slowdown": ("by its hardware", "check cooling and power supply"),
    "hw_thermal_slowdown": ("too hot", "check fans, air flow and dust"),
    "sw_thermal_slowdown": ("too warm", "check fans, air flow and dust"),
    "hw_power_brake_slowdown": ("power brake", "check the power supply and its cables"),
}
