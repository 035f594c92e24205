"""What a look at the fleet means: its findings, of all kinds, in one order."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from fleetenv.drift.commands import Commands
from fleetenv.drift.finding import Finding
from fleetenv.drift.fleet import outliers
from fleetenv.drift.report import DriftReport
from fleetenv.drift.tasks import task_findings


def assessed(report: DriftReport, commands: Commands | None = None) -> DriftReport:
    """Return the report with its findings.

    Args:
        report: What the survey saw.
        commands: Writes the commands that mend; None: for the report's playbook, with the default inventory.
    """
    commands = commands or Commands(report.playbook)
    found = [*task_findings(report.items, report.hosts, commands)]
    told = {(each.host, each.item) for each in found}  # a driver that is too old need not be called unusual, too
    odd = [finding for uneven in report.uneven for finding in outliers(uneven)]
    found += [each for each in odd if (each.host, each.item) not in told]
    return replace(report, findings=_ordered(report, found))


def _ordered(report: DriftReport, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sort by host, then the worst first, then as they came; of two with one identity the first stays."""
    places = {host.name: place for place, host in enumerate(report.hosts)}
    kept: dict[tuple[str, str, str], Finding] = {}
    for each in sorted(findings, key=lambda each: (places[each.host], each.severity.rank)):
        kept.setdefault(each.identity, each)
    return tuple(kept.values())
