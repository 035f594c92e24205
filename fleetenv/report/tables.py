"""Tables of hosts for a terminal or a pipe: without frames, no wider than the terminal, safe to print."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from fleetenv.errors import HostError, Unreachable
from fleetenv.report.text import visible_line


def plain_table(columns: Sequence[str], *, narrow: Sequence[str] = (), right: Sequence[str] = ()) -> Table:
    """Return an empty table; `narrow` columns are never folded, `right` ones hold numbers."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold", no_wrap=name in narrow, justify="right" if name in right else "left")
    return table


def cells(*texts: str) -> Iterator[Text]:
    """Return cells that show texts as they are: a host's words are no markup and cannot steer a terminal."""
    return (Text(visible_line(text)) for text in texts)


def print_parts(console: Console, parts: Iterable[RenderableType]) -> None:
    """Print parts without spaces at the ends of lines, and without characters that the terminal does not know.

    A `Text` with `no_wrap` is printed in one line, however long: a command to be copied.
    """
    with console.capture() as captured:
        for part in parts:
            console.print(part, soft_wrap=isinstance(part, Text) and part.no_wrap is True)
    for row in captured.get().lstrip("\n").splitlines():  # a space between parts has no use before the first
        encoded = row.rstrip().encode(console.encoding, "backslashreplace")
        console.file.write(encoded.decode(console.encoding) + "\n")


def failure(host: str, error: HostError) -> Text:
    """Say why a host has no row."""
    word = "unreachable" if isinstance(error, Unreachable) else "failed"
    return Text(f"{visible_line(host)}  {word}: {visible_line(str(error))}", "red")
