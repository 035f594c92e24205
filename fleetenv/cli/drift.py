"""Report where hosts differ from a playbook, and from each other. Nothing is changed.

Every task is looked at as 'apply --check' does. Hosts are compared with the playbook, and among themselves by what one
expects to be the same everywhere: driver versions, conda versions, an environment's packages.

Examples:
  fleetenv drift playbooks/site.yml -i inventories/lab
  fleetenv drift playbooks/site.yml -i inventories/lab -l a100 -t conda -o drift.html
  fleetenv drift playbooks/site.yml -i inventories/lab --format json | jq .summary

Exit status: 0 no drift, 1 bad input, 2 drift or a failed task, 4 some host could not be looked at.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import datetime
from pathlib import Path

from msgspec.structs import replace

from fleetenv.cli.options import add_connection_arguments, add_host_arguments, connecting
from fleetenv.cli.playing import Relay, add_play_arguments, make_fleet, play
from fleetenv.cli.recording import add_history_arguments, recorder
from fleetenv.drift.assessment import assessed
from fleetenv.drift.commands import Commands
from fleetenv.drift.survey import Survey
from fleetenv.history.model import Kind, RunPoint
from fleetenv.report.drift.forms import Form
from fleetenv.report.drift.news import NewsForm, tell
from fleetenv.report.drift.outputs import Outputs
from fleetenv.report.looking import Looking
from fleetenv.report.webhook import VARIABLE, find_webhook


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("playbook", type=Path, metavar="PLAYBOOK", help="what should be")
    parser.add_argument(
        "--format", choices=[str(form) for form in Form], help="how to report (default: by FILE's ending, else text)"
    )
    parser.add_argument(
        "-o", "--output", type=Path, action="append", default=[], metavar="FILE",
        help="write the report into FILE; may be given several times, for several forms of one look",
    )  # fmt: skip
    parser.add_argument(
        "--webhook", metavar="URL|@FILE",
        help=f"post new findings to this URL; it is secret: better in FILE, or in the environment as {VARIABLE}",
    )  # fmt: skip
    parser.add_argument(
        "--webhook-format", choices=[str(form) for form in NewsForm], default=str(NewsForm.JSON),
        help="what to post: a document for programs, or a message for Slack and the like (default: json)",
    )  # fmt: skip
    add_host_arguments(parser)
    add_play_arguments(parser)
    add_history_arguments(parser)
    add_connection_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Look at all hosts, and report."""
    outputs = Outputs(options.output, Form(options.format) if options.format else None)
    webhook = find_webhook(options.webhook, os.environ)
    survey = Survey()
    record = recorder(options, Kind.DRIFT)
    sink = Relay([survey, Looking(sys.stderr), *([record] if record else [])])
    with connecting(options) as connect:
        play(make_fleet(options, sink, connect, check_mode=True, survey=True, diff=True), sink)
    commands = Commands(str(options.playbook), tuple(str(each) for each in options.inventory))
    report = assessed(replace(survey.report(), taken=datetime.now().astimezone()), commands)
    known, earlier = frozenset[tuple[str, str, str]](), list[RunPoint]()
    if record:
        report = replace(report, findings=record.dated(report.findings))
        known, earlier = record.known(report.findings), record.earlier()
        record.finish(report.exit_status, snapshots=report.snapshots, findings=report.findings)
    outputs.write(report, earlier)
    if webhook:
        tell(webhook, NewsForm(options.webhook_format), report, known, sys.stderr)
    return report.exit_status
