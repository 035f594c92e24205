"""Bring hosts to the state that a playbook describes.

Everything that can be checked is checked before any host is touched. Hosts then go through the playbook side by side;
only what differs is changed, and looked at again afterwards.

Examples:
  fleetenv apply playbooks/site.yml -i inventories/lab --check --diff
  fleetenv apply playbooks/site.yml -i inventories/lab -K
  fleetenv apply playbooks/site.yml -i inventories/lab -l 'a100:!gpu07' -t envs --lock

PLAYBOOK may be a plan that 'fleetenv plan -o' has written, without -i: it is applied as it was reviewed, or not at all.

Exit status: 0 converged, 1 bad input (no host was touched), 2 a task failed, 4 a host was unreachable, 6 both.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from fleetenv.cli.options import (
    add_connection_arguments,
    add_history_arguments,
    add_host_arguments,
    add_play_arguments,
    connecting,
)
from fleetenv.errors import InputError

if TYPE_CHECKING:
    from fleetenv.engine import Fleet
    from fleetenv.events import Sink
    from fleetenv.playbook.model import Task
    from fleetenv.shell import Connect, Defaults


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "playbook", type=Path, metavar="PLAYBOOK", help="what should be; or a plan, see 'fleetenv plan'"
    )
    add_host_arguments(parser, required=False)
    add_play_arguments(parser)
    parser.add_argument("-C", "--check", action="store_true", help="change nothing, say what would be changed")
    parser.add_argument("-D", "--diff", action="store_true", help="show differences, line by line for files")
    parser.add_argument("--lock", action="store_true", help="solve specs whose lock is missing or stale at once")
    parser.add_argument(
        "--json", metavar="FILE", help="write the whole run as one JSON document ('-': standard output)"
    )
    parser.add_argument("--list-hosts", action="store_true", help="only list the hosts that it would go to")
    parser.add_argument("--list-tasks", action="store_true", help="only list the tasks that it would carry out")
    parser.add_argument("--syntax-check", action="store_true", help="only check everything that needs no host")
    add_history_arguments(parser)
    add_connection_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Check, apply, and tell."""
    defaults, verify = None, _nothing
    if _is_plan(options.playbook):
        from fleetenv.cli.planned import reviewed

        plan = reviewed(options)
        if options.check:
            print(f"{options.playbook} holds: nothing has changed since it was made")
            return 0
        options, defaults, verify = plan.options, plan.defaults, plan.verify
    elif not options.inventory:
        hint = "'fleetenv apply --help' shows what it takes"
        raise InputError("the following arguments are required: -i/--inventory", hint=hint)
    with connecting(options) as connect:
        return _apply(options, connect, defaults, verify)


def _apply(options: argparse.Namespace, connect: Connect, defaults: Defaults | None, verify: Callable[[], None]) -> int:
    from fleetenv.cli.playing import Relay, make_fleet, play
    from fleetenv.cli.recording import recorder
    from fleetenv.history.errand import Kind
    from fleetenv.report.recap import Recap

    recap = Recap()
    record = recorder(options, Kind.CHECK if options.check else Kind.APPLY)
    sink = Relay([recap, *_reports(options), *([record] if record else [])])
    fleet = make_fleet(
        options,
        sink,
        connect,
        check_mode=options.check,
        diff=options.diff,
        relock=options.lock,
        defaults=defaults,
    )
    if options.list_hosts or options.list_tasks or options.syntax_check:
        fleet.choose()
    if options.list_hosts or options.list_tasks:
        print("\n".join(_listing(fleet, hosts=options.list_hosts, tasks=options.list_tasks)))
        return 0
    if options.syntax_check:
        print(f"{options.playbook}: no mistakes found")
        return 0
    play(fleet, sink, verify)
    if record:
        record.finish(recap.exit_status)
    return recap.exit_status


def _is_plan(file: Path) -> bool:
    """Whether a file is a plan: one JSON object. A playbook is a list."""
    try:
        with file.open("rb") as stream:
            return stream.read(1) == b"{"
    except OSError:
        return False


def _nothing() -> None:
    """Where there is no plan, everything has been checked."""


def _reports(options: argparse.Namespace) -> list[Sink]:
    """Return what tells of the run: the console, beside it JSON; on standard output only one of them."""
    from fleetenv.report.terminal import open_console

    stream = sys.stderr if options.json == "-" else sys.stdout
    console = open_console(stream, verbosity=options.verbose, diff=options.diff)
    if not options.json:
        return [console]
    from fleetenv.report.json import JsonReport

    return [console, JsonReport(options.json)]


def _listing(fleet: Fleet, *, hosts: bool, tasks: bool) -> Iterator[str]:
    from fleetenv.engine.lookahead import linear
    from fleetenv.playbook.model import Task

    for number, stage in enumerate(fleet.stages, 1):
        yield f"play #{number} ({stage.play.name})"
        if hosts:
            yield f"  hosts ({len(stage.hosts)}):"
            yield from (f"    {host}" for host in stage.hosts)
        if tasks:
            yield "  tasks:"
            yield from (f"    {_titled(task)}" for task in linear(stage.entries) if isinstance(task, Task))


def _titled(task: Task) -> str:
    role = f"{task.role.name} : " if task.role else ""
    tags = f"  [{', '.join(sorted(task.tags))}]" if task.tags else ""
    return f"{role}{task.name or task.module}{tags}"
