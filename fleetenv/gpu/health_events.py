"""What the kernel log and DCGM say is wrong."""

from __future__ import annotations

from collections.abc import Iterator

from fleetenv.gpu.problem import Problem, health
from fleetenv.gpu.states import GpuHost, KernelEvent
from fleetenv.gpu.xid import xid
from fleetenv.severity import Severity

_SWITCH = "drain and reboot the host; if it happens again, its NVSwitch board or the GPU at that link is bad"
_DCGM = "run 'dcgmi diag -r 3' on the drained host"
_MAX_TEXT = 120


def event_problems(host: GpuHost) -> Iterator[Problem]:
    """Yield each kind of event of each device once, and what DCGM found."""
    indexes = {gpu.bus_id: gpu.index for gpu in host.gpus}
    events: dict[tuple[str, int, str], list[KernelEvent]] = {}
    for event in host.events:
        events.setdefault((event.kind, event.code, event.bus_id), []).append(event)
    for (kind, _, bus_id), same in events.items():
        yield _xid(same, indexes.get(bus_id)) if kind == "xid" else _sxid(same)
    yield from _dcgm(host)


def _xid(events: list[KernelEvent], gpu: int | None) -> Problem:
    last = events[-1]
    known = xid(last.code)
    where = "" if gpu is not None else f"GPU {last.bus_id}: "
    line = f" '{last.text[:_MAX_TEXT]}'" if not known.name or last.code == 154 else ""
    text = f"{where}Xid {last.code}: {known.meaning}{line}{_when(events)}"
    return health(f"xid-{last.code}", text, known.advice, gpu=gpu, severity=known.severity)


def _sxid(events: list[KernelEvent]) -> Problem:
    last = events[-1]
    severity = Severity.ERROR if any(event.fatal for event in events) else Severity.WARNING
    text = f"NVSwitch {last.bus_id}: SXid {last.code}: {last.text[:_MAX_TEXT]}{_when(events)}"
    return health(f"sxid-{last.code}", text, _SWITCH, severity=severity)


def _when(events: list[KernelEvent]) -> str:
    """` (3 times, last 2026-11-20 10:02 UTC)`."""
    last = events[-1].at
    often = f"{len(events)} times, last" if len(events) > 1 else "on"
    return f" ({often} {last:%Y-%m-%d %H:%M} UTC)" if last else f" ({len(events)} times)" if len(events) > 1 else ""


def _dcgm(host: GpuHost) -> Iterator[Problem]:
    if host.dcgm_message:
        yield health("dcgm-silent", f"DCGM: {host.dcgm_message}", "install and start datacenter-gpu-manager")
    for test in host.dcgm or ():
        code = {"fail": "dcgm", "warn": "dcgm-warning"}.get(test.status.lower())
        if code:
            yield health(code, f"fails DCGM's test '{test.name}': {test.text or test.status}", _DCGM, gpu=test.gpu)
