"""List past runs, the newest first; with --prune remove old ones.

Examples:
  fleetenv history
  fleetenv history -i inventories/lab a100 --since 7d
  fleetenv history --kind drift --limit 5 --json
  fleetenv history --prune 90d

Exit status: 0, or 1 bad input.
"""

from __future__ import annotations

import argparse
import fnmatch
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from fleetenv.cli.options import add_history_file
from fleetenv.cli.recording import history_file
from fleetenv.cli.tables import table_console
from fleetenv.errors import InputError, nearest
from fleetenv.history.errand import Kind

if TYPE_CHECKING:
    from fleetenv.history.store import History

_LIMIT = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("pattern", nargs="?", metavar="PATTERN", help="only runs that went to these hosts")
    parser.add_argument(
        "-i",
        "--inventory",
        action="append",
        metavar="SOURCE",
        help="the inventory that PATTERN is of (else: names, perhaps with *)",
    )
    parser.add_argument(
        "--limit", type=_limit, default=_LIMIT, metavar="N", help=f"at most so many (default: {_LIMIT})"
    )
    parser.add_argument("--since", metavar="DATE", help="only since then: 2026-11-21, 36h, 7d, or a run")
    parser.add_argument(
        "--kind", choices=[str(kind) for kind in Kind], metavar="KIND", help="apply, check, drift or plan"
    )
    parser.add_argument(
        "--prune",
        type=_kept,
        metavar="KEEP",
        help="remove all but the newest runs, or those of the last days: 200, 90d",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    add_history_file(parser)


def run(options: argparse.Namespace) -> int:
    """Read the history, and list it."""
    from fleetenv.history.store import open_history
    from fleetenv.report.history.document import runs_json

    with open_history(history_file(options)) as history:
        if options.prune:
            print(_prune(history, options.prune))
            return 0
        since = history.runs.since(options.since) if options.since else None
        runs = history.runs.find(
            hosts=_hosts(options, history.runs.known_hosts()),
            kind=Kind(options.kind) if options.kind else None,
            since=since,
            limit=options.limit,
        )
    if options.json:
        sys.stdout.write(runs_json(runs))
    else:
        from fleetenv.report.history.listing import print_runs

        print_runs(runs, table_console(), Path.cwd())
    return 0


def _prune(history: History, kept: int | timedelta) -> str:
    from fleetenv.history.prune import prune_older, prune_to
    from fleetenv.report.text import counted, file_size

    before = history.file.stat().st_size
    now = datetime.now().astimezone()
    if isinstance(kept, int):
        removed = prune_to(history.connection, kept, now)
    else:
        removed = prune_older(history.connection, now - kept, now)
    freed = max(0, before - history.file.stat().st_size)
    return f"{history.file}: {counted(removed, 'run')} removed, {file_size(freed)} freed"


def _kept(text: str) -> int | timedelta:
    number = text.removesuffix("d")
    if not (number.isascii() and number.isdigit() and 0 < int(number) < 10**5):
        raise argparse.ArgumentTypeError(f"'{text}' is neither a number of runs nor of days; right are 200 or 90d")
    return timedelta(days=int(number)) if text.endswith("d") else int(number)


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 10**6):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number above 0")
    return int(text)


def _hosts(options: argparse.Namespace, known: list[str]) -> list[str] | None:
    """Return the hosts that PATTERN names: of the inventory, else of those that the history knows.

    Raises:
        InputError: it names none.
    """
    pattern: str | None = options.pattern or ("all" if options.inventory else None)
    if pattern is None:
        return None
    if options.inventory is None:
        found = [name for term in pattern.split(",") for name in fnmatch.filter(known, term)]
        hint = nearest(pattern, known) or "groups are of an inventory: -i names it"
    else:
        from fleetenv.cli.options import read_inventory

        found = [host.name for host in read_inventory(options).select(pattern)]
        hint = "'fleetenv inventory --graph' shows them all"
    if not found:
        raise InputError(f"no host matches '{pattern}'", hint=hint)
    return found
