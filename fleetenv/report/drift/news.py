"""New drift, for a webhook: as JSON for programs, or as a message for Slack and what understands the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import TextIO

from fleetenv.drift.finding import Finding
from fleetenv.drift.report import DriftReport
from fleetenv.report.drift import words
from fleetenv.report.drift.document import finding_document
from fleetenv.report.drift.sections import Shared, Sharing
from fleetenv.report.text import clipped, counted, visible_line
from fleetenv.report.webhook import Webhook, WebhookFailed
from fleetenv.source import Value

_MAX_FINDINGS = 200
_MAX_LINES = 12  # of a message
_MAX_WORDS = 160  # characters of each text in a message


class NewsForm(StrEnum):
    """What a webhook is sent."""

    JSON = "json"
    SLACK = "slack"


def new_findings(report: DriftReport, before: Collection[tuple[str, str, str]] | None) -> tuple[Finding, ...]:
    """Return the findings that count and whose identity was not there before; None: nothing is known, all are new."""
    return tuple(each for each in report.drifting if before is None or each.identity not in before)


def tell(
    webhook: Webhook,
    form: NewsForm,
    report: DriftReport,
    before: Collection[tuple[str, str, str]] | None,
    stream: TextIO,
) -> None:
    """Post what is new, if anything is; a warning on `stream` if that fails. An interrupted run tells nothing."""
    new = new_findings(report, before)
    if not new or report.interrupted:
        return
    try:
        webhook.post(drift_news(report, new, form))
    except WebhookFailed as error:
        stream.write(f"fleetenv: warning: {error}\n")


def drift_news(report: DriftReport, new: Sequence[Finding], form: NewsForm) -> Value:
    """Return what to post of new findings."""
    return _slack(report, new) if form is NewsForm.SLACK else _document(report, new)


def _document(report: DriftReport, new: Sequence[Finding]) -> Value:
    return {
        "format": "fleetenv.drift.news",
        "version": 1,
        "playbook": report.playbook,
        "taken": report.taken.isoformat() if report.taken else None,
        "hosts": len(report.hosts),
        "findings": len(report.drifting),
        "new": len(new),
        "new_findings": [finding_document(each) for each in new[:_MAX_FINDINGS]],
    }


def _slack(report: DriftReport, new: Sequence[Finding]) -> Value:
    severities = Counter(str(each.severity) for each in new)
    counts = ", ".join(counted(count, severity) for severity, count in sorted(severities.items()))
    shared, hosts = Sharing(report).shared(new), len({each.host for each in new})
    lines = [
        f"*Drift: {counted(len(new), 'new finding')}* ({counts}) on {counted(hosts, 'host')}; "
        f"{len(report.drifting)} in all on {counted(len(report.hosts), 'host')}, {_code(report.playbook)}",
        *(_line(each) for each in shared[:_MAX_LINES]),
    ]
    if len(shared) > _MAX_LINES:
        lines.append(f"... and {len(shared) - _MAX_LINES} more kinds")
    return {"text": "\n".join(lines)}


def _line(shared: Shared) -> str:
    finding = shared.first
    simulated = " (simulated)" if finding.simulated else ""
    line = (
        f"• *{finding.severity}* {_code(words.hosts(shared.hosts, _MAX_WORDS))} {_code(shared.subject)}{simulated}: "
        f"{_code(finding.text)}"
    )
    return f"{line}\n      {_code(words.advice_for(finding, shared.hosts))}" if finding.advice else line


def _code(text: str) -> str:
    """Return text as code, where no markup and no mention is read; `&`, `<` and `>` as Slack demands."""
    shown = clipped(visible_line(clipped(text, _MAX_WORDS)), 2 * _MAX_WORDS).replace("`", "'")
    return "`" + shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") + "`"
