"""Reports with findings of every kind, as `fleetenv drift` makes them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from msgspec.structs import replace

from fleetenv.drift.assessment import assessed
from fleetenv.drift.finding import Against, Finding, Waiver
from fleetenv.drift.report import Cell, DriftReport, HostReport, Item, Verdict
from fleetenv.drift.survey import drift_report
from fleetenv.history.model import Kind, RunPoint, Tally
from fleetenv.severity import Severity
from fleetenv.state import Difference

from .fleets import HOSTILE, four_hosts, many_hosts, run, task

NOW = datetime(2026, 5, 21, 8, 0, tzinfo=UTC)
WAIVER = Waiver(reason="RMA 4711 is under way", until=date(2026, 6, 30))


def finding(host: str, code: str, subject: str, text: str, advice: str = "", **more: object) -> Finding:
    values: dict[str, object] = {"against": Against.CARE, "severity": Severity.WARNING, **more}
    return Finding(code=code, host=host, subject=subject, text=text, advice=advice, **values)  # type: ignore[arg-type]


def with_findings(report: DriftReport, *findings: Finding) -> DriftReport:
    """Add findings, in the order that a report has them."""
    hosts = [host.name for host in report.hosts]
    together = sorted((*report.findings, *findings), key=lambda each: (hosts.index(each.host), each.severity.rank))
    return replace(report, findings=tuple(together), taken=NOW)


def pip_over_conda(host: str, days: int = 19) -> Finding:
    return finding(
        host,
        "pip-over-conda",
        "nlp_train: numpy",
        "pip put numpy 1.26.3 over conda's 1.26.4",
        f"fleetenv apply playbooks/site.yml -i inventories/lab -l {host} -t conda",
        first_seen=NOW - timedelta(days=days),
    )


def every_kind() -> DriftReport:
    """Four hosts with findings against playbook, fleet, time and care, out of reach, waived, simulated, and notes."""
    return with_findings(
        drift_report(four_hosts()),
        pip_over_conda("gpu01"),
        pip_over_conda("gpu02", 3),
        finding("gpu03", "ecc", "GPU 3", "12 uncorrected ECC errors", "drain the host, and have GPU 3 replaced",
                severity=Severity.ERROR, simulated=True),
        finding("gpu02", "ecc", "GPU 5", "1 uncorrected ECC error", severity=Severity.ERROR, waiver=WAIVER),
        finding("gpu01", "changed", "facts: kernel", "5.15.0-105 became 5.15.0-107", against=Against.TIME,
                severity=Severity.NOTE, first_seen=NOW),
        finding("gpu02", "changed", "facts: kernel", "5.15.0-105 became 5.15.0-107", against=Against.TIME,
                severity=Severity.NOTE, first_seen=NOW),
        finding("gpu03", "outlier", "facts: glibc", "has 2.31, 2 others have 2.35", against=Against.FLEET),
    )  # fmt: skip


def many_kinds(count: int = 400) -> DriftReport:
    """A fleet where seven more kinds of damage come in ever other combinations."""
    report = drift_report(many_hosts(count))
    lost = {host.name for host in report.hosts if host.lost is not None}
    found = [
        finding(
            host.name, "extra-environment", f"environment old_{kind}", "no playbook speaks of it, 4.1 GB",
            f"fleetenv clean {host.name} --environments", first_seen=NOW - timedelta(days=kind),
        )
        for number, host in enumerate(report.hosts, 1)
        for kind in range(7)
        if host.name not in lost and (number * (kind + 3)) % (19 + 4 * kind) == 0
    ]  # fmt: skip
    return with_findings(report, *found)


def hostile_findings(texts: Iterable[str] = (HOSTILE,)) -> DriftReport:
    """Hosts whose findings are meant to harm whoever shows them: in every field that may come from a host."""
    words = list(texts)
    report = drift_report(run(["gpu01", "gpu02"]))
    kinds = [(against, severity) for against in Against for severity in Severity]
    found = [
        finding(f"gpu0{1 + place % 2}", "hostile", f"{word}{place}", word, word, against=against, severity=severity,
                waiver=Waiver(reason=word, until=WAIVER.until) if place % 3 == 2 else None)
        for word in words
        for place, (against, severity) in enumerate(kinds)
    ]  # fmt: skip
    return with_findings(report, *found)


def large_fleet(hosts: int, tasks: int) -> DriftReport:
    """Every host has a finding, and every 20th cell differs in one of three ways."""
    items = tuple(Item(number, task(f"Task {number} of a long play", "copy", 10 + number)) for number in range(tasks))
    drifted = [Cell(Verdict.DRIFT, (Difference("mode", "0644", f"060{way}"),)) for way in range(3)]
    same, skipped = Cell(Verdict.SAME), Cell(Verdict.SKIPPED)

    def cell(host: int, number: int) -> Cell:
        place = host * 7 + number * 11
        return drifted[place % 3] if place % 20 == 0 else skipped if place % 17 == 0 else same

    rows = tuple(
        HostReport(
            f"gpu{host:03}", {number: cell(host, number) for number in range(tasks)}, groups=(f"rack{host % 5}",)
        )
        for host in range(1, hosts + 1)
    )
    return assessed(DriftReport("playbooks/site.yml", items, rows, taken=NOW))


def earlier_looks(count: int) -> list[RunPoint]:
    """One a day before NOW, with ever fewer findings."""
    return [
        RunPoint(day, Kind.DRIFT, NOW - timedelta(days=count - day),
                 Tally(hosts=4, lost=day % 2, changed=2, same=2, errors=1, warnings=count - day))
        for day in range(count)
    ]  # fmt: skip
