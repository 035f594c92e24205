"""What is wrong with GPUs that do answer, in words that say what to do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from fleetenv.gpu.hardware import Gpu
from fleetenv.gpu.health_events import event_problems
from fleetenv.gpu.health_links import fabric_problems, link_problems
from fleetenv.gpu.problem import Problem, health
from fleetenv.gpu.states import GpuHost, KernelLog, Vendor

_RESETS = {
    Vendor.NVIDIA: "drain it and reset it ('nvidia-smi -r')",
    Vendor.AMD: "drain it and reset it ('amd-smi reset -G')",
}
_REPLACE = "replace it (RMA)"
_MANY_PAGES = 60  # NVIDIA replaces a GPU from here on: https://docs.nvidia.com/deploy/dynamic-page-retirement/


def health_problems(host: GpuHost) -> tuple[Problem, ...]:
    """Return what is wrong with GPUs that do answer, the worst first."""
    found = [
        *_host_problems(host),
        *fabric_problems(host),
        *event_problems(host),
        *(problem for gpu in host.gpus for problem in _gpu_problems(gpu, _RESETS[host.vendor])),
    ]
    return tuple(sorted(found, key=lambda problem: problem.severity.rank))


def _host_problems(host: GpuHost) -> Iterator[Problem]:
    if len({gpu.model for gpu in host.gpus}) > 1:
        yield health(
            "mixed-models",
            "GPUs of different models: " + ", ".join(f"{count} {kind}" for kind, count in host.kinds.items()),
            "jobs over all GPUs run at the pace of the slowest; choose by CUDA_VISIBLE_DEVICES",
        )
    elif len(versions := Counter(gpu.vbios for gpu in host.gpus if gpu.vbios)) > 1:
        told = ", ".join(f"{count} with {version}" for version, count in versions.most_common())
        yield health("mixed-vbios", f"different VBIOS versions: {told}", "update them at the next maintenance")
    if host.driver and host.on_disk and host.on_disk != host.driver.version:
        yield health(
            "reboot-pending",
            f"driver {host.driver.version} runs, {host.on_disk} is on disk",
            "reboot before the libraries and the kernel module stop fitting",
        )
    if host.kernel_log is KernelLog.DENIED:
        advice = "use 'become', or let the user read it: 'usermod -aG systemd-journal,adm USER'"
        yield health("kernel-log", "the kernel log may not be read, so Xids are not seen", advice)
    if host.unread:
        shown = ", ".join(host.unread[:3]) + (f" and {len(host.unread) - 3} more" if len(host.unread) > 3 else "")
        yield health("unread", f"nvidia-smi tells of what is not known here: {shown}", "use a newer fleetenv")


def _gpu_problems(gpu: Gpu, reset: str) -> Iterator[Problem]:
    if gpu.recovery_action:
        text = f"asks for recovery: {gpu.recovery_action}"
        yield health("recovery", text, "drain the host and do that", gpu=gpu.index)
    yield from _memory(gpu, reset)
    yield from _heat(gpu)
    yield from link_problems(gpu)
    yield from _settings(gpu)


def _memory(gpu: Gpu, reset: str) -> Iterator[Problem]:
    memory, index = gpu.memory, gpu.index
    if memory.volatile.uncorrected:
        text = f"has had {memory.volatile.uncorrected} uncorrected ECC errors since its driver was loaded"
        yield health("ecc-uncorrected", text, reset, gpu=index)
    elif memory.aggregate.uncorrected:
        text = f"has had {memory.aggregate.uncorrected} uncorrected ECC errors in its life"
        advice = "watch it; more of them are a reason to replace it"
        yield health("ecc-uncorrected-past", text, advice, gpu=index)
    if memory.sram_threshold_exceeded:
        yield health("sram-threshold", "has had too many SRAM errors", _REPLACE, gpu=index)
    if memory.remapping_failed:
        yield health("remapping-failed", "could not remap a bad memory row", _REPLACE, gpu=index)
    if memory.remapping_pending:
        yield health("remapping-pending", "has memory rows to remap at its next reset", reset, gpu=index)
    if memory.spare_rows.get("none"):
        text = f"has {memory.spare_rows['none']} memory banks without a spare row"
        yield health("spare-rows", text, "plan to replace it: the next bad row there cannot be remapped", gpu=index)
    if memory.retirement_pending:
        yield health("retirement-pending", "has memory pages to retire at its next reset", reset, gpu=index)
    if (memory.retired_pages or 0) >= _MANY_PAGES:
        yield health("retired-pages", f"has {memory.retired_pages} retired memory pages", _REPLACE, gpu=index)
    if memory.channel_repair_pending or memory.tpc_repair_pending:
        what = "a memory channel" if memory.channel_repair_pending else "a processing cluster (TPC)"
        yield health("repair-pending", f"repairs {what} at its next reset", reset, gpu=index)
    if memory.unrepairable:
        yield health("unrepairable", "has memory that can no longer be repaired", _REPLACE, gpu=index)


def _heat(gpu: Gpu) -> Iterator[Problem]:
    reasons = [_SLOWDOWNS[name] for name in gpu.slowdowns if name in _SLOWDOWNS]
    if len(reasons) > 1:  # hw_slowdown goes along with each of hw_*_slowdown
        reasons = [reason for reason in reasons if reason is not _SLOWDOWNS["hw_slowdown"]]
    if reasons:
        text, advice = (", ".join(dict.fromkeys(words)) for words in zip(*reasons, strict=True))
        yield health("slowdown", f"is slowed down: {text}", advice, gpu=gpu.index)
    limits = gpu.temperatures
    for name, now, limit in (
        ("GPU", gpu.temperature_c, limits.slowdown),
        ("memory", limits.memory, limits.memory_operating),
    ):
        if now is not None and limit is not None and 0 < limit <= now:
            text = f"is at its limit: {name} {now:g} °C of {limit:g} °C"
            yield health("hot", text, "check fans, air flow and dust", gpu=gpu.index)
            return
    if limits.margin is not None and limits.margin <= 0:
        text = f"is at its limit: {-limits.margin:g} °C above where it slows down"
        yield health("hot", text, "check fans, air flow and dust", gpu=gpu.index)


def _settings(gpu: Gpu) -> Iterator[Problem]:
    memory, index = gpu.memory, gpu.index
    reset = "reset it ('nvidia-smi -r') or reboot"
    if memory.ecc is not None and memory.ecc_after_reset not in (None, memory.ecc):
        text = f"turns ECC {'on' if memory.ecc_after_reset else 'off'} at its next reset"
        yield health("ecc-pending", text, reset, gpu=index)
    if gpu.mig is not None and gpu.mig_after_reset not in (None, gpu.mig):
        text = f"turns MIG {'on' if gpu.mig_after_reset else 'off'} at its next reset"
        yield health("mig-pending", text, reset, gpu=index)
    elif gpu.mig and not gpu.mig_devices:
        advice = "create instances ('nvidia-smi mig -cgi PROFILE -C', or gpu_settings), or turn MIG off"
        yield health("mig-empty", "has MIG on and no instance", advice, gpu=index)
    if gpu.compute_mode == "Prohibited":
        yield health("compute-prohibited", "lets no job use it (compute mode)", "nvidia-smi -c DEFAULT", gpu=index)
    if gpu.persistence is False:
        advice = "run nvidia-persistenced, or gpu_settings: {persistence: true}"
        yield health("persistence-off", "has persistence mode off", advice, gpu=index)
    power = gpu.power
    if power.limit is not None and power.default is not None and power.limit < power.default:
        text = f"is limited to {power.limit:g} W; its default is {power.default:g} W"
        yield health("power-limit", text, "right if you meant it; else gpu_settings: {power_limit: default}", gpu=index)


_AIR = "check fans, air flow and dust"
_SLOWDOWNS = {
    "hw_slowdown": ("by its hardware", "check cooling and power supply"),
    "hw_thermal_slowdown": ("too hot", _AIR),
    "sw_thermal_slowdown": ("too warm", _AIR),
    "hw_power_brake_slowdown": ("power brake", "check the power supply and its cables"),
    "amd_prochot": ("too hot", _AIR),
    "amd_socket_thermal": ("too hot", _AIR),
    "amd_hbm_thermal": ("memory too hot", _AIR),
    "amd_vr_thermal": ("voltage regulator too hot", _AIR),
}
