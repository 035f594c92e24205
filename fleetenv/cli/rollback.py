"""Switch an environment, or a virtualenv, back to its previous generation, or to a certain one, on many hosts at once.

It is the switch that follows a build, without the build: one rename, under the same lock. Jobs that run keep the
generation that they have. The next 'apply' goes by the lock again: to stay where you are, put the spec and its lock
back in git, too. Virtualenvs stay on the generation that they stand on, and are named; a virtualenv itself goes back
by its path.

Examples:
  fleetenv rollback nlp_train -i inventories/lab                  # to the generation before the current one
  fleetenv rollback nlp_train -i inventories/lab gpu07 --to 12    # 'fleetenv envs --json' lists what there is
  fleetenv rollback nlp_train -i inventories/lab --check          # says what it would do
  fleetenv rollback /data/venvs/summarize -i inventories/lab      # a virtualenv

Exit status: 0 done, 1 bad input, 2 failed on a host, 4 a host could not be reached, 6 both.
"""

from __future__ import annotations

import argparse
import secrets
import sys

from fleetenv.cli.inquiring import add_inquiry_arguments, environment_or_path, exit_status, inquire
from fleetenv.cli.options import seconds
from fleetenv.conda.inquiry import ROLLBACK
from fleetenv.conda.whoami import whoami

_LOCK_TIMEOUT = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "name", type=environment_or_path, metavar="NAME", help="the environment, or the path of a virtualenv"
    )  # fmt: skip
    add_inquiry_arguments(parser)
    parser.add_argument("--to", default="", metavar="GEN", help="to this generation: its number or its whole name")
    parser.add_argument("-C", "--check", action="store_true", help="change nothing, say what would be done")
    parser.add_argument(
        "--lock-timeout", type=seconds, default=_LOCK_TIMEOUT, metavar="S",
        help=f"seconds to wait for another fleetenv on a host (default: {_LOCK_TIMEOUT:.0f})",
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Switch on all hosts, and print what became current."""
    this_run = secrets.token_hex(8)
    answers = inquire(
        options,
        ROLLBACK,
        lambda prefix: ROLLBACK.ask(
            prefix,
            name=options.name,
            to=options.to,
            check=options.check,
            run=this_run,
            who=whoami(),
            wait=options.lock_timeout,
        ),
    )
    from fleetenv.report.rollbacks import rollback_text

    sys.stdout.write(rollback_text(options.name, answers, check=options.check))
    return exit_status(answers)
