"""The drift report as one JSON document. Its form is documented in docs/drift.md and has a version."""

from __future__ import annotations

import json
from collections import Counter

from fleetenv.drift.finding import Finding
from fleetenv.drift.report import Cell, DriftReport, HostReport, Item, Uneven, Verdict
from fleetenv.report.plain import plain, plain_difference
from fleetenv.report.text import clipped
from fleetenv.severity import Severity
from fleetenv.source import Value

FORMAT = "fleetenv.drift"
VERSION = 1
"""Raised when something that was there changes its meaning; additions do not raise it."""

_MAX_TEXT = 4000  # characters of what a host may have written


def drift_json(report: DriftReport) -> str:
    """Return the document, in ASCII: whatever hosts wrote is escaped as JSON does."""
    return json.dumps(drift_document(report), indent=2) + "\n"


def drift_document(report: DriftReport) -> dict[str, Value]:
    """Return the document as plain values."""
    counts = report.counts
    severities = Counter(finding.severity for finding in report.findings if finding.waiver is None)
    return {
        "format": FORMAT,
        "version": VERSION,
        "playbook": report.playbook,
        "taken": report.taken.isoformat() if report.taken else None,
        "seconds": round(report.seconds, 3),
        "interrupted": report.interrupted,
        "summary": {
            "hosts": len(report.hosts),
            "findings": len(report.drifting),
            "simulated": report.simulated,
            **{str(verdict): counts[verdict] for verdict in Verdict},
            **{f"{severity}s": severities[severity] for severity in Severity},
            "waived": sum(finding.waiver is not None for finding in report.findings),
        },
        "items": [_item(item) for item in report.items],
        "hosts": {host.name: _host(host) for host in report.hosts},
        "uneven": [_uneven(each) for each in report.uneven],
        "findings": [finding_document(each) for each in report.findings],
    }


def _item(item: Item) -> dict[str, Value]:
    task = item.task
    return {
        "id": item.number,
        "play": task.play,
        "role": task.role,
        "task": task.name,
        "module": task.module,
        "item": item.item,
        "file": task.location.file,
        "line": task.location.line,
        "column": task.location.column,
    }


def _host(host: HostReport) -> dict[str, Value]:
    return {
        "verdict": str(host.verdict),
        "lost": host.lost,
        "items": [_cell(number, host.cells[number]) for number in sorted(host.cells)],
    }


def _cell(number: int, cell: Cell) -> dict[str, Value]:
    return {
        "id": number,
        "verdict": str(cell.verdict),
        "msg": cell.msg,
        "simulated": cell.simulated,
        "differences": [plain_difference(each) for each in cell.differences],
    }


def _uneven(uneven: Uneven) -> dict[str, Value]:
    return {
        "id": uneven.item.number,
        "key": uneven.key,
        "majority": uneven.has_majority,
        "in_playbook": uneven.in_playbook,
        "simulated": uneven.simulated,
        "values": [{"value": plain(value), "hosts": list(hosts)} for value, hosts in uneven.values],
    }


def finding_document(finding: Finding) -> dict[str, Value]:
    """Return a finding as plain values."""
    waiver = finding.waiver
    return {
        "code": finding.code,
        "host": finding.host,
        "subject": clipped(finding.subject, _MAX_TEXT),
        "against": str(finding.against),
        "severity": str(finding.severity),
        "text": clipped(finding.text, _MAX_TEXT),
        "advice": clipped(finding.advice, _MAX_TEXT),
        "item": finding.item,
        "first_seen": finding.first_seen.isoformat() if finding.first_seen else None,
        "waiver": {"reason": clipped(waiver.reason, _MAX_TEXT), "until": waiver.until.isoformat()} if waiver else None,
        "simulated": finding.simulated,
    }
