"""What nvidia-smi tells in plain text only: NVLinks and their errors, and the names of MIG devices.

GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-...)        nvidia-smi nvlink -s
         Link 0: 26.562 GB/s
         Link 1: <inactive>
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-...)        nvidia-smi nvlink -e
         Link 0: Replay Errors: 0
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-...)        nvidia-smi -L
  MIG 3g.40gb     Device  0: (UUID: MIG-...)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from fleetenv.gpu.hardware import Gpu, MigDevice, NvLink

_GPU = re.compile(r"^GPU (?P<index>[0-9]{1,4}):", re.ASCII)
_LINK = re.compile(r"^\s+Link (?P<index>[0-9]{1,3}): (?P<text>.{1,80})", re.ASCII)
_SPEED = re.compile(r"(?P<speed>[0-9]{1,6}(?:\.[0-9]{1,6})?) GB/s", re.ASCII)
_COUNTER = re.compile(r"(?P<kind>[A-Za-z][A-Za-z ]{1,40}): (?P<count>[0-9]{1,18})", re.ASCII)
_ERRORS = frozenset(
    {
        "Replay Errors", "Recovery Errors", "CRC Errors", "CRC FLIT Errors", "CRC Data Errors", "ECC Errors",
        "Malformed packet Errors", "Buffer overrun Errors", "Rx Errors", "Rx remote Errors", "Rx General Errors",
        "Local link integrity Errors", "Tx discards", "Link recovery successful events", "Link recovery failed events",
        "Effective Errors", "Symbol Errors",
    }
)  # fmt: skip
# Not among them: packets and bytes; BER, a rate; and `FEC Errors - 0`, which counts in the billions on healthy links.
_MIG = re.compile(
    r"^\s+MIG (?P<profile>\S{1,40})\s+Device\s+(?P<index>[0-9]{1,3}): \(UUID: (?P<uuid>[^)]{1,80})\)", re.ASCII
)
_MAX_LINKS = 64  # 18 with Hopper


def with_links(gpus: Sequence[Gpu], states: Iterable[str], errors: Iterable[str]) -> tuple[Gpu, ...]:
    """Return the GPUs with what `nvlink -s` and `nvlink -e` told of their links."""
    links: dict[int, dict[int, NvLink]] = {}
    for gpu, index, text in _link_lines(states):
        speed = _SPEED.search(text)
        rate = float(speed["speed"]) if speed else None
        links.setdefault(gpu, {})[index] = NvLink(index=index, active=bool(rate), speed=rate)
    counts: dict[tuple[int, int], dict[str, int]] = {}
    for gpu, index, text in _link_lines(errors):
        found = _COUNTER.fullmatch(text)
        if found and found["kind"] in _ERRORS:
            counts.setdefault((gpu, index), {})[found["kind"].removesuffix(" Errors")] = int(found["count"])
    return tuple(
        msgspec.structs.replace(
            gpu,
            nvlinks=tuple(
                msgspec.structs.replace(link, errors=counts.get((gpu.index, link.index), {}))
                for _, link in sorted(links.get(gpu.index, {}).items())[:_MAX_LINKS]
            ),
        )
        for gpu in gpus
    )


def with_mig_names(gpus: Sequence[Gpu], listing: Iterable[str]) -> tuple[Gpu, ...]:
    """Return the GPUs with their MIG devices' profiles and UUIDs, which only `nvidia-smi -L` tells."""
    names: dict[tuple[int, int], re.Match[str]] = {}
    gpu = -1
    for line in listing:
        heading, device = _GPU.match(line), _MIG.match(line)
        if heading:
            gpu = int(heading["index"])
        elif device:
            names[gpu, int(device["index"])] = device

    def named(gpu: Gpu, device: MigDevice) -> MigDevice:
        found = names.get((gpu.index, device.index))
        return msgspec.structs.replace(device, profile=found["profile"], uuid=found["uuid"]) if found else device

    return tuple(
        msgspec.structs.replace(gpu, mig_layout=tuple(named(gpu, device) for device in gpu.mig_layout)) for gpu in gpus
    )


def _link_lines(lines: Iterable[str]) -> Iterator[tuple[int, int, str]]:
    """Yield GPU, link and what is said of it."""
    gpu: int | None = None
    for line in lines:
        heading, link = _GPU.match(line), _LINK.match(line)
        if heading:
            gpu = int(heading["index"])
        elif link and gpu is not None:
            yield gpu, int(link["index"]), link["text"].strip()
