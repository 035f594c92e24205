"""The one question about GPUs that a host is asked, and how its answer is read.

The question is probe.sh. The answer is lines of `KEY VALUE`, then a line `smi STATUS`, then what nvidia-smi wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from msgspec.structs import replace

from fleetenv.gpu.amd import AmdLog, parse_amd_smi, parse_rocm_smi
from fleetenv.gpu.dcgm import read_dcgm
from fleetenv.gpu.hardware import Gpu
from fleetenv.gpu.kernel_log import MAX_EVENTS, read_events
from fleetenv.gpu.links import with_links, with_mig_names
from fleetenv.gpu.smi import SmiLog
from fleetenv.gpu.smi_answer import MAX_BYTES, SIMULATED_MARK, read_smi
from fleetenv.gpu.states import Answer, FabricManager, GpuHost, KernelLog, KernelModule, Slot, Vendor
from fleetenv.gpu.version import parse_version
from fleetenv.remote import Completed, Probe

SMI_SECONDS = 60
"""After this nvidia-smi counts as hung; on 16 GPUs without persistence mode it takes about 20 s."""

PROBE_SECONDS = SMI_SECONDS + 100
"""After this the whole question counts as hung: nvidia-smi, and what is asked after it."""

DCGM_SECONDS = 180
"""After this DCGM's quick diagnosis is ended; it takes 5 to 60 s."""


def _script(dcgm: str) -> str:
    text = Path(__file__).with_name("probe.sh").read_text(encoding="utf-8")
    text = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#")) + "\n"
    for name, value in {
        "dcgm": dcgm,
        "seconds": str(SMI_SECONDS),
        "bytes": str(MAX_BYTES),
        "events": str(MAX_EVENTS),
        "mark": SIMULATED_MARK.decode(),
    }.items():
        text = text.replace(f"@{name}@", value)
    return text


SCRIPT = _script("")

_NVRM = re.compile(r"(?P<open>Open )?Kernel Module(?: for \S+)?\s+(?P<version>[0-9]+(?:\.[0-9]+)+)", re.ASCII)
_USER = re.compile(r"/proc/(?P<pid>[0-9]{1,10}) (?P<name>\S{1,64}) (?P<uid>[0-9]{1,10})", re.ASCII)
_NVML_LIBRARY = re.compile(r"NVML library version: (?P<version>[0-9]+(?:\.[0-9]+)+)", re.ASCII)
_FABRIC_MANAGER = re.compile(r"version is\s*:\s*(?P<version>[0-9]+(?:\.[0-9]+)+)", re.ASCII)
_AMD_GRAPHICS = "0x0300"  # the class of AMD's graphics in processors, too; others are for computing
_MAX_LINES = 10_000
_MAX_LINE = MAX_BYTES + 1000
_MAX_SLOTS = 256


def gpu_probe() -> Probe[GpuHost]:
    """Return the question."""
    return Probe(SCRIPT, parse_answer)


@cache
def thorough_probe() -> Probe[GpuHost]:
    """Return the question with DCGM's quick diagnosis in it, where the host has `dcgmi`. It uses the GPUs meanwhile."""
    text = Path(__file__).with_name("dcgm.sh").read_text(encoding="utf-8")
    return Probe(_script(text.replace("@seconds@", str(DCGM_SECONDS))), parse_answer)


class _Lines:
    """The script's own lines: `KEY VALUE`, a key many times if there is a list of it."""

    def __init__(self, lines: list[bytes]) -> None:
        self._lines = [line.decode("utf-8", "replace").partition(" ") for line in lines]

    def all(self, key: str) -> list[str]:
        return [value for name, _, value in self._lines if name == key]

    def without(self, *keys: str) -> _Lines:
        rest = _Lines([])
        rest._lines = [line for line in self._lines if line[0] not in keys]
        return rest

    def last(self, key: str) -> str | None:
        found = self.all(key)
        return found[-1].strip() if found else None


def parse_answer(completed: Completed) -> GpuHost:
    """Read what the script wrote.

    Raises:
        ValueError: the script did not come to its end.
    """
    head, smi_line, smi_output = _split(completed.stdout)
    lines = _Lines(head)
    answer, log, message = read_smi(smi_line, smi_output)
    simulated = SIMULATED_MARK in smi_output or SIMULATED_MARK.decode() in (lines.last("amd-static") or "")
    host = _with_kernel_log(GpuHost(answer=answer, message=message, simulated=simulated), lines)
    host = _with_dcgm(host, lines)
    if log is not None:
        gpus = with_mig_names(with_links(log.gpus, lines.all("link"), lines.all("error")), lines.all("list"))
        gpus = _with_users(gpus, lines.all("user"))
        host = replace(host, cuda=log.cuda, gpus=gpus, attached=log.attached, unread=log.unread)
    said = _NVML_LIBRARY.search(message)
    library = _version(said["version"] if said else None)
    if simulated:  # it has its controller's hardware below it: what /sys says is not part of the simulation
        seen = replace(host, driver=_kernel_module(_Lines([]), log), library=library)
        return _amd_host(seen, lines.without("amd", "amd-module")) or seen
    host = replace(
        host,
        slots=tuple(_slots(lines.all("slot"))),
        driver=_kernel_module(lines, log),
        on_disk=_version(lines.last("disk")),
        library=library or _version(lines.last("library")),
        nouveau=bool(lines.all("nouveau")),
        switches=min(len(lines.all("switch")), _MAX_SLOTS),
        fabric_manager=_fabric_manager(lines),
    )
    return _amd_host(host, lines) or host


