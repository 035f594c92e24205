"""What the kernel log and DCGM say is wrong; of one device, the same thing is told once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fleetenv.gpu.problem import Problem, health
from fleetenv.gpu.states import DcgmTest, GpuHost, KernelEvent
from fleetenv.gpu.xid import xid
from fleetenv.severity import Severity

_SWITCH = "drain and reboot the host; if it happens again, its NVSwitch board or the GPU at that link is bad"
_DCGM = "run 'dcgmi diag -r 3' on the drained host"
_ASKS = 154  # its line says what for
_MAX_TEXT = 120
_SHOWN = 3


def event_problems(host: GpuHost) -> Iterator[Problem]:
    """Yield each kind of event of each GPU once, and of all NVSwitches; and what DCGM found."""
    indexes = {gpu.bus_id: gpu.index for gpu in host.gpus}
    xids: dict[tuple[int, int | None], list[KernelEvent]] = {}
    sxids: dict[int, list[KernelEvent]] = {}
    for event in host.events:
        if event.kind == "xid":
            xids.setdefault((event.code, indexes.get(event.bus_id)), []).append(event)
        else:
            sxids.setdefault(event.code, []).append(event)
    for (_, gpu), events in xids.items():
        yield _xid(events, gpu)
    for events in sxids.values():
        yield _sxid(events)
    yield from _dcgm(host)


def _xid(events: Sequence[KernelEvent], gpu: int | None) -> Problem:
    last = events[-1]
    known = xid(last.code)
    where = "" if gpu is not None else f"GPU {_devices(events)}: "
    line = f" '{last.text[:_MAX_TEXT]}'" if not known.name or last.code == _ASKS else ""
    text = f"{where}Xid {last.code}: {known.meaning}{line}{_when(events)}"
    return health(f"xid-{last.code}", text, known.advice, gpu=gpu, severity=known.severity)


def _sxid(events: Sequence[KernelEvent]) -> Problem:
    last = events[-1]
    severity = Severity.ERROR if any(event.fatal for event in events) else Severity.WARNING
    text = f"NVSwitch {_devices(events)}: SXid {last.code}: {last.text[:_MAX_TEXT]}{_when(events)}"
    return health(f"sxid-{last.code}", text, _SWITCH, severity=severity)


def _devices(events: Sequence[KernelEvent]) -> str:
    return ", ".join(sorted({event.bus_id for event in events}))[:_MAX_TEXT]


def _when(events: Sequence[KernelEvent]) -> str:
    """` (3 times, last 2026-11-20 10:02 UTC)`."""
    last = events[-1].at
    often = f"{len(events)} times, last" if len(events) > 1 else "on"
    return f" ({often} {last:%Y-%m-%d %H:%M} UTC)" if last else f" ({len(events)} times)" if len(events) > 1 else ""


def _dcgm(host: GpuHost) -> Iterator[Problem]:
    if host.dcgm_message:
        yield health("dcgm-silent", f"DCGM: {host.dcgm_message}", "install and start datacenter-gpu-manager")
    bad: dict[tuple[str, int | None], list[DcgmTest]] = {}
    for test in host.dcgm or ():
        code = {"fail": "dcgm", "warn": "dcgm-warning"}.get(test.status.lower())
        if code:
            bad.setdefault((code, test.gpu), []).append(test)
    for (code, gpu), tests in bad.items():
        told = "; ".join(f"{test.name}: {test.text or test.status}" for test in tests[:_SHOWN])
        more = f" and {len(tests) - _SHOWN} more" if len(tests) > _SHOWN else ""
        verb = "fails" if code == "dcgm" else "has warnings of"
        yield health(code, f"{verb} DCGM's quick diagnosis: {told}{more}", _DCGM, gpu=gpu)
