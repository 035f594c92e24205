"""The drift report as JUnit XML, for CI: a testsuite a host, a testcase a task (or loop item), and other findings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape, quoteattr

from msgspec import Struct

from fleetenv.drift.finding import Against, Finding
from fleetenv.drift.report import Cell, DriftReport, HostReport, Verdict
from fleetenv.report.difference import part, value_text
from fleetenv.report.drift import words
from fleetenv.report.text import clipped, visible_line

# what XML 1.0 cannot hold at all; escapes from `visible` are printable, so this is for names of the user's
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MAX_ATTRIBUTE = 1000  # characters
_MAX_DIFFERENCES = 200
_MAX_DIFF_LINES = 200


class _Case(Struct, frozen=True):
    """A testcase; `outcome` is `failure`, `error`, `skipped`, or nothing for one that passed."""

    attributes: str
    outcome: str = ""
    inner: str = ""

    @property
    def xml(self) -> str:
        return (
            f"    <testcase {self.attributes}>{self.inner}</testcase>"
            if self.inner
            else f"    <testcase {self.attributes}/>"
        )


def drift_junit(report: DriftReport) -> str:
    """Return the document: findings that count are failures, and errors where a host could not be looked at.

    Notes pass, with their text; what is waived is skipped, with the reason.
    """
    findings: dict[str, list[Finding]] = {}
    for each in report.findings:
        findings.setdefault(each.host, []).append(each)
    suites = {host.name: list(_cases(report, host, findings.get(host.name, []))) for host in report.hosts}
    head = (
        f"<testsuites name={_attribute('fleetenv drift ' + report.playbook)} "
        f"{_counts([case for cases in suites.values() for case in cases])} time={_attribute(f'{report.seconds:.3f}')}>"
    )
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', head]
    for host, cases in suites.items():
        lines += [f"  <testsuite name={_attribute(host)} {_counts(cases)}>", *(case.xml for case in cases)]
        lines += ["  </testsuite>"]
    return "\n".join([*lines, "</testsuites>", ""])


def _counts(cases: Sequence[_Case]) -> str:
    """Return the attributes that count cases."""
    outcomes = [case.outcome for case in cases]
    counts = {
        "tests": len(cases),
        "failures": outcomes.count("failure"),
        "errors": outcomes.count("error"),
        "skipped": outcomes.count("skipped"),
    }
    return " ".join(f"{name}={_attribute(count)}" for name, count in counts.items())


def _cases(report: DriftReport, host: HostReport, findings: Sequence[Finding]) -> Iterator[_Case]:
    """Yield a case for each task of the playbook, then one for each finding that is not about a task."""
    of_items = {each.item: each for each in findings if each.against is Against.PLAYBOOK}
    for number in sorted(host.cells):
        item, cell = report.items[number], host.cells[number]
        place = item.task.location
        attributes = (
            f"{_named(host.name, words.title(item))} file={_attribute(place.file)} line={_attribute(place.line)}"
        )
        finding = of_items.get(number)
        if finding is not None:
            yield _found(attributes, finding, cell)
        elif cell.verdict in (Verdict.SKIPPED, Verdict.UNREACHABLE):
            yield _Case(attributes, "skipped", "<skipped/>")
        else:
            yield _Case(attributes)
    for each in findings:
        if words.is_lost(each):
            yield _found(_named(host.name, "reachable"), each, None)
        elif each.against is not Against.PLAYBOOK:
            yield _found(_named(host.name, f"{each.subject} [{each.code}]"), each, None)


def _found(attributes: str, finding: Finding, cell: Cell | None) -> _Case:
    body = escape(_NOT_XML.sub("\ufffd", "\n".join(_body(finding, cell))))
    if finding.waiver is not None:
        why = f"waived: {words.waiver(finding.waiver)}"
        return _Case(attributes, "skipped", f"<skipped message={_attribute(why)}/><system-out>{body}</system-out>")
    if not finding.is_drift:
        return _Case(attributes, "", f"<system-out>{body}</system-out>")
    outcome = "error" if words.is_lost(finding) else "failure"
    said = f"type={_attribute(finding.severity)} message={_attribute(finding.text)}"
    return _Case(attributes, outcome, f"<{outcome} {said}>{body}</{outcome}>")


def _body(finding: Finding, cell: Cell | None) -> Iterator[str]:
    yield f"{finding.severity}, {finding.code}: {words.text(finding)}" + (" (simulated)" if finding.simulated else "")
    values, contents = part(cell.essential) if cell is not None else ([], [])
    for each in values[:_MAX_DIFFERENCES]:
        yield f"{words.name(each.key)}: wanted {value_text(each.wanted)}, found {value_text(each.found)}"
    if len(values) > _MAX_DIFFERENCES:
        yield f"and {len(values) - _MAX_DIFFERENCES} more"
    for content in contents:
        yield f"{words.name(content.key)}:"
        yield from content.lines[:_MAX_DIFF_LINES]
    if finding.advice:
        yield f"mend: {words.advice(finding)}"
    if finding.first_seen is not None:
        yield f"first seen {finding.first_seen.isoformat(timespec='seconds')}"


def _named(host: str, name: str) -> str:
    return f"classname={_attribute(host)} name={_attribute(name)}"


def _attribute(value: str | int) -> str:
    shown = clipped(visible_line(clipped(str(value), _MAX_ATTRIBUTE)), _MAX_ATTRIBUTE)
    return quoteattr(_NOT_XML.sub("\ufffd", shown))
