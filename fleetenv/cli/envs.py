"""Show the conda environments of many hosts: generation, packages, size, last switch, and who uses them.

All environments of a Miniconda are shown, also those that fleetenv has not built, and those that its users have
registered elsewhere; below them the virtualenvs that stand on them. SIZE counts a file with several hard links once;
CACHED is what of it lies in the package cache, too, and costs nothing. Nothing is changed. With -b all processes are
seen, otherwise only your own.

Examples:
  fleetenv envs -i inventories/lab -b
  fleetenv envs -i inventories/lab a100 --json

Exit status: 0 all were asked, 1 bad input, 2 one failed, 4 one could not be reached, 6 both.
"""

from __future__ import annotations

import argparse
import sys
import time

from fleetenv.cli.inquiring import add_inquiry_arguments, exit_status, inquire
from fleetenv.cli.tables import table_console
from fleetenv.conda.inquiry import LISTING


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_inquiry_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(options: argparse.Namespace) -> int:
    """Ask all hosts, and print what they answered."""
    answers = inquire(options, LISTING, LISTING.ask)
    from fleetenv.report.environments import environments_json, print_environments

    if options.json:
        sys.stdout.write(environments_json(answers))
    else:
        print_environments(answers, table_console(), time.time())
    return exit_status(answers)
