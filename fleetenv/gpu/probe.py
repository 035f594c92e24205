"""The one question about GPUs that a host is asked, and how its answer is read.

The script is POSIX sh that starts four programs: modinfo, nvidia-smi (under timeout, because it hangs when a GPU
does) and sed. The PCI bus and the loaded modules are read from /sys and /proc by the shell itself. The answer is lines
of `KEY VALUE`, then a line `smi STATUS`, then what nvidia-smi wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from fleetenv.gpu.smi import SmiLog, parse_smi
from fleetenv.gpu.states import Answer, GpuHost, KernelModule, Slot
from fleetenv.gpu.version import parse_version
from fleetenv.remote import Completed, Probe

SMI_SECONDS = 60
"""After this nvidia-smi counts as hung; on 16 GPUs without persistence mode it takes about 20 s."""

SIMULATED_MARK = b"<!-- fleetenv lab: simulated -->"
"""The comment that the lab's nvidia-smi writes, so that nothing it says is taken for real."""

# 0x0300 and 0x0302 are the PCI classes of VGA and 3D controllers; 0x0680 of the same vendor are NVSwitches.
SCRIPT = f"""(
PATH="$PATH:/usr/sbin:/sbin:/usr/lib/wsl/lib"
LC_ALL=C
export PATH LC_ALL
for d in /sys/bus/pci/devices/*; do
  {{ read -r vendor <"$d/vendor"; }} 2>/dev/null || continue
  [ "$vendor" = 0x10de ] || continue
  read -r class <"$d/class"
  case $class in 0x0300*|0x0302*) ;; *) continue ;; esac
  read -r device <"$d/device"
  bus=${{d##*/}}
  driver=-
  if [ -d "/proc/driver/nvidia/gpus/$bus" ]; then driver=nvidia
  else
    for name in nouveau vfio-pci; do [ -e "/sys/bus/pci/drivers/$name/$bus" ] && driver=$name; done
  fi
  echo "slot $bus $device $driver"
done
[ -d /sys/module/nouveau ] && echo "nouveau loaded"
if [ -r /sys/module/nvidia/version ]; then read -r version </sys/module/nvidia/version; echo "module $version"; fi
if [ -r /proc/driver/nvidia/version ]; then read -r line </proc/driver/nvidia/version; echo "nvrm $line"; fi
for f in /usr/lib/*-linux-gnu/libnvidia-ml.so.*.* /usr/lib64/libnvidia-ml.so.*.* /usr/lib/libnvidia-ml.so.*.*; do
  if [ -e "$f" ]; then echo "library ${{f##*libnvidia-ml.so.}}"; break; fi
done
if command -v modinfo >/dev/null 2>&1; then
  version=$(modinfo -F version nvidia 2>/dev/null) && echo "disk $version"
fi
if ! command -v nvidia-smi >/dev/null 2>&1; then echo "smi absent"; exit 0; fi
limit=
command -v timeout >/dev/null 2>&1 && limit="timeout -k 5 {SMI_SECONDS}"
out=$($limit nvidia-smi -q -x </dev/null 2>&1)
echo "smi $?"
printf '%s\\n' "$out" | sed '/<supported_clocks>/,/<\\/supported_clocks>/d'
)"""

_ANSWERS = {
    6: Answer.NO_DEVICES,
    9: Answer.NOT_LOADED,
    12: Answer.NO_LIBRARY,
    15: Answer.GPU_LOST,
    18: Answer.MISMATCH,
    124: Answer.HUNG,
    137: Answer.HUNG,
}
_SAID = {  # some builds exit with another status than NVML's, or 255 for all
    "driver/library version mismatch": Answer.MISMATCH,
    "couldn't communicate with the nvidia driver": Answer.NOT_LOADED,
    "no devices were found": Answer.NO_DEVICES,
    "gpu is lost": Answer.GPU_LOST,
}
_NVRM = re.compile(r"(?P<open>Open )?Kernel Module(?: for \S+)?\s+(?P<version>[0-9]+(?:\.[0-9]+)+)", re.ASCII)
_NVML_LIBRARY = re.compile(r"NVML library version: (?P<version>[0-9]+(?:\.[0-9]+)+)", re.ASCII)
_NOT_FOUND = "127"  # of a shell: a script stands where nvidia-smi should be, and does not find it either
_MAX_LINES = 10_000
_MAX_MESSAGE = 400


