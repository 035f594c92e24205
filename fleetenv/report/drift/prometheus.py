"""The drift report as a text file for node_exporter's textfile collector.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format. Labels hold only names from the user's
own files and words of ours, never what a host wrote freely, so that no host can multiply the series.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from fleetenv.drift.report import DriftReport
from fleetenv.report.text import visible_line


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


def _metric(name: str, text: str, samples: Iterable[tuple[tuple[tuple[str, str], ...], float]]) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} gauge"
    for labels, value in samples:
        shown = ",".join(f'{label}="{_label(each)}"' for label, each in labels)
        yield f"{name}{{{shown}}} {value}"


def _label(value: str) -> str:
    return visible_line(value).replace("\\", r"\\").replace('"', r"\"")
