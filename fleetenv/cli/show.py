"""Show a past run: its hosts; or, with HOST, how each task ended there.

RUN is a number, 'last', 'last-1' (the one before), or the beginning of when it started, if only one run started so.

Examples:
  fleetenv show last
  fleetenv show 17 gpu03
  fleetenv show 2026-11-21T18:14 --json

Exit status: 0, or 1 bad input.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fleetenv.cli.options import add_history_file
from fleetenv.cli.recording import history_file
from fleetenv.cli.tables import table_console
from fleetenv.errors import InputError, nearest

if TYPE_CHECKING:
    from fleetenv.history.store import History


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("run", metavar="RUN", help="which run")
    parser.add_argument("host", nargs="?", metavar="HOST", help="task by task on this host")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    add_history_file(parser)


def run(options: argparse.Namespace) -> int:
    """Read the history, and show it."""
    from fleetenv.history.store import open_history

    with open_history(history_file(options)) as history:
        number = history.runs.resolve(options.run)
        if options.host is None:
            _show_run(history, number, as_json=options.json)
        else:
            _show_host(history, number, options.host, as_json=options.json)
    return 0


def _show_run(history: History, number: int, *, as_json: bool) -> None:
    from fleetenv.report.history.document import run_json

    found, hosts, findings = history.runs.get(number), history.runs.hosts(number), history.findings.of_run(number)
    if as_json:
        sys.stdout.write(run_json(found, hosts, findings))
        return
    from fleetenv.report.history.run import print_run

    print_run(found, hosts, findings, table_console(), Path.cwd())


def _show_host(history: History, number: int, name: str, *, as_json: bool) -> None:
    from fleetenv.report.history.document import host_json

    host = history.runs.host(number, name)
    if host is None:
        names = [each.host for each in history.runs.hosts(number)]
        raise InputError(f"run {number} did not go to '{name}'", hint=nearest(name, names))
    found, results = history.runs.get(number), history.runs.results(number, name)
    findings = history.findings.of_run(number, name)
    if as_json:
        sys.stdout.write(host_json(found, host, results, findings))
        return
    from fleetenv.report.history.run import print_host

    print_host(found, host, results, findings, table_console(), Path.cwd())