def gpu_probe() -> Probe[GpuHost]:
    """Return the question."""
    return Probe(SCRIPT, parse_answer)


def parse_answer(completed: Completed) -> GpuHost:
    """Read what the script wrote.

    Raises:
        ValueError: the script did not come to its end.
    """
    head, smi_line, smi_output = _split(completed.stdout)
    facts = [line.decode("utf-8", "replace").partition(" ") for line in head]
    values = {key: value.strip() for key, _, value in facts}
    answer, log, message = _read_smi(smi_line, smi_output)
    simulated = SIMULATED_MARK in smi_output
    said = _NVML_LIBRARY.search(message)
    # a simulated host has its controller's hardware below it: what /sys says is not part of the simulation
    slots = () if simulated else tuple(_slots(value for key, _, value in facts if key == "slot"))
    return GpuHost(
        answer=answer,
        message=message,
        slots=slots,
        driver=_kernel_module({} if simulated else values, log),
        on_disk=None if simulated else _version(values.get("disk")),
        library=_version(said["version"] if said else None) or (None if simulated else _version(values.get("library"))),
        cuda=log.cuda if log else None,
        nouveau=not simulated and "nouveau" in values,
        gpus=log.gpus if log else (),
        attached=log.attached if log else None,
        simulated=simulated,
    )


def _split(output: bytes) -> tuple[list[bytes], str, bytes]:
    """Part the script's own lines, its `smi` line, and what nvidia-smi wrote."""
    head: list[bytes] = []
    rest = output
    while rest and len(head) < _MAX_LINES:
        line, _, rest = rest.partition(b"\n")
        if line.startswith(b"smi "):
            return head, line[4:].decode("ascii", "replace").strip(), rest
        head.append(line)
    raise ValueError("the host's answer about its GPUs is incomplete")


def _read_smi(status: str, output: bytes) -> tuple[Answer, SmiLog | None, str]:
    """Return how nvidia-smi answered, its document if there is one, and what else it said."""
    if status in ("absent", _NOT_FOUND):
        return Answer.ABSENT, None, ""
    words, document = _part_document(output)
    message = " ".join(words.decode("utf-8", "replace").split())[:_MAX_MESSAGE]
    log: SmiLog | None = None
    if document:
        try:
            log = parse_smi(document)
        except ValueError as error:
            return Answer.UNREADABLE, None, f"{error}; {message}".rstrip("; ")
    said = next((answer for words_, answer in _SAID.items() if words_ in message.lower()), None)
    if status == "0":
        answer = said or (Answer.OK if log else Answer.UNREADABLE)
    else:
        answer = _ANSWERS.get(int(status) if status.isascii() and status.isdigit() else -1) or said or Answer.FAILED
    return answer, log, message


def _part_document(output: bytes) -> tuple[bytes, bytes]:
    """Part messages, which nvidia-smi may write before and after, from the XML."""
    starts = [at for at in (output.find(b"<?xml"), output.find(b"<nvidia_smi_log")) if at >= 0]
    if not starts:
        return output.replace(SIMULATED_MARK, b""), b""
    start = min(starts)
    end_tag = b"</nvidia_smi_log>"
    end = output.rfind(end_tag)
    end = len(output) if end < 0 else end + len(end_tag)
    return (output[:start] + b" " + output[end:]).replace(SIMULATED_MARK, b""), output[start:end]


def _slots(lines: Iterable[str]) -> Iterable[Slot]:
    for line in lines:
        words = line.split()
        if len(words) == 3:
            bus_id, device, driver = words
            yield Slot(
                bus_id=bus_id.lower(), device=device.removeprefix("0x"), driver=None if driver == "-" else driver
            )


def _kernel_module(values: dict[str, str], log: SmiLog | None) -> KernelModule | None:
    nvrm = _NVRM.search(values.get("nvrm", ""))
    version = _version(values.get("module")) or (nvrm["version"] if nvrm else None) or (log.driver if log else None)
    if version is None:
        return None
    flavour = None if nvrm is None else "open" if nvrm["open"] else "proprietary"
    return KernelModule(version=version, flavour=flavour)


def _version(text: str | None) -> str | None:
    try:
        return text if text and parse_version(text) else None
    except ValueError:
        return None
