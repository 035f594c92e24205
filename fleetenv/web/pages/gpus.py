"""All GPUs of the fleet: drivers, models, health, and error counters over time."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from itertools import islice
from typing import Literal

from msgspec import Struct

from fleetenv.drift.finding import Finding
from fleetenv.drift.snapshot import Plain
from fleetenv.history.model import HostSnapshot
from fleetenv.history.store import History
from fleetenv.web.contents import Device, Gpus, gpus_of
from fleetenv.web.counters import counter_plots, counters
from fleetenv.web.fleet import Groups, Mark, marked
from fleetenv.web.page import Page, PageNumber, Slice, cut, has_words, words_of
from fleetenv.web.plot import Plot
from fleetenv.web.render import plain_text

_ROWS = 100
_PLOTS = 24
_SNAPSHOTS = 200
_ABOUT_GPUS = re.compile(r"^gpu-|\bgpu|\bdriver\b", re.IGNORECASE)
_COUNTERS = {
    "uncorrected": "uncorrected ECC errors",
    "retired_pages": "retired pages",
    "remapped_rows": "remapped rows",
}
_SWITCHED = {True: "on", False: "off"}
_UNITS = {"power_limit_w": " W"}
_SETTINGS = {
    "persistence": "persistence",
    "ecc": "ECC",
    "mig": "MIG",
    "compute_mode": "compute mode",
    "power_limit_w": "power limit",
    "vbios": "VBIOS",
}


class GpusQuery(Struct, frozen=True):
    """Which GPUs. `by` `host`: a row for each host; `gpu`: one for each GPU."""

    q: str = ""
    group: str = ""
    driver: str = ""
    model: str = ""
    health: Literal["", "trouble", "errors"] = ""
    by: Literal["host", "gpu"] = "host"
    page: PageNumber = 1


class GpuRow(Struct, frozen=True, kw_only=True):
    """One host's GPUs, or one GPU of it, as they were when they were last looked at: `taken`, by `run`.

    `counters` are those that are not 0, summed over the row's GPUs. `lost` says why the last run did not reach it.
    """

    host: str
    gpu: str | None
    models: dict[str, int]
    memory_mib: Plain
    driver: str | None
    cuda: str | None
    settings: dict[str, str]  # persistence, MIG, ECC, ...: where the row's GPUs differ, all values
    counters: dict[str, float]
    mark: Mark
    problems: tuple[str, ...]
    lost: str | None
    simulated: bool
    run: int
    taken: datetime


class Count(Struct, frozen=True):
    """How many have a value."""

    value: str
    count: int


class GpusShown(Struct, frozen=True, kw_only=True):
    """The GPUs that were asked for. `drivers` count hosts and `models` GPUs, of the whole fleet."""

    rows: tuple[GpuRow, ...]
    part: Slice
    hosts: int
    gpus: int
    drivers: tuple[Count, ...]
    models: tuple[Count, ...]
    groups: tuple[str, ...]
    plots: tuple[Plot, ...]


def _gpus(history: History, query: GpusQuery) -> GpusShown:
    today = date.today()
    groups = Groups(history)
    findings = _findings(history)
    lost = {each.host: each.lost for each in history.runs.latest()}
    rows: list[GpuRow] = []
    drivers: Counter[str] = Counter()
    models: Counter[str] = Counter()
    hosts = 0
    for host, each in history.snapshots.latest().items():
        if not each.snapshot.get("gpus"):
            continue
        gpus = gpus_of(each.snapshot)
        hosts += 1
        drivers[_driver(gpus) or "none"] += 1
        models.update(_model(device) for device in gpus.devices)
        if not groups.has(query.group, host):
            continue
        about = findings.get(host, ())
        if query.by == "host":
            rows.append(_row(each, gpus, about, today, lost.get(host)))
        for device in gpus.devices if query.by == "gpu" else ():
            mine = [finding for finding in about if finding.subject == f"GPU {device.index}"]
            rows.append(_row(each, Gpus(gpus.host, (device,)), mine, today, lost.get(host), gpu=device.index))
    chosen = [row for row in rows if _is_chosen(row, query)]
    shown, part_of_all = cut(chosen, query.page, _ROWS)
    return GpusShown(
        rows=tuple(shown),
        part=part_of_all,
        hosts=hosts,
        gpus=models.total(),
        drivers=_counted(drivers),
        models=_counted(models),
        groups=groups.names,
        plots=tuple(islice(_plots(history, shown), _PLOTS)),
    )


def _findings(history: History) -> Mapping[str, Sequence[Finding]]:
    found: dict[str, list[Finding]] = {}
    for each in history.findings.open():
        if _ABOUT_GPUS.search(f"{each.finding.code} {each.finding.subject} {each.finding.text}"):
            found.setdefault(each.finding.host, []).append(each.finding)
    return found


def _row(
    look: HostSnapshot, gpus: Gpus, findings: Iterable[Finding], today: date, lost: str | None, gpu: str | None = None
) -> GpuRow:
    told = marked(findings, today)
    return GpuRow(
        host=look.host,
        gpu=gpu,
        models=dict(Counter(_model(device) for device in gpus.devices)),
        memory_mib=next((device.values.get("memory_mib") for device in gpus.devices), None),
        driver=_driver(gpus),
        cuda=_text(gpus.host.get("cuda")),
        settings=_settings(gpus.devices),
        counters=counters(gpus.devices),
        mark=Mark.UNREACHABLE if lost is not None else told[0].mark if told else Mark.SAME,
        problems=tuple(f"{each.finding.subject}: {each.finding.text}" for each in told if each.mark.is_trouble),
        lost=lost,
        simulated=gpus.simulated,
        run=look.run,
        taken=look.taken,
    )


def _is_chosen(row: GpuRow, query: GpusQuery) -> bool:
    return (
        query.driver in ("", row.driver or "none")
        and (not query.model or query.model in row.models)
        and (query.health != "trouble" or row.mark.is_trouble)
        and (query.health != "errors" or bool(row.counters))
        and has_words(words_of(query.q), row.host, row.driver or "", row.lost or "", *row.models, *row.problems)
    )


def _plots(history: History, rows: Sequence[GpuRow]) -> Iterator[Plot]:
    """Draw the error counters of the rows' hosts over time."""
    for row in rows:
        if row.counters:
            title = row.host if row.gpu is None else f"{row.host} GPU {row.gpu}"
            looks = history.snapshots.of_host(row.host, limit=_SNAPSHOTS)
            yield from counter_plots(title, looks, row.counters, row.taken, gpu=row.gpu)


def _settings(devices: Sequence[Device]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for device in devices:
        for key, name in _SETTINGS.items():
            value = device.values.get(key)
            if value is not None:
                shown = _SWITCHED[value] if isinstance(value, bool) else plain_text(value)
                found.setdefault(name, []).append(f"{shown}{_UNITS.get(key, '')}")
    return {name: ", ".join(dict.fromkeys(values)) for name, values in found.items()}


def _driver(gpus: Gpus) -> str | None:
    return _text(gpus.host.get("driver"))


def _model(device: Device) -> str:
    return _text(device.values.get("model")) or "unknown"


def _text(value: Plain) -> str | None:
    return None if value is None else plain_text(value)


def _counted(values: Counter[str]) -> tuple[Count, ...]:
    return tuple(Count(value, count) for value, count in values.most_common(30))


GPUS = Page("/gpus", "gpus", GpusQuery, _gpus)
