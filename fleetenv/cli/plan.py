"""Say what 'apply' would do, and write it down as a plan that can be reviewed and then applied as it is.

Nothing is changed. 'fleetenv apply FILE' does what the plan says, or nothing at all: it is refused when a host, or a
file that the run is made from, is not as it was.

Examples:
  fleetenv plan playbooks/site.yml -i inventories/lab -o plan.json
  fleetenv apply plan.json -K
  fleetenv plan playbooks/site.yml -i inventories/lab -t envs -o plan.json || [ $? = 2 ]

Exit status: 0 nothing to do, 1 bad input, 2 something would be changed or run, or a task failed,
4 some host could not be looked at.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fleetenv.cli.options import add_connection_arguments, add_history_arguments, add_host_arguments, add_play_arguments
from fleetenv.cli.planned import new_planning
from fleetenv.cli.recording import recorder
from fleetenv.history.errand import Kind

EXIT_CHANGES = 2
EXIT_UNREACHABLE = 4
EXIT_INTERRUPTED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("playbook", type=Path, metavar="PLAYBOOK", help="what should be")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the plan into FILE")
    add_host_arguments(parser)
    add_play_arguments(parser)
    add_history_arguments(parser)
    add_connection_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Look, tell, and write the plan."""
    from fleetenv.report.plan.summary import summary
    from fleetenv.report.terminal import open_console

    record = recorder(options, Kind.PLAN)
    console = open_console(sys.stdout, verbosity=options.verbose, diff=True)
    planning = new_planning(options)
    look = planning.look([console, *([record] if record else [])])
    hosts = look.hosts()
    status = _status({host.verdict for host in hosts.values()})
    if record:
        record.finish(EXIT_INTERRUPTED if look.interrupted else status)
    if look.interrupted:
        return EXIT_INTERRUPTED
    print("\n".join(["", *summary(hosts)]))
    if options.output:
        planning.document(hosts).write(options.output)
        print(f"written to {options.output}")
    return status


def _status(verdicts: set[str]) -> int:
    if "unreachable" in verdicts:
        return EXIT_UNREACHABLE
    return EXIT_CHANGES if verdicts - {"nothing"} else 0
