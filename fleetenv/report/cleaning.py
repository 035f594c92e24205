"""What was cleaned, or would be, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from rich.console import Console, RenderableType
from rich.text import Text

from fleetenv.errors import HostError
from fleetenv.onhost.cleaning import Cleaning, Item
from fleetenv.report.tables import cells, failure, plain_table, print_parts
from fleetenv.report.text import counted, file_size, visible_line

Answer: TypeAlias = Cleaning | HostError
"""What went from a host, or why nothing did."""

_PACKAGES = 10  # rows of packages of a host; the rest is counted


def print_cleaning(answers: Mapping[str, Answer], console: Console, *, check: bool) -> None:
    """Print a row for each thing, below them what stays and why, and what it amounts to."""
    table = plain_table(("HOST", "WHAT", "NAME", "SIZE"), narrow=("WHAT", "SIZE"), right=("SIZE",))
    for host, answer in answers.items():
        if not isinstance(answer, HostError):
            for what, name, size in _rows(answer):
                table.add_row(*cells(host, what, name, file_size(size)))
    print_parts(console, [*([table] if table.row_count else []), *_below(answers, check=check)])


def _rows(cleaning: Cleaning) -> Iterator[tuple[str, str, int]]:
    going = [item for item in cleaning.items if not item.stays]
    packages = sorted((item for item in going if item.kind == "package"), key=lambda item: (-item.size, item.name))
    for item in [each for each in going if each.kind != "package"] + packages[:_PACKAGES]:
        yield item.kind, item.name, item.size
    rest = packages[_PACKAGES:]
    if rest:
        yield "package", f"and {len(rest)} more", sum(item.size for item in rest)


def _below(answers: Mapping[str, Answer], *, check: bool) -> Iterator[RenderableType]:
    gone: list[Item] = []
    for host, answer in answers.items():
        if isinstance(answer, HostError):
            yield failure(host, answer)
            continue
        gone += [item for item in answer.items if not item.stays]
        for item in answer.items:
            if item.stays:
                yield Text(f"{visible_line(host)}  {visible_line(f'{item.name} stays: {item.stays}')}", "yellow")
        for note in answer.notes:
            yield Text(f"{visible_line(host)}  {visible_line(note)}", "yellow")
    verb = "would free" if check else "freed"
    words = f"{counted(len(gone), 'thing')} {verb} {file_size(sum(item.size for item in gone))}"
    yield Text(f"\n{words if gone else 'nothing to clean'}{' (nothing was removed: check mode)' * check}", "bold")
