"""The drift report as one self-contained HTML page: nothing is fetched, everything is escaped, the policy is strict.

Hosts that have the same finding share what is told of it, so that the page of a large fleet stays small: its cells hold
no more than a symbol and the numbers of their findings.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from importlib.resources import files

from jinja2 import DictLoader, Environment, StrictUndefined, Template
from markupsafe import Markup
from msgspec import Struct

from fleetenv.drift.finding import Against
from fleetenv.drift.report import DriftReport, Uneven, Verdict
from fleetenv.history.model import Kind, RunPoint, Tally
from fleetenv.remote import sh
from fleetenv.report.difference import ContentDiff, part, value_text
from fleetenv.report.drift import words
from fleetenv.report.drift.matrix import MEANINGS, SYMBOLS, WAIVED, kind, matrix
from fleetenv.report.drift.plot import plots
from fleetenv.report.drift.sections import Shared, Sharing
from fleetenv.report.hosts import fold_hosts
from fleetenv.report.text import clipped, counted, visible_line
from fleetenv.severity import Severity
from fleetenv.state import Difference

_OPEN = 8  # up to so many findings are shown open
_HIDE_HOSTS = 40  # with more hosts than this, those without findings are hidden at first, and their rows folded
_HIDE_COLUMNS = 24  # likewise columns
_MAX_FINDINGS = 3000  # that are told, of those that are not the same
_MAX_DETAILS = 3_000_000  # characters of values and diffs, of all findings together
_MAX_TEXT = 1500  # characters of what is wrong
_MAX_DIFFERENCES = 40  # of one finding
_MAX_DIFF_LINES = 120
_MAX_BRIEF = 200  # characters
_HOST = "@HOST@"  # stands for a host's name in a command: a word that needs no quotes


class _Told(Struct, frozen=True):
    """A finding as the page tells it."""

    shared: Shared
    kind: str
    text: str
    where: str  # in the playbook
    values: Sequence[Difference]
    contents: Sequence[ContentDiff]
    left_out: bool  # not all that differs is there

    @property
    def command(self) -> str:
        """What mends it on one host, with `@HOST@` where its name belongs."""
        return words.advice_for(self.shared.first, [_HOST]) if self.shared.first.advice else ""


def drift_html(report: DriftReport, earlier: Sequence[RunPoint] = ()) -> str:
    """Return the page; `earlier` looks, the oldest first, are plotted."""
    style, script = _file("page.css"), _file("page.js")
    sharing = Sharing(report)
    shared = [
        *sharing.shared(each for each in report.findings if each.waiver is None),
        *sharing.shared(each for each in report.findings if each.waiver is not None),
    ]
    hosts = len(report.hosts)
    table = matrix(report, shared, fold=hosts > _HIDE_HOSTS)
    return _template().render(
        report=report,
        table=table,
        told=list(_told(report, shared)),
        untold=max(0, len(shared) - _MAX_FINDINGS),
        words=words,
        against=list(Against),
        tiles=list(_tiles(report)),
        shares=_shares(Counter(row.kind for row in table.rows), hosts),
        plots=plots(earlier, _point(report, report.taken)) if report.taken else [],
        groups=sorted({group for row in table.rows for group in row.groups}),
        symbols=SYMBOLS,
        meanings=MEANINGS,
        uneven=[each for each in report.uneven if not each.in_playbook],
        uneven_in_playbook=[each for each in report.uneven if each.in_playbook],
        marks={"+": "plus", "-": "minus", "@": "at"},
        bars=_bars,
        all_open=len(shared) <= _OPEN,
        hide_same=hosts > _HIDE_HOSTS and bool(report.drifting),
        hide_columns=len(table.columns) > _HIDE_COLUMNS and bool(report.drifting),
        # our own two files, and no text of anybody else's, are what the policy lets run and what is not escaped
        style=Markup(style),  # noqa: S704
        script=Markup(script),  # noqa: S704
        policy=f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'",
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=DictLoader({"page": _file("page.html.j2")}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        line=visible_line,
        value=value_text,
        fold=fold_hosts,
        title=words.title,
        name=words.name,
        counted=counted,
        brief=_brief,
        quoted=sh,
    )
    return environment.get_template("page")


def _told(report: DriftReport, shared: Sequence[Shared]) -> Iterator[_Told]:
    left = _MAX_DETAILS
    for each in shared[:_MAX_FINDINGS]:
        finding = each.first
        values, contents = part(each.cell.essential) if each.cell is not None else ([], [])
        shown = values[:_MAX_DIFFERENCES]
        cut = [ContentDiff(content.key, content.lines[:_MAX_DIFF_LINES]) for content in contents]
        size = 600 * len(shown) + sum(len(line) for content in cut for line in content.lines)
        fits = size <= left
        left -= size if fits else 0
        whole = len(values) == len(shown) and all(len(each.lines) <= _MAX_DIFF_LINES for each in contents)
        yield _Told(
            each,
            kind(finding),
            "" if fits and each.is_told_by_values else clipped(words.text(finding), _MAX_TEXT),
            "" if finding.item is None else visible_line(str(report.items[finding.item].task.location)),
            shown if fits else (),
            cut if fits else (),
            not (fits and whole),
        )


def _tiles(report: DriftReport) -> Iterator[tuple[str, int, str]]:
    """Yield a kind, a number and what it counts."""
    counts = Counter(kind(each) for each in report.findings)
    yield "", len(report.hosts), "host" if len(report.hosts) == 1 else "hosts"
    if counts["unreachable"]:
        yield "unreachable", counts["unreachable"], MEANINGS["unreachable"]
    for severity in Severity:
        if counts[severity]:
            yield str(severity), counts[severity], f"{severity}{'' if counts[severity] == 1 else 's'}"
    if counts[WAIVED]:
        yield WAIVED, counts[WAIVED], "waived"


def _shares(counts: Counter[str], hosts: int) -> list[tuple[str, float, float]]:
    """Return a bar of 1000 units of all hosts by the worst that they have: kind, start and width."""
    shares, start = [], 0.0
    for each in reversed(SYMBOLS):
        width = 1000 * counts[each] / max(1, hosts)
        if width:
            shares.append((each, round(start, 2), round(width, 2)))
        start += width
    return shares


def _point(report: DriftReport, taken: datetime) -> RunPoint:
    """Return this look as the history will have it."""
    verdicts = report.counts
    severities = Counter(each.severity for each in report.findings if each.waiver is None)
    tally = Tally(
        hosts=len(report.hosts),
        lost=verdicts[Verdict.UNREACHABLE],
        failed=verdicts[Verdict.FAILED],
        changed=verdicts[Verdict.DRIFT],
        errors=severities[Severity.ERROR],
        warnings=severities[Severity.WARNING],
        notes=severities[Severity.NOTE],
    )
    return RunPoint(0, Kind.DRIFT, taken, tally)


def _bars(uneven: Uneven) -> list[float]:
    """Return how long the bar of each value is, of 1000."""
    hosts = sum(len(names) for _, names in uneven.values)
    return [round(1000 * len(names) / hosts, 2) for _, names in uneven.values]


def _brief(told: Sequence[_Told], findings: Sequence[int]) -> str:
    """Return what is wrong with a host in one line, for the end of its row."""
    shared = [told[number].shared for number in findings[:4] if number < len(told)]
    return clipped("; ".join(f"{each.subject}: {words.line(each.first, _MAX_BRIEF)}" for each in shared), _MAX_BRIEF)


def _file(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
