"""The drift report as SARIF 2.1.0, for code scanning: a result a finding, at the line of the playbook that it is about.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html; of what is optional there, what GitHub's and
GitLab's code scanning read is given.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC
from urllib.parse import quote

from fleetenv import __version__
from fleetenv.drift.finding import Finding
from fleetenv.drift.report import DriftReport
from fleetenv.report.drift import words
from fleetenv.report.text import visible_line
from fleetenv.source import Value

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

_MAX_RESULTS = 25_000  # more in a run and GitHub takes none of them


def drift_sarif(report: DriftReport) -> str:
    """Return the log: one run, in ASCII. Waived findings are there, suppressed, with the waiver's reason."""
    rules: dict[str, Finding] = {}
    for finding in report.findings:
        rules.setdefault(finding.code, finding)
    places = {code: place for place, code in enumerate(rules)}
    driver: dict[str, Value] = {
        "name": "fleetenv",
        "version": __version__,
        "semanticVersion": __version__,
        "rules": [_rule(finding) for finding in rules.values()],
    }
    told = sorted(report.findings, key=lambda each: not each.is_drift)[:_MAX_RESULTS]  # what counts first
    run: dict[str, Value] = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"fleetenv drift/{visible_line(report.playbook)}/"},
        "invocations": [_invocation(report)],
        "columnKind": "unicodeCodePoints",
        "results": [_result(report, finding, places[finding.code]) for finding in told],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1) + "\n"


def _rule(finding: Finding) -> Value:
    meaning = words.meaning(finding)
    return {
        "id": finding.code,
        "shortDescription": {"text": f"{finding.code}: {meaning}"},
        "fullDescription": {"text": f"{finding.code}: {meaning}."},
        "help": {"text": "Each result says what mends it. docs/findings.md explains each code."},
        "defaultConfiguration": {"level": str(finding.severity)},
    }


def _invocation(report: DriftReport) -> Value:
    invocation: dict[str, Value] = {"executionSuccessful": not report.interrupted, "exitCode": report.exit_status}
    if report.taken is not None:
        invocation["endTimeUtc"] = report.taken.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return invocation


def _result(report: DriftReport, finding: Finding, rule: int) -> Value:
    simulated = " (simulated)" if finding.simulated else ""
    told = f"{visible_line(finding.host)}: {words.subject(finding)}{simulated}: {words.text(finding)}"
    fingerprint = hashlib.sha256("\0".join(finding.identity).encode("utf-8", "surrogatepass")).hexdigest()
    result: dict[str, Value] = {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": str(finding.severity),
        "message": {"text": f"{told}\n{words.advice(finding)}" if finding.advice else told},
        "locations": [_location(report, finding)],
        # the line alone would make one alert of many hosts
        "partialFingerprints": {"fleetenv/v1": fingerprint, "primaryLocationLineHash": f"{fingerprint[:16]}:1"},
        "properties": {
            "host": visible_line(finding.host),
            "subject": words.subject(finding),
            "against": str(finding.against),
            "simulated": finding.simulated,
            "firstSeen": finding.first_seen.isoformat() if finding.first_seen else None,
        },
    }
    if finding.waiver is not None:
        why = words.waiver(finding.waiver)
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": why}]
    return result


def _location(report: DriftReport, finding: Finding) -> Value:
    """Return the item's place in the playbook, or the playbook's first line for what no item speaks of."""
    file, line, column = report.playbook, 1, 1
    if finding.item is not None:
        place = report.items[finding.item].task.location
        file, line, column = place.file, place.line, place.column
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": _uri(file)},
            "region": {"startLine": max(1, line), "startColumn": max(1, column)},
        },
        "logicalLocations": [{"name": visible_line(finding.host), "kind": "resource"}],
    }


def _uri(file: str) -> str:
    path = quote(file, safe="/", errors="surrogatepass")
    return f"file://{path}" if file.startswith("/") else path
