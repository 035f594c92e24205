"""The drift report as a text file for node_exporter's textfile collector.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format. Labels hold only names from the user's
own files and words of ours, never what a host wrote freely, so that no host can multiply the series.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from fleetenv.drift.report import DriftReport
from fleetenv.drift.snapshot import Plain
from fleetenv.report.text import visible_line

_MOST_GPUS = 64  # of a host
_PER_GPU = {
    "uncorrected": "Uncorrected ECC errors since the GPU was made; none: no series.",
    "retired_pages": "Memory pages that are retired; none: no series.",
    "remapped_rows": "Memory rows that are remapped; none: no series.",
}


def drift_prometheus(report: DriftReport) -> str:
    """Return the file. Every series has the playbook as a label, so that a folder may hold files of several."""
    return "".join(f"{line}\n" for line in _lines(report))


def _lines(report: DriftReport) -> Iterator[str]:
    playbook = ("playbook", report.playbook)
    hosts = [host.name for host in report.hosts]
    open_ = Counter((each.host, each.severity, each.against) for each in report.findings if each.waiver is None)
    waived = Counter(each.host for each in report.findings if each.waiver is not None)
    lost = {host.name for host in report.hosts if host.lost is not None}
    yield from _metric(
        "fleetenv_drift_findings",
        "Findings that are not waived, by host, severity and what the host was compared with; none: no series.",
        (
            ((("host", host), ("severity", severity), ("against", against), playbook), count)
            for (host, severity, against), count in open_.items()
        ),
    )
    yield from _metric(
        "fleetenv_drift_waived_findings",
        "Findings that a waiver lets pass, by host.",
        (((("host", host), playbook), waived[host]) for host in hosts),
    )
    yield from _metric(
        "fleetenv_drift_host_up",
        "Whether the host could be looked at, to the end.",
        (((("host", host), playbook), int(host not in lost)) for host in hosts),
    )
    yield from _metric(
        "fleetenv_drift_run_complete",
        "Whether the run was not interrupted.",
        [((playbook,), int(not report.interrupted))],
    )
    yield from _metric(
        "fleetenv_drift_run_seconds", "How long the look took.", [((playbook,), round(report.seconds, 3))]
    )
    if report.taken is not None:
        yield from _metric(
            "fleetenv_drift_last_run_timestamp_seconds",
            "When the look ended, as a Unix time.",
            [((playbook,), round(report.taken.timestamp(), 3))],
        )
    yield from _gpus(report)


def _gpus(report: DriftReport) -> Iterator[str]:
    """Yield what the snapshots say of GPUs: numbers, and versions that are nothing but numbers."""
    playbook = ("playbook", report.playbook)
    sections = {host: gpus for host, each in report.snapshots.items() if isinstance(gpus := each.get("gpus"), dict)}
    counts = {host: count for host, gpus in sections.items() if isinstance(count := gpus.get("count"), int)}
    if not counts:
        return
    yield from _metric(
        "fleetenv_gpus",
        "GPUs that the driver shows.",
        [((("host", host), playbook), count) for host, count in counts.items()],
    )
    yield from _metric(
        "fleetenv_gpus_simulated",
        "Whether the host's GPUs are fleetenv's simulation.",
        [((("host", host), playbook), int(sections[host].get("simulated") is True)) for host in counts],
    )
    versions = {host: {key: _version(sections[host].get(key)) for key in ("driver", "cuda")} for host in counts}
    yield from _metric(
        "fleetenv_gpu_driver_info",
        "The driver's version, and the CUDA that it supports.",
        [((("host", host), *version.items(), playbook), 1) for host, version in versions.items() if version["driver"]],
    )
    problems = Counter((each.host, each.code) for each in report.drifting if each.code.startswith("gpu-"))
    yield from _metric(
        "fleetenv_gpu_problems",
        "Findings about GPUs and their driver that count, by code; none: no series.",
        [((("host", host), ("code", code), playbook), count) for (host, code), count in problems.items()],
    )
    for key, text in _PER_GPU.items():
        yield from _metric(
            f"fleetenv_gpu_{key}",
            text,
            [
                ((("host", host), ("gpu", gpu), playbook), value)
                for host in counts
                for gpu, value in _each(sections[host], key)
            ],
        )


def _each(gpus: Mapping[str, Plain], key: str) -> Iterator[tuple[str, int]]:
    """Yield index and value of those GPUs of a host that have some."""
    devices = gpus.get("devices")
    for gpu, values in islice(devices.items(), _MOST_GPUS) if isinstance(devices, dict) else ():
        value = values.get(key) if isinstance(values, dict) else None
        if isinstance(value, int) and value > 0 and re.fullmatch(r"[0-9]{1,3}", gpu):
            yield gpu, value


def _version(value: Plain) -> str:
    return value if isinstance(value, str) and re.fullmatch(r"[0-9]{1,5}(\.[0-9]{1,5}){1,3}", value) else ""


def _metric(name: str, text: str, samples: Iterable[tuple[tuple[tuple[str, str], ...], float]]) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} gauge"
    for labels, value in samples:
        shown = ",".join(f'{label}="{_label(each)}"' for label, each in labels)
        yield f"{name}{{{shown}}} {value}"


def _label(value: str) -> str:
    return visible_line(value).replace("\\", r"\\").replace('"', r"\"")
