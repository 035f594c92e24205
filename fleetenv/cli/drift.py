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
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from msgspec.structs import replace

from fleetenv.cli.options import add_connection_arguments, add_host_arguments, connecting
from fleetenv.cli.playing import Relay, add_play_arguments, make_fleet, play
from fleetenv.drift.assessment import assessed
from fleetenv.drift.commands import Commands
from fleetenv.drift.survey import Survey
from fleetenv.errors import InputError
from fleetenv.report.looking import Looking
from fleetenv.report.text import counted

if TYPE_CHECKING:
    from fleetenv.drift.report import DriftReport

FORMATS = ("text", "json", "html", "markdown", "junit")
_SUFFIXES = {".json": "json", ".html": "html", ".htm": "html", ".md": "markdown", ".xml": "junit"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("playbook", type=Path, metavar="PLAYBOOK", help="what should be")
    parser.add_argument("--format", choices=FORMATS, help="how to report (default: by FILE's ending, else text)")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the report into FILE")
    add_host_arguments(parser)
    add_play_arguments(parser)
    add_connection_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Look at all hosts, and report."""
    if options.output and not options.output.resolve().parent.is_dir():
        raise InputError(f"there is no folder to write {options.output} into")
    survey = Survey()
    sink = Relay([survey, Looking(sys.stderr)])
    with connecting(options) as connect:
        play(make_fleet(options, sink, connect, check_mode=True, survey=True, diff=True), sink)
    commands = Commands(str(options.playbook), tuple(str(each) for each in options.inventory))
    report = assessed(replace(survey.report(), taken=datetime.now().astimezone()), commands)
    if not options.output:
        _write(report, options.format or "text", sys.stdout)
        return report.exit_status
    try:
        with options.output.open("w", encoding="utf-8") as file:
            _write(report, options.format or _SUFFIXES.get(options.output.suffix, "text"), file)
    except OSError as error:
        raise InputError(f"cannot write {options.output}: {error.strerror}") from error
    print(f"{options.output}: {counted(len(report.drifting), 'finding')} on {counted(len(report.hosts), 'host')}")
    return report.exit_status


def _write(report: DriftReport, form: str, stream: TextIO) -> None:
    match form:
        case "json":
            from fleetenv.report.drift.document import drift_json

            stream.write(drift_json(report))
        case "html":
            from fleetenv.report.drift.html import drift_html

            stream.write(drift_html(report))
        case "markdown":
            from fleetenv.report.drift.markdown import drift_markdown

            stream.write(drift_markdown(report))
        case "junit":
            from fleetenv.report.drift.junit import drift_junit

            stream.write(drift_junit(report))
        case _:
            from rich.console import Console

            from fleetenv.report.drift.terminal import print_drift

            print_drift(report, Console(file=stream))
