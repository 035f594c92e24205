"""Remove what nobody needs any more from many hosts, and say how much room that makes.

What goes: generations of environments and virtualenvs beyond --keep, builds that were cut off, what is left of
environments that were removed, and packages of the cache that no environment is linked to or lists. Environments and
virtualenvs go only when --env names them, whoever made them. What a process has open stays, and so does what a
virtualenv stands on; without -b, other users' Pythons count as using everything.

Examples:
  fleetenv clean -i inventories/lab -b --check            # what would go, and its size
  fleetenv clean -i inventories/lab -b --keep 1
  fleetenv clean -i inventories/lab -b gpu07 --env nlp_summarization_2023q2 --env /data/venvs/old

Exit status: 0 done, 1 bad input, 2 failed on a host, 4 a host could not be reached, 6 both.
"""

from __future__ import annotations

import argparse

from fleetenv.cli.inquiring import add_inquiry_arguments, environment_or_path, exit_status, inquire
from fleetenv.cli.options import seconds
from fleetenv.cli.tables import table_console
from fleetenv.conda.inquiry import CLEANING
from fleetenv.conda.whoami import whoami

_KEEP = 2
_LOCK_TIMEOUT = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_inquiry_arguments(parser)
    parser.add_argument(
        "--env", action="append", default=[], type=environment_or_path, metavar="NAME",
        help="remove this environment, or the virtualenv at this path; may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--keep", type=_generations, default=_KEEP, metavar="N",
        help=f"generations of each environment and virtualenv that stay, the current one included (default: {_KEEP})",
    )  # fmt: skip
    parser.add_argument("-C", "--check", action="store_true", help="remove nothing, say what would go")
    parser.add_argument(
        "--lock-timeout", type=seconds, default=_LOCK_TIMEOUT, metavar="S",
        help=f"seconds to wait for another fleetenv on a host (default: {_LOCK_TIMEOUT:.0f})",
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Clean all hosts, and print what went."""
    answers = inquire(
        options,
        CLEANING,
        lambda prefix: CLEANING.ask(
            prefix,
            names=options.env,
            keep=options.keep,
            check=options.check,
            who=whoami(),
            wait=options.lock_timeout,
        ),
    )
    from fleetenv.report.cleaning import print_cleaning

    print_cleaning(answers, table_console(), check=options.check)
    return exit_status(answers)


def _generations(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number above 0: the current generation always stays")
    return int(text)
