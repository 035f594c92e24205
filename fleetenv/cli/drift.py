"""Report what is not as it should be on a fleet. Nothing is changed.

Hosts are compared with the playbook, task by task, as 'apply --check' does; with each other, group by group: drivers,
versions of conda, packages; with an earlier look, if --since names one; and by what no playbook speaks of: packages and
environments put there by hand, files changed, pip over conda, sudo pip, GPUs that fail. Each finding says how bad it is
and what mends it. Notes do not count, and neither does what 'drift_ignore' in the variables lets pass.

Examples:
  fleetenv drift playbooks/site.yml -i inventories/lab
  fleetenv drift playbooks/site.yml -i inventories/lab -l a100 -t conda -o drift.html
  fleetenv drift playbooks/site.yml -i inventories/lab --since 7d --only time,care
  fleetenv drift playbooks/site.yml -i inventories/lab --only playbook --format json | jq .summary

Exit status: 0 no drift, 1 bad input, 2 drift or a failed task, 4 some host could not be looked at.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

from msgspec.structs import replace

from fleetenv.cli.options import (
    add_connection_arguments,
    add_history_arguments,
    add_host_arguments,
    add_play_arguments,
    connecting,
)
from fleetenv.cli.playing import Relay, make_fleet, play
from fleetenv.cli.recording import history_file, recorder
from fleetenv.drift.assessment import Scene, assessed
from fleetenv.drift.commands import Commands
from fleetenv.drift.finding import Against, Finding
from fleetenv.drift.survey import Survey
from fleetenv.drift.taker import HOMES, CensusTaker, check_homes
from fleetenv.drift.waivers import VARIABLE as IGNORED
from fleetenv.drift.waivers import Rule, check_holders, read_rules
from fleetenv.errors import InputError, nearest
from fleetenv.history.model import Kind, RunPoint
from fleetenv.report.drift.forms import Form
from fleetenv.report.drift.news import NewsForm, tell
from fleetenv.report.drift.outputs import Outputs
from fleetenv.report.looking import Looking
from fleetenv.report.webhook import VARIABLE, find_webhook

if TYPE_CHECKING:
    from fleetenv.drift.report import DriftReport
    from fleetenv.drift.snapshot import Snapshot
    from fleetenv.engine.fleet import Fleet
    from fleetenv.history.recorder import Recorder
    from fleetenv.history.runs import Since
    from fleetenv.source import Value

_CHOICES = tuple(str(each) for each in Against if each is not Against.REACH)


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
        "--only", type=_aspects, default=frozenset(Against), metavar="WHAT",
        help=f"compare only with these, of {', '.join(_CHOICES)}; 'playbook' alone takes no census of the hosts",
    )  # fmt: skip
    parser.add_argument(
        "--since", metavar="RUN|DATE", help="compare with an earlier look, too: 17, last, 2026-11-21, 36h, 7d"
    )
    parser.add_argument("--deep", action="store_true", help="read every file of every environment, not only its size")
    parser.add_argument(
        "--webhook", metavar="URL|@FILE",
        help=f"post new findings to this URL; it is secret: better in FILE, or in the environment as {VARIABLE}",
    )  # fmt: skip
    parser.add_argument(
        "--webhook-format", choices=[str(form) for form in NewsForm],
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
    if options.webhook_format and not webhook:
        raise InputError("--webhook-format says nothing without --webhook", hint=f"or {VARIABLE} in the environment")
    since = _since(options)
    record = recorder(options, Kind.DRIFT)
    report = _look(options, record, since)
    known, earlier = frozenset[tuple[str, str, str]](), list[RunPoint]()
    if record:
        report = replace(report, findings=record.dated(report.findings))
        known, earlier = record.known(report.findings), record.earlier()
        record.finish(report.exit_status, snapshots=report.snapshots, findings=report.findings)
    try:
        outputs.write(report, earlier)
    finally:  # also where a file cannot be written: new drift is not told a second time
        if webhook:
            tell(webhook, NewsForm(options.webhook_format or NewsForm.JSON), report, known, sys.stderr)
    return report.exit_status


def _look(options: argparse.Namespace, record: Recorder | None, since: Since | None) -> DriftReport:
    survey, taker = Survey(), CensusTaker(deep=options.deep)
    sink = Relay([survey, taker, Looking(sys.stderr), *([record] if record else [])])
    inquire = taker.questions if options.only - {Against.PLAYBOOK, Against.REACH} else None
    rules: dict[str, tuple[Rule, ...]] = {}
    with connecting(options) as connect:
        fleet = make_fleet(options, sink, connect, check_mode=True, survey=True, diff=True, inquire=inquire)
        play(fleet, sink, prepared=lambda: rules.update(_rules(fleet)))

    def changed(snapshots: Mapping[str, Snapshot]) -> Iterable[Finding]:
        if record is None or record.history is None or record.run is None or since is None:
            return ()
        return record.history.changes.findings(since, snapshots, run=record.run, now=record.started)

    report = replace(survey.report(), taken=datetime.now().astimezone())
    scene = Scene(
        commands=Commands(str(options.playbook), tuple(str(each) for each in options.inventory)),
        seen=taker.taken,
        states=survey.states(report),
        only=options.only | {Against.REACH},
        whole=not (options.tags or options.skip_tags),
        rules=rules,
        changed=changed,
    )
    return assessed(report, scene)


def _since(options: argparse.Namespace) -> Since | None:
    """Return what `--since` means.

    Raises:
        InputError: nothing, or there is no history.
    """
    if options.since is None:
        return None
    if options.no_history:
        raise InputError("--since compares with the history, and --no-history does without it")
    from fleetenv.history.store import open_history

    with open_history(history_file(options)) as history:
        return history.runs.since(options.since)


def _rules(fleet: Fleet) -> Mapping[str, tuple[Rule, ...]]:
    """Read what the variables of playbook and inventory let pass, and check what else they say about drift.

    Raises:
        InputError: an entry is wrong.
    """
    read: dict[int, tuple[Rule, ...]] = {}  # most hosts have the very same value, of 'all' or of the play

    def rules(value: object) -> tuple[Rule, ...]:
        if id(value) not in read:
            read[id(value)] = read_rules(cast("Value", value), fleet.select)
        return read[id(value)]

    for values in fleet.written(HOMES).values():
        for value in values:
            check_homes(value)
    written = fleet.written(IGNORED)
    found = {host: tuple(rule for value in values for rule in rules(value)) for host, values in written.items()}
    check_holders(found)
    return found


def _aspects(text: str) -> frozenset[Against]:
    """Read the value of `--only`, as argparse's `type`."""
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if word not in _CHOICES:
            hint = nearest(word, _CHOICES) or f"it is some of {', '.join(_CHOICES)}"
            raise argparse.ArgumentTypeError(f"'{word}' is nothing to compare with; {hint}")
    return frozenset(Against(word) for word in words)
