"""Find what was changed in environments: which file, which package owns it, and how it was changed.

Without --deep, files' times and sizes tell: missing, newer than the build, belonging to no package. With --deep every
file is compared with the sha256 that conda's records, or pip's RECORD, have of it: so a change whose time was set back
is seen, too; conda files that pip wrote over, and files of other users ('sudo pip install') are named.
Nothing is changed. 'fleetenv apply' builds a new generation in place of a changed one.

Examples:
  fleetenv verify -i inventories/lab --deep
  fleetenv verify -i inventories/lab gpu07 --env nlp_train --env base --deep --json

Exit status: 0 nothing found, 1 bad input, 2 findings, or it failed on a host, 4 a host could not be reached, 6 both.
"""

from __future__ import annotations

import argparse
import sys

from fleetenv.cli.inquiring import add_inquiry_arguments, environment_name, exit_status, inquire
from fleetenv.cli.tables import table_console
from fleetenv.conda.inquiry import VERIFICATION


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_inquiry_arguments(parser)
    parser.add_argument(
        "--env", action="append", default=[], type=environment_name, metavar="NAME",
        help="this environment, also base or one that fleetenv has not built; may be given several times "
        "(default: all that fleetenv has built)",
    )  # fmt: skip
    parser.add_argument("--deep", action="store_true", help="read every file")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(options: argparse.Namespace) -> int:
    """Look at all hosts, and print what is not as it should be."""
    answers = inquire(
        options, VERIFICATION, lambda prefix: VERIFICATION.ask(prefix, names=options.env, deep=options.deep)
    )
    from fleetenv.report.verification import print_verification, verification_json

    if options.json:
        sys.stdout.write(verification_json(answers, deep=options.deep))
    else:
        print_verification(answers, table_console())
    return exit_status(answers, lambda answer: any(each.findings for each in answer.environments))
