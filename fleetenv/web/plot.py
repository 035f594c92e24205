"""Values over time as small SVG plots: points of a polyline, in units that the plot's size does not matter for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

WIDTH, HEIGHT = 200, 40
"""The plot's view box."""

_MARGIN = 2.0
_MOST_POINTS = 500


class Plot(Struct, frozen=True):
    """A plot to show: `line` and `area` are an SVG's `points`; `lowest` and `highest` label it."""

    title: str
    latest: float
    lowest: float
    highest: float
    line: str
    area: str


def plot(title: str, points: Sequence[tuple[datetime, float]], until: datetime, *, steps: bool = False) -> Plot | None:
    """Draw values in the order of time, up to `until`; None when there is nothing to draw.

    `steps`: a value holds until the next one, as a counter's does; otherwise points are joined.
    """
    if not points:
        return None
    values = [value for _, value in points]
    drawn = _drawn(_thinned(points), until, steps=steps)
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in drawn)
    return Plot(
        title=title,
        latest=values[-1],
        lowest=min(values),
        highest=max(values),
        line=line,
        area=f"{drawn[0][0]:.1f},{HEIGHT} {line} {drawn[-1][0]:.1f},{HEIGHT}",
    )


def _thinned(points: Sequence[tuple[datetime, float]]) -> list[tuple[datetime, float]]:
    """Keep every n-th point and the last one, so that a plot is small however long the history is."""
    every = -(-len(points) // _MOST_POINTS)
    kept = list(points[::every])
    return kept if kept[-1] == points[-1] else [*kept, points[-1]]


def _drawn(points: Sequence[tuple[datetime, float]], until: datetime, *, steps: bool) -> list[tuple[float, float]]:
    begin = points[0][0]
    end = max(until, points[-1][0])
    seconds = (end - begin).total_seconds() or 1.0
    lowest, highest = min(0.0, *(value for _, value in points)), max(value for _, value in points)
    span = (highest - lowest) or 1.0
    placed: list[tuple[float, float]] = []
    for moment, value in points:
        x = WIDTH * (moment - begin).total_seconds() / seconds
        y = HEIGHT - _MARGIN - (HEIGHT - 2 * _MARGIN) * (value - lowest) / span
        if steps and placed:
            placed.append((x, placed[-1][1]))
        placed.append((x, y))
    return [*placed, (float(WIDTH), placed[-1][1])]
