"""The drift report as one self-contained HTML page: nothing is fetched, everything is escaped, the policy is strict."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from fleetenv.drift.report import Cell, DriftReport, HostReport, Item, Uneven, Verdict
from fleetenv.report.difference import part, value_text
from fleetenv.report.hosts import fold_hosts
from fleetenv.report.text import visible, visible_line

SYMBOLS = {
    Verdict.UNREACHABLE: "!",
    Verdict.FAILED: "✗",
    Verdict.DRIFT: "≠",
    Verdict.IGNORED: "~",
    Verdict.SAME: "✓",
    Verdict.SKIPPED: "·",
}
MEANINGS = {
    Verdict.UNREACHABLE: "could not be looked at",
    Verdict.FAILED: "failed",
    Verdict.DRIFT: "differs",
    Verdict.IGNORED: "failed, which the playbook ignores",
    Verdict.SAME: "as the playbook says",
    Verdict.SKIPPED: "not compared",
}
_OPEN_HOSTS = 6  # up to so many hosts with findings are shown open
_MAX_BRIEF = 200  # characters
_HIDE_HOSTS = 40  # with more hosts than this, those without findings are hidden at first


def drift_html(report: DriftReport) -> str:
    """Return the page."""
    style, script = _file("page.css"), _file("page.js")
    environment = Environment(
        loader=DictLoader({"page": _file("page.html.j2")}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(line=visible_line, text=visible, value=value_text, fold=fold_hosts, title=_title)
    troubled = [(number, host) for number, host in enumerate(report.hosts) if host.verdict.is_finding]
    return environment.get_template("page").render(
        report=report,
        verdicts=[(verdict, report.counts[verdict]) for verdict in Verdict],
        segments=list(_segments(report)),
        symbols=SYMBOLS,
        meanings=MEANINGS,
        tiles=MEANINGS | {Verdict.DRIFT: "drifted"},
        uneven=[each for each in report.uneven if not each.in_playbook],
        uneven_in_playbook=[each for each in report.uneven if each.in_playbook],
        troubled=troubled,
        words=_words,
        brief=_brief,
        part=part,
        kinds={"+": "plus", "-": "minus", "@": "at"},
        bars=_bars,
        all_open=len(troubled) <= _OPEN_HOSTS,
        hide_same=len(report.hosts) > _HIDE_HOSTS and bool(troubled),
        # our own two files, and no text of anybody else's, are what the policy lets run and what is not escaped
        style=Markup(style),  # noqa: S704
        script=Markup(script),  # noqa: S704
        policy=f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'",
    )


@dataclass(frozen=True, slots=True)
class _Segment:
    """A part of a bar of 1000 units."""

    start: float
    width: float
    kind: str


def _segments(report: DriftReport) -> Iterator[_Segment]:
    """Cut the bar of all hosts by their verdicts."""
    start = 0.0
    for verdict in reversed(Verdict):
        width = 1000 * report.counts[verdict] / max(1, len(report.hosts))
        if width:
            yield _Segment(round(start, 2), round(width, 2), str(verdict))
        start += width


def _bars(uneven: Uneven) -> list[float]:
    """Return how long the bar of each value is, of 1000."""
    hosts = sum(len(names) for _, names in uneven.values)
    return [round(1000 * len(names) / hosts, 2) for _, names in uneven.values]


def _words(report: DriftReport, host: HostReport) -> str:
    """Return what the filter looks through for one host, in small letters."""
    words = [host.name, MEANINGS[host.verdict], host.lost or ""]
    for number, cell in host.findings:
        words += [_title(report.items[number]), report.items[number].task.module, *_keys(cell)]
    return visible_line(" ".join(words).lower())


def _brief(host: HostReport) -> str:
    """Return what is wrong with a host in one line, for the end of its row."""
    if host.lost is not None:
        return visible_line(host.lost)
    parts = [cell.msg or ("not there" if cell.is_absent else ", ".join(_keys(cell))) for _, cell in host.findings]
    return visible_line("; ".join(part for part in parts if part))[:_MAX_BRIEF]


def _keys(cell: Cell) -> Iterator[str]:
    return (each.key for each in cell.essential)


def _title(item: Item) -> str:
    return visible_line(f"{item.task.role} : {item.title}" if item.task.role else item.title)


def _file(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
