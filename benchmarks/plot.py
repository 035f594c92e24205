"""Draw the results: run by the peers' Python, which has matplotlib.

usage: python plot.py RESULTS.json PLOT.svg LABELS.json
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt

_TEXT = "#7d8590"  # is read on white and on GitHub's dark grey alike
_COLOURS = {
    "floor": "#8b949e",
    "fleetenv": "#2da44e",
    "pyinfra": "#d29922",
    "mitogen": "#a371f7",
    "ansible": "#e5534b",
}
_BAR = 0.16  # a case is 1 high


def draw(cases: list[dict[str, Any]], labels: dict[str, str], path: Path) -> None:
    """Write the plot: a group of bars for each case, a bar for each tool, wall time on a logarithmic scale."""
    mpl.rcParams.update({
        "svg.hashsalt": "fleetenv",
        "font.size": 10,
        **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color", "axes.edgecolor"), _TEXT),
    })  # fmt: skip
    figure, axes = plt.subplots(figsize=(9.5, 0.8 + 0.95 * len(cases)), layout="constrained")
    for tool, colour in _COLOURS.items():
        drawn = [(number, case["tools"][tool]["walls"]) for number, case in enumerate(cases) if tool in case["tools"]]
        places = [(number + (list(_COLOURS).index(tool) - 2) * _BAR, walls) for number, walls in drawn if walls]
        if not places:
            continue
        heights, medians = [place for place, _ in places], [statistics.median(walls) for _, walls in places]
        axes.barh(heights, medians, _BAR * 0.86, color=colour, label=labels[tool])
        for place, median in zip(heights, medians, strict=True):
            text = f"{median:.0f} s" if median >= 10 else f"{median:.1f} s" if median >= 3 else f"{median:.2f} s"
            axes.text(median * 1.05, place, text, va="center", fontsize=8, color=colour)
    axes.set_xscale("log")
    axes.set_xlabel("wall time, median (seconds, logarithmic)")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_yticks(range(len(cases)), [_name(case) for case in cases])
    axes.invert_yaxis()
    axes.margins(x=0.08, y=0.01)
    axes.grid(axis="x", color=_TEXT, alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.legend(loc="outside upper center", ncols=len(_COLOURS), frameon=False, fontsize=9)
    figure.savefig(path, format="svg", transparent=True, metadata={"Date": None})


def _name(case: dict[str, Any]) -> str:
    return f"{case['workload']}\n{case['hosts']} host{'s' if case['hosts'] > 1 else ''}"


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text())["cases"], json.loads(sys.argv[3]), Path(sys.argv[2]))
