"""What somebody should look at, as of each host's last look: what is open, and what is let pass."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from typing import Literal

from msgspec import Struct

from fleetenv.drift.finding import Against, Finding, Waiver
from fleetenv.history.store import History
from fleetenv.report.drift import sections, words
from fleetenv.report.drift.sections import alike
from fleetenv.severity import Severity
from fleetenv.web.fleet import Groups, waived
from fleetenv.web.page import Page, PageNumber, Slice, cut, has_words, words_of

_ROWS = 100

State = Literal["open", "waived", "all"]


class FindingsQuery(Struct, frozen=True):
    """Which findings. `by` `finding`: hosts that have the same are one row; `host`: a row each."""

    q: str = ""
    group: str = ""
    host: str = ""
    code: str = ""
    severity: Severity | None = None
    against: Against | None = None
    state: State = "open"
    by: Literal["finding", "host"] = "finding"
    page: PageNumber = 1


class Shared(Struct, frozen=True, kw_only=True):
    """One finding and the hosts that have it, all with the same text; `advice` names all of them."""

    code: str
    meaning: str  # of the code, in general
    subject: str
    against: Against
    severity: Severity
    text: str
    advice: str
    hosts: tuple[str, ...]
    first_seen: datetime | None  # the earliest of all
    waiver: Waiver | None
    simulated: bool


class FindingsShown(Struct, frozen=True):
    """Findings, the worst first. `counts` are of severities among what was chosen, one for each host."""

    rows: tuple[Shared, ...]
    part: Slice
    counts: dict[Severity, int]
    hosts: int
    groups: tuple[str, ...]
    codes: tuple[str, ...]


def _findings(history: History, query: FindingsQuery) -> FindingsShown:
    today = date.today()
    groups = Groups(history)
    everything = [each.finding for each in history.findings.open([query.host] if query.host else None)]
    wanted = words_of(query.q)
    chosen = [
        each
        for each in everything
        if _is_in(each, query.state, today)
        and query.severity in (None, each.severity)
        and query.against in (None, each.against)
        and query.code in ("", each.code)
        and groups.has(query.group, each.host)
        and has_words(wanted, each.host, each.code, each.subject, each.text)
    ]
    rows, part = cut(_shared(chosen, apart=query.by == "host"), query.page, _ROWS)
    return FindingsShown(
        rows=tuple(rows),
        part=part,
        counts=dict(Counter(each.severity for each in chosen)),
        hosts=len({each.host for each in chosen}),
        groups=groups.names,
        codes=tuple(sorted({each.code for each in everything})),
    )


def _is_in(finding: Finding, state: State, today: date) -> bool:
    return state == "all" or waived(finding, today) == (state == "waived")


def _shared(findings: list[Finding], *, apart: bool) -> list[Shared]:
    """Put equal findings of many hosts or GPUs together; the worst first, then those that most hosts have."""
    groups = alike(findings, lambda each: (*words.gpuless(each), *((each.host,) if apart else ())))
    rows = [_row(sections.Shared(group)) for group in groups]
    if apart:
        return sorted(rows, key=lambda row: (row.severity.rank, row.hosts, row.code, row.subject))
    return sorted(rows, key=lambda row: (row.severity.rank, -len(row.hosts), row.code, row.subject))


def _row(same: sections.Shared) -> Shared:
    first, seen = same.first, [each.first_seen for each in same.findings if each.first_seen]
    return Shared(
        code=first.code,
        meaning=words.meaning(first),
        subject=same.subject if len(same.findings) > len(same.hosts) else first.subject,
        against=first.against,
        severity=first.severity,
        text=first.text,
        advice=words.advice_for(first, same.hosts) if first.advice else "",
        hosts=same.hosts,
        first_seen=min(seen) if seen else None,
        waiver=first.waiver,
        simulated=first.simulated,
    )


FINDINGS = Page("/findings", "findings", FindingsQuery, _findings)
