"""Tables of packages: what a new lock changes, and what newer versions there are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from fleetenv.conda.changes import Change
from fleetenv.conda.outdated import Outdated
from fleetenv.report.text import visible_line


def change_rows(changes: Sequence[Change]) -> list[str]:
    """Return a table of changes, the platforms named where they differ."""
    platforms = {each.platforms for each in changes}
    head = ["package", "old", "new", "channel"] + (["platforms"] if len(platforms) > 1 else [])
    rows = [
        [each.package, each.old or "(none)", each.new or "(removed)", each.channel, ", ".join(each.platforms)]
        for each in changes
    ]
    return _table(head, rows)


def outdated_rows(packages: Sequence[Outdated]) -> list[str]:
    """Return a table of packages that could be newer; those that the spec itself names have a mark."""
    head = ["package", "locked", "fits the spec", "newest", "channel", "platforms"]
    rows = [
        [
            f"{each.package} *" if each.direct else each.package,
            each.locked,
            each.fits or "(not needed)",
            each.newest,
            each.channel,
            ", ".join(each.platforms),
        ]
        for each in packages
    ]
    return _table(head, rows)


def outdated_json(found: Mapping[str, Sequence[Outdated]]) -> str:
    """Return one document: each spec's path, and what could be newer in its lock."""
    document = {
        path: [
            {
                "package": each.package,
                "locked": each.locked,
                "fits": each.fits,
                "newest": each.newest,
                "channel": each.channel,
                "platforms": list(each.platforms),
                "direct": each.direct,
            }
            for each in packages
        ]
        for path, packages in found.items()
    }
    return json.dumps(document, indent=2) + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    cells = [head, *([visible_line(cell) for cell in row[: len(head)]] for row in rows)]
    if len(cells) == 1:
        return []
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