def _split(output: bytes) -> tuple[list[bytes], str, bytes]:
    """Part the script's own lines, its `smi` line, and what nvidia-smi wrote."""
    head: list[bytes] = []
    at = 0
    while at < len(output) and len(head) < _MAX_LINES:
        end = output.find(b"\n", at)
        end = len(output) if end < 0 else end
        line = output[at:end][:_MAX_LINE]
        at = end + 1
        if line.startswith(b"smi "):
            return head, line[4:44].decode("ascii", "replace").strip(), output[at:]
        head.append(line)
    raise ValueError("the host's answer about its GPUs is incomplete")


def _slots(lines: list[str]) -> Iterator[Slot]:
    for line in lines[:_MAX_SLOTS]:
        words = line.split()
        if len(words) == 3:
            bus_id, device, driver = words
            yield Slot(
                bus_id=bus_id.lower(), device=device.removeprefix("0x"), driver=None if driver == "-" else driver
            )


def _kernel_module(lines: _Lines, log: SmiLog | None) -> KernelModule | None:
    nvrm = _NVRM.search(lines.last("nvrm") or "")
    version = _version(lines.last("module")) or (nvrm["version"] if nvrm else None) or (log.driver if log else None)
    if version is None:
        return None
    flavour = None if nvrm is None else "open" if nvrm["open"] else "proprietary"
    return KernelModule(version=version, flavour=flavour)


def _with_users(gpus: tuple[Gpu, ...], lines: list[str]) -> tuple[Gpu, ...]:
    """Name the users of processes: lines `/proc/4937 alice 1000`, a user without a name being UNKNOWN."""
    users: dict[int, str] = {}
    for line in lines:
        found = _USER.fullmatch(line.strip())
        if found:
            users[int(found["pid"])] = found["uid"] if found["name"] == "UNKNOWN" else found["name"]
    return tuple(
        replace(gpu, processes=tuple(replace(process, user=users.get(process.pid)) for process in gpu.processes))
        for gpu in gpus
    )


def _fabric_manager(lines: _Lines) -> FabricManager | None:
    version, service = lines.last("fabric-version"), lines.last("fabric-service")
    if version is None and service is None:
        return None
    found = _FABRIC_MANAGER.search(version or "")
    return FabricManager(version=found["version"] if found else None, service=(service or "")[:40] or None)


def _with_kernel_log(host: GpuHost, lines: _Lines) -> GpuHost:
    log, btime = lines.all("kernel"), lines.last("btime")
    if host.answer is Answer.ABSENT and btime is None:
        return host
    if host.simulated and not any(SIMULATED_MARK.decode() in line for line in log):
        return host  # the log of the machine that the simulation runs on
    if any(line.startswith("log denied") for line in log):
        return replace(host, kernel_log=KernelLog.DENIED)
    boot = float(btime) if btime and btime.isascii() and btime.isdigit() and len(btime) < 12 else None
    return replace(host, kernel_log=KernelLog.READ, events=read_events(log, boot))


def _with_dcgm(host: GpuHost, lines: _Lines) -> GpuHost:
    said = lines.last("dcgm")
    if said is None:
        return host
    if said == "absent":
        return replace(host, dcgm_message="there is no dcgmi on the host")
    tests, message = read_dcgm(said)
    return replace(host, dcgm=tests or None, dcgm_message=message)


def _amd_host(host: GpuHost, lines: _Lines) -> GpuHost | None:
    """Return the host as AMD's; None when it has no AMD GPU that computes, or has NVIDIA's as well."""
    static, rocm = lines.last("amd-static"), lines.last("rocm")
    told = static is not None or rocm is not None
    cards = [line.rpartition(" ") for line in lines.all("amd")]
    slots = [card for card, _, kind in cards if told or not kind.startswith(_AMD_GRAPHICS)]
    if host.slots or host.answer is not Answer.ABSENT or not (told or slots):
        return None
    log: AmdLog | None = None
    answer, message = Answer.ABSENT, ""
    if told:
        try:
            log = (
                parse_rocm_smi(rocm or "")
                if static is None
                else parse_amd_smi(static, lines.last("amd-metric") or "", lines.last("amd-version") or "")
            )
            answer = Answer.OK
        except ValueError as error:
            answer, message = (Answer.UNREADABLE if static or rocm else Answer.FAILED), str(error)
    if log is None and not slots:
        return None  # a tool without a GPU
    version = _version(lines.last("amd-module")) or (log.driver if log else None)
    return replace(
        host,
        vendor=Vendor.AMD,
        answer=answer,
        message=message,
        slots=tuple(_slots(slots)),
        driver=KernelModule(version=version, flavour="open") if version else None,
        gpus=log.gpus if log else (),
        on_disk=None,
        library=None,
    )


def _version(text: str | None) -> str | None:
    try:
        return text if text and parse_version(text) else None
    except ValueError:
        return None
