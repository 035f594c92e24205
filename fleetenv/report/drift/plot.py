"""Small plots of earlier looks: a bar for each, as geometry for an SVG of 1000 by 100 units."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from fleetenv.history.model import RunPoint, Tally

_MOST = 60  # looks
_FEW = 12  # bars are no wider than with so many
_GAP = 0.2  # of a bar's width


class Part(Struct, frozen=True):
    """A part of a bar: what it counts, and its rectangle from the top left."""

    kind: str
    x: float
    y: float
    width: float
    height: float


class Bar(Struct, frozen=True):
    """One look: what a reader is told of it, and its parts from below."""

    label: str
    parts: tuple[Part, ...]


class Plot(Struct, frozen=True):
    """A plot with a title; `top` is what its full height stands for, `first` and `last` when it begins and ends."""

    title: str
    top: int
    first: str
    last: str
    bars: tuple[Bar, ...]


class _Count(Struct, frozen=True):
    """What a part of a bar counts."""

    kind: str
    words: str
    of: Callable[[Tally], int]


_FINDINGS = (
    _Count("error", "errors", lambda tally: tally.errors),
    _Count("warning", "warnings", lambda tally: tally.warnings),
)
_HOSTS = (
    _Count("unreachable", "out of reach", lambda tally: tally.lost),
    _Count("error", "with a failed task", lambda tally: tally.failed),
    _Count("warning", "not as the playbook says", lambda tally: tally.changed),
)


def plots(earlier: Sequence[RunPoint], now: RunPoint) -> list[Plot]:
    """Return what looks found, this one last; nothing where there is nothing to compare with."""
    if not earlier:
        return []
    points = [*earlier[-(_MOST - 1) :], now]
    return [_plot("findings, look by look", points, _FINDINGS), _plot("hosts not as wanted", points, _HOSTS)]


def _plot(title: str, points: Sequence[RunPoint], counts: Sequence[_Count]) -> Plot:
    top = max(1, *(sum(count.of(point.tally) for count in counts) for point in points))
    width = 1000 / max(len(points), _FEW)
    bars = []
    for place, point in enumerate(points):
        parts, below = [], 0.0
        for count in counts:
            height = 100 * count.of(point.tally) / top
            if height:
                x, y = place * width, 100 - below - height
                parts.append(Part(count.kind, round(x, 2), round(y, 2), round(width * (1 - _GAP), 2), round(height, 2)))
            below += height
        told = ", ".join(f"{count.of(point.tally)} {count.words}" for count in counts)
        bars.append(Bar(f"{point.started:%Y-%m-%d %H:%M}: {told}", tuple(parts)))
    return Plot(title, top, f"{points[0].started:%Y-%m-%d}", f"{points[-1].started:%Y-%m-%d}", tuple(bars))
