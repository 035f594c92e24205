"""A finding in words that are safe to show, and bounded: what every form of the report says of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

from msgspec.structs import replace

from fleetenv.drift.codes import CODES
from fleetenv.drift.finding import Against, Finding, Waiver
from fleetenv.drift.report import DriftReport, Item
from fleetenv.remote import sh
from fleetenv.report.hosts import fold_hosts
from fleetenv.report.text import clipped, counted, visible, visible_line
from fleetenv.severity import Severity

AGAINST = {
    Against.PLAYBOOK: "not as the playbook says",
    Against.FLEET: "not like most hosts of its group",
    Against.TIME: "not as it was before",
    Against.CARE: "what no playbook speaks of, and nobody should do",
    Against.REACH: "could not be looked at, or not to the end",
}
"""What is wrong with a host, in general."""

_GPU = "GPU "  # and its index: the subject of findings about one
_MAX_SUBJECT = 200  # characters
_MAX_TEXT = 4000
_MAX_ADVICE = 1000
_MAX_REASON = 300
_MAX_LIMIT = 60  # hosts that a command names one by one


def meaning(finding: Finding) -> str:
    """Return what a finding's code means, in general."""
    known = CODES.get(finding.code)
    return known.meaning if known else AGAINST[finding.against]


def is_lost(finding: Finding) -> bool:
    """Whether it says that the host could not be looked at; a warning says that it did not tell all."""
    return finding.against is Against.REACH and finding.severity is Severity.ERROR


def name(text: str) -> str:
    """Return a name that may be a host's (a package, an item of a loop) on one line, and no longer than names are."""
    return clipped(visible_line(clipped(text, _MAX_SUBJECT)), _MAX_SUBJECT)


def title(item: Item) -> str:
    """Return a task's name, with its role's and its item."""
    return name(f"{item.task.role} : {item.title}" if item.task.role else item.title)


def subject(finding: Finding) -> str:
    """Return what it is about, on one line."""
    return name(finding.subject)


def subject_of(findings: Sequence[Finding]) -> str:
    """Return what findings that are alike are about, on one line; that of several GPUs is of `GPU [0:7]`."""
    subjects = dict.fromkeys(each.subject for each in findings)
    if len(subjects) == 1:
        return subject(findings[0])
    return name(f"GPU {fold_hosts(each.removeprefix(_GPU) for each in subjects)}")


def text(finding: Finding) -> str:
    """Return what is wrong; it may have several lines."""
    return clipped(visible(clipped(finding.text, _MAX_TEXT)), _MAX_TEXT)


def line(finding: Finding, most: int = _MAX_TEXT) -> str:
    """Return what is wrong, on one line of at most so many characters."""
    return clipped(visible_line(clipped(finding.text, most)), most)


def advice(finding: Finding) -> str:
    """Return what mends it, on one line."""
    return clipped(visible_line(clipped(finding.advice, _MAX_ADVICE)), _MAX_ADVICE)


def advice_for(finding: Finding, hosts: Sequence[str]) -> str:
    """Return what mends it on all of these hosts: its command names them all, or the first of very many."""
    if len(hosts) > _MAX_LIMIT:
        return f"{advice(finding)}  (and so for {len(hosts) - 1} others)"
    return visible_line(_renamed(clipped(finding.advice, _MAX_ADVICE), finding.host, sh(",".join(hosts))))


def waiver(given: Waiver) -> str:
    """Return why a finding is let pass, and until when, on one line."""
    return f"{clipped(visible_line(clipped(given.reason, _MAX_REASON)), _MAX_REASON)} (until {given.until.isoformat()})"


def nameless(finding: Finding) -> tuple[object, ...]:
    """Return what two hosts' findings must share to be told as one: all but the host, and since when."""
    return (
        finding.code,
        finding.subject,
        finding.against,
        finding.severity,
        finding.item,
        finding.text,
        _renamed(finding.advice, finding.host, "\0"),
        finding.waiver,
        finding.simulated,
    )


def gpuless(finding: Finding) -> tuple[object, ...]:
    """Return what the findings of two GPUs must share to be told as one; of others: what they are known by."""
    known = nameless(finding)
    number = finding.subject.removeprefix(_GPU)
    return known if number == finding.subject or not number.isdigit() else nameless(replace(finding, subject=_GPU))


def since(findings: Sequence[Finding], report: DriftReport) -> str:
    """Return since when it has been so where it was first: `since 2026-05-02 (19 days)`; nothing if it is not known."""
    seen = [each.first_seen for each in findings if each.first_seen is not None]
    if not seen or len(seen) < len(findings) or report.taken is None:
        return ""
    first = min(seen).astimezone(report.taken.tzinfo)
    if first >= report.taken - timedelta(seconds=report.seconds + 1):
        return "new"
    days = (report.taken.date() - first.date()).days
    return f"since {first:%Y-%m-%d} ({counted(days, 'day')})" if days else f"since {first:%H:%M}"


def since_each(findings: Sequence[Finding], report: DriftReport) -> list[tuple[str, list[str]]]:
    """Return since when it has been so, with the hosts of each time: the oldest first."""
    groups: dict[str, dict[str, None]] = {}
    for each in sorted(findings, key=lambda each: each.first_seen.timestamp() if each.first_seen else 0):
        groups.setdefault(since([each], report), {})[each.host] = None
    return [(when, list(names)) for when, names in groups.items()]


def hosts(names: Sequence[str], most: int) -> str:
    """Return folded names, at most so many characters of them; the last one shown is whole."""
    folded = visible_line(fold_hosts(names))
    return folded if len(folded) <= most else f"{folded[:most].rpartition(', ')[0] or folded[:most]}, ..."


def _renamed(command: str, host: str, names: str) -> str:
    """Put other names where a command names a host; the word after `fleetenv` is the command's own name."""
    return re.sub(rf"(?<![\w.-])(?<!fleetenv ){re.escape(sh(host))}(?![\w.-])", lambda _: names, command)
