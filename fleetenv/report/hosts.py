"""Lists of host names, folded into the ranges that inventories are written with."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Iterable

_WIDTH = 72  # so that lines fit on a terminal of 80 columns, indented
_LINES = 4
_NUMBERED = re.compile(r"(?P<stem>.*?)(?P<number>[0-9]+)(?P<tail>[^0-9]*)", re.ASCII | re.DOTALL)


def fold_hosts(names: Iterable[str]) -> str:
    """Write `gpu01, gpu02, gpu03, login` as `gpu[01:03], login`; two in a row are not worth a range."""
    runs: list[list[str]] = []
    for name in sorted(names, key=_natural):
        if runs and _follows(runs[-1][-1], name):
            runs[-1].append(name)
        else:
            runs.append([name])
    return ", ".join(part for run in runs for part in _run(run))


def name_hosts(names: Iterable[str], *, everyone: bool) -> list[str]:
    """Return lines that name hosts, folded; only the first few lines, unless `everyone` is to be named."""
    lines = textwrap.wrap(fold_hosts(names), _WIDTH, break_long_words=False, break_on_hyphens=False)
    return lines if everyone or len(lines) <= _LINES else [*lines[:_LINES], "..."]


def brief_hosts(names: Collection[str], width: int) -> str:
    """Name hosts, folded, in about `width` characters: if these are too few, the first ones, and how many there are."""
    folded = fold_hosts(names)
    if len(folded) <= width:
        return folded
    more = f", ... ({len(names)} in all)"
    first = folded[: max(width - len(more), 1)].rpartition(", ")[0] or folded.partition(", ")[0]
    return f"{first}{more}"


def _natural(name: str) -> tuple[str, str, int, str]:
    match = _NUMBERED.fullmatch(name)
    return (match["stem"], match["tail"], int(match["number"][:18]), name) if match else (name, "", -1, name)


def _follows(before: str, name: str) -> bool:
    first, second = _NUMBERED.fullmatch(before), _NUMBERED.fullmatch(name)
    return (
        first is not None
        and second is not None
        and (first["stem"], first["tail"]) == (second["stem"], second["tail"])
        and str(int(first["number"][:18]) + 1).zfill(len(first["number"])) == second["number"]
    )


def _run(run: list[str]) -> list[str]:
    first, last = _NUMBERED.fullmatch(run[0]), _NUMBERED.fullmatch(run[-1])
    if len(run) < 3 or first is None or last is None:
        return run
    return [f"{first['stem']}[{first['number']}:{last['number']}]{first['tail']}"]
