"""Show the GPUs, drivers and health of many hosts, as a table or as JSON. Nothing is changed.

Examples:
  fleetenv gpu -i inventories/lab
  fleetenv gpu 'a100:!gpu07' -i inventories/lab --json

Exit status: 0 all were asked, 1 bad input, 4 one could not be.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence

from fleetenv.cli.options import add_connection_arguments, add_host_arguments, connecting, read_settings
from fleetenv.errors import HostError, TaskFailed
from fleetenv.gpu.probe import SMI_SECONDS, gpu_probe
from fleetenv.gpu.states import GpuHost
from fleetenv.remote import Run
from fleetenv.report.gpus import Answer, gpus_json, print_gpus
from fleetenv.shell import Connect, Connection, Settings, visit

EXIT_UNREACHABLE = 4
_SECONDS = SMI_SECONDS + 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("pattern", nargs="?", default="all", metavar="PATTERN", help="which hosts (default: all)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    add_host_arguments(parser)
    add_connection_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Ask all hosts, and print what they answered."""
    with connecting(options) as connect:
        answers = asyncio.run(_ask_all(read_settings(options, options.pattern), connect, options.forks))
    if options.json:
        sys.stdout.write(gpus_json(answers))
    else:
        from rich.console import Console

        print_gpus(answers, Console())
    return EXIT_UNREACHABLE if any(isinstance(answer, HostError) for answer in answers.values()) else 0


async def _ask_all(hosts: Sequence[Settings], connect: Connect, forks: int) -> Mapping[str, Answer]:
    answers: dict[str, Answer] = {}
    async for each in visit(hosts, _ask, connect=connect, forks=forks):
        answer = each.error or each.result
        assert answer is not None  # a visit has one of the two
        answers[each.host] = answer
    return {settings.host: answers[settings.host] for settings in hosts}


async def _ask(connection: Connection) -> GpuHost:
    probe = gpu_probe()
    question = Run(probe.script, may_fail=True, timeout=_SECONDS)
    (completed,) = await connection.talk([question], become=connection.settings.becoming())
    try:
        return probe.parse(completed)
    except ValueError as error:
        raise TaskFailed(str(error)) from error
