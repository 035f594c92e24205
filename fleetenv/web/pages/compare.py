"""Two snapshots side by side: any two hosts, or one host at two times."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

from fleetenv.drift.snapshot import Snapshot
from fleetenv.errors import InputError
from fleetenv.history.model import Run
from fleetenv.history.store import History
from fleetenv.web.page import Page, PageNumber, RunNumber, Slice, cut, has_words, words_of
from fleetenv.web.render import plain_text
from fleetenv.web.sides import Side, side_by_side

_ROWS = 500
_RUNS = 60


class CompareQuery(Struct, frozen=True):
    """What is compared: `left` and `right` are hosts; a run that is not named is the last one."""

    left: str = ""
    left_run: RunNumber | None = None
    right: str = ""
    right_run: RunNumber | None = None
    section: str = ""
    q: str = ""
    show: Literal["differences", "all"] = "differences"
    page: PageNumber = 1


class Subject(Struct, frozen=True):
    """One of the two: the snapshot's host, the run that took it, and when."""

    host: str
    run: int
    taken: datetime


class Section(Struct, frozen=True):
    """A section that both have, and how many values differ in it."""

    name: str
    differences: int
    values: int


class Compared(Struct, frozen=True):
    """Values of both snapshots. `left` and `right` are None until both were chosen."""

    hosts: tuple[str, ...]
    left: Subject | None
    right: Subject | None
    left_runs: tuple[Run, ...]
    right_runs: tuple[Run, ...]
    sections: tuple[Section, ...]
    only_one: tuple[str, ...]  # sections that were looked at on one side only
    rows: tuple[Side, ...]
    part: Slice


def _compare(history: History, query: CompareQuery) -> Compared:
    left, right = _chosen(history, query.left, query.left_run), _chosen(history, query.right, query.right_run)
    sides = tuple(side_by_side(left[1], right[1])) if left and right else ()
    words = words_of(query.q)
    chosen = [
        each
        for each in sides
        if query.section in ("", each.path[0])
        and (query.show == "all" or not (each.is_same or (each.is_identity and query.left != query.right)))
        and has_words(words, ".".join(each.path), plain_text(each.left), plain_text(each.right))
    ]
    rows, part = cut(chosen, query.page, _ROWS)
    return Compared(
        hosts=tuple(history.runs.known_hosts()),
        left=left[0] if left else None,
        right=right[0] if right else None,
        left_runs=_runs(history, query.left),
        right_runs=_runs(history, query.right),
        sections=_sections(sides),
        only_one=tuple(sorted(left[1].keys() ^ right[1].keys())) if left and right else (),
        rows=tuple(rows),
        part=part,
    )


def _chosen(history: History, host: str, run: int | None) -> tuple[Subject, Snapshot] | None:
    if not host:
        return None
    found = history.snapshots.latest([host], before=None if run is None else run + 1).get(host)
    if found is None:
        raise InputError(f"the history has no snapshot of '{host}'" + (f" up to run {run}" if run is not None else ""))
    return Subject(found.host, found.run, found.taken), found.snapshot


def _runs(history: History, host: str) -> tuple[Run, ...]:
    return tuple(history.runs.find(hosts=[host], limit=_RUNS)) if host else ()


def _sections(sides: tuple[Side, ...]) -> tuple[Section, ...]:
    values: dict[str, list[bool]] = {}
    for each in sides:
        values.setdefault(each.path[0], []).append(each.is_same or each.is_identity)
    return tuple(Section(name, same.count(False), len(same)) for name, same in values.items())


COMPARE = Page("/compare", "compare", CompareQuery, _compare)
