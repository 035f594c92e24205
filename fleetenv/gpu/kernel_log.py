"""Lines of the kernel log in which NVIDIA's driver tells of errors.

[34079.420545] NVRM: Xid (PCI:0000:3b:00): 79, pid=1896, GPU has fallen off the bus.
1700000000.12 gpu07 kernel: nvidia-nvswitch3: SXid (PCI:0000:c3:00.0): 20009, Non-fatal, Link 28 RX Short Error Rate
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from fleetenv.gpu.smi import normal_bus_id
from fleetenv.gpu.states import KernelEvent

MAX_EVENTS = 100
"""How many of the last lines are looked at."""

_SINCE_BOOT = re.compile(r"^(?:<[0-9]+>)?\[ *(?P<seconds>[0-9]{1,10}\.[0-9]{1,9})\]", re.ASCII)
_ABSOLUTE = re.compile(r"^(?P<seconds>[0-9]{9,11}\.[0-9]{1,9}) ", re.ASCII)
_XID = re.compile(
    r"NVRM: Xid \((?:PCI:)?(?P<bus>[0-9A-Fa-f:.]{4,20})[^)]{0,40}\): (?P<code>[0-9]{1,5}),? ?(?P<text>.*)"
)
_SXID = re.compile(r": SXid \(PCI:(?P<bus>[0-9A-Fa-f:.]{4,20})\): (?P<code>[0-9]{1,6}), ?(?P<text>.*)")
_MAX_TEXT = 200
_NAME = re.compile(r"\bname=[^,]*, ?")  # the process's own name: whatever its user wrote


def read_events(lines: Iterable[str], boot: float | None) -> tuple[KernelEvent, ...]:
    """Read the events among `lines`; `boot` is when the host started, in seconds since 1970."""
    return tuple(_events(lines, boot))[-MAX_EVENTS:]


def _events(lines: Iterable[str], boot: float | None) -> Iterator[KernelEvent]:
    for line in lines:
        for kind, pattern in (("xid", _XID), ("sxid", _SXID)):
            found = pattern.search(line)
            if found:
                text = _NAME.sub("", found["text"]).strip()
                yield KernelEvent(
                    kind=kind,
                    code=int(found["code"]),
                    bus_id=_bus_id(found["bus"]),
                    text=text[:_MAX_TEXT],
                    at=_time(line, boot),
                    fatal=None if kind == "xid" else not text.lower().startswith("non-fatal"),
                )
                break


def _bus_id(text: str) -> str:
    """`0000:3b:00` is how Xids name a GPU: the function is always 0."""
    bus_id = normal_bus_id(text if text.count(":") > 1 else f"0000:{text}")
    return bus_id if "." in bus_id else f"{bus_id}.0"


def _time(line: str, boot: float | None) -> datetime | None:
    since, absolute = _SINCE_BOOT.match(line), _ABSOLUTE.match(line)
    seconds = float(absolute["seconds"]) if absolute else boot + float(since["seconds"]) if since and boot else None
    try:
        return None if seconds is None else datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError):
        return None
