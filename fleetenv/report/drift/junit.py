"""The drift report as JUnit XML, for CI: a testsuite a host, a testcase a task (or item of its loop)."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape, quoteattr

from fleetenv.drift.report import Cell, DriftReport, HostReport, Item, Verdict
from fleetenv.report.difference import part, value_text
from fleetenv.report.text import visible, visible_line

# what XML 1.0 cannot hold at all; escapes from `visible` are printable, so this is for names of the user's
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def drift_junit(report: DriftReport) -> str:
    """Return the document: drift and failed tasks are failures, hosts that could not be looked at are errors."""
    suites = [_suite(report, host) for host in report.hosts]
    tests = sum(len(host.cells) + (host.lost is not None) for host in report.hosts)
    failures = sum(len(list(host.findings)) for host in report.hosts)
    errors = sum(host.lost is not None for host in report.hosts)
    head = (
        f"<testsuites name={_attribute('fleetenv drift ' + report.playbook)} tests={_attribute(tests)} "
        f"failures={_attribute(failures)} errors={_attribute(errors)} time={_attribute(f'{report.seconds:.3f}')}>"
    )
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', head, *suites, "</testsuites>", ""])


def _suite(report: DriftReport, host: HostReport) -> str:
    cases = [_case(report.items[number], host.cells[number], host.name) for number in sorted(host.cells)]
    if host.lost is not None:
        cases.append(
            f'    <testcase classname={_attribute(host.name)} name="reachable">'
            f"<error message={_attribute(host.lost)}/></testcase>"
        )
    failures = len(list(host.findings))
    skipped = sum(cell.verdict is Verdict.SKIPPED for cell in host.cells.values())
    head = (
        f"  <testsuite name={_attribute(host.name)} tests={_attribute(len(cases))} failures={_attribute(failures)} "
        f"errors={_attribute(int(host.lost is not None))} skipped={_attribute(skipped)}>"
    )
    return "\n".join([head, *cases, "  </testsuite>"])


def _case(item: Item, cell: Cell, host: str) -> str:
    task = item.task
    name = f"{task.role} : {item.title}" if task.role else item.title
    head = (
        f"    <testcase classname={_attribute(host)} name={_attribute(name)} "
        f"file={_attribute(task.location.file)} line={_attribute(task.location.line)}"
    )
    if cell.verdict is Verdict.SKIPPED:
        return f"{head}><skipped/></testcase>"
    if not cell.verdict.is_finding:
        return f"{head}/>"
    short = cell.msg or f"differs: {', '.join(each.key for each in cell.essential)}".removesuffix(": ")
    kind = "drift" if cell.verdict is Verdict.DRIFT else "failed"
    return f"{head}><failure type={_attribute(kind)} message={_attribute(short)}>{_body(cell)}</failure></testcase>"


def _body(cell: Cell) -> str:
    lines = ["simulated"] if cell.simulated else []
    lines += [visible(cell.msg)] if cell.msg else []
    values, contents = part(cell.essential)
    for each in values:
        lines.append(f"{visible_line(each.key)}: wanted {value_text(each.wanted)}, found {value_text(each.found)}")
    for content in contents:
        lines += [f"{visible_line(content.key)}:", *content.lines]
    return escape(_NOT_XML.sub("\ufffd", "\n".join(lines)))


def _attribute(value: str | int) -> str:
    return quoteattr(_NOT_XML.sub("\ufffd", visible_line(str(value))))
