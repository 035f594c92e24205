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
_STEP = 0.17  # from tool to tool; a case is 1 high


def draw(cases: list[dict[str, Any]], labels: dict[str, str], path: Path) -> None:
    """Write the plot: for each case a dot for each tool at its median wall time, with a line over its range."""
    mpl.rcParams.update({
        "svg.hashsalt": "fleetenv",
        "font.size": 10,
        **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color", "axes.edgecolor"), _TEXT),
    })  # fmt: skip
    figure, axes = plt.subplots(figsize=(9.5, 1.0 + 0.85 * len(cases)), layout="constrained")
    for index, (tool, colour) in enumerate(_COLOURS.items()):
        label = labels[tool]
        for number, case in enumerate(cases):
            measured = case["tools"].get(tool)
            if not measured or not measured["walls"] or measured["failure"]:
                continue
            height, median = number + (index - 2) * _STEP, statistics.median(measured["walls"])
            axes.plot([min(measured["walls"]), max(measured["walls"])], [height, height], color=colour, linewidth=2)
            axes.plot([median], [height], "o", color=colour, markersize=7, linestyle="none", label=label)
            label = "_"  # one entry in the legend
            text = f"{median:.0f} s" if median >= 10 else f"{median:.1f} s" if median >= 3 else f"{median:.2f} s"
            place = (max(measured["walls"]), height)
            axes.annotate(text, place, (8, 0), textcoords="offset points", va="center", fontsize=8, color=colour)
    for number in range(1, len(cases)):
        axes.axhline(number - 0.5, color=_TEXT, alpha=0.25, linewidth=0.6)
    axes.set_xscale("log")
    axes.set_xlabel("wall time: median and range (seconds, logarithmic)")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_yticks(range(len(cases)), [_name(case) for case in cases])
    axes.set_ylim(len(cases) - 0.5, -0.5)
    axes.margins(x=0.08)
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
