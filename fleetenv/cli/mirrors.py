"""Measure from where hosts download packages fastest. Nothing is changed.

Each host fetches the beginning of conda-forge's index from each mirror, one after the other: at most 4 MB and 8 seconds
each. Hosts measure at the same time; where they share one line to the outside, '-f 1' lets one after the other do so.

Examples:
  fleetenv mirrors -i inventories/lab
  fleetenv mirrors -i inventories/lab 'a100:!gpu07' --mirror tuna --mirror bfsu --mirror https://mirror.lab/anaconda

Exit status: 0 all were asked, 1 bad input, 4 one could not be.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence

from fleetenv.cli.options import add_connection_arguments, add_host_arguments, connecting, read_settings
from fleetenv.conda.channels import MIRRORS, Mirror, find_mirror
from fleetenv.conda.mirror_speed import HostMirrors, parse, question
from fleetenv.errors import HostError, TaskFailed
from fleetenv.report.mirrors import Answer, mirrors_json, print_mirrors
from fleetenv.shell import Connect, Connection, Settings, visit

EXIT_UNREACHABLE = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("pattern", nargs="?", default="all", metavar="PATTERN", help="which hosts (default: all)")
    parser.add_argument(
        "--mirror", action="append", metavar="M",
        help=f"a preset ({', '.join(MIRRORS)}) or the URL of a mirror's anaconda folder; default: all presets",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    add_host_arguments(parser)
    add_connection_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Let all hosts measure, and print what they saw."""
    mirrors = {name: find_mirror(name) for name in options.mirror or MIRRORS}
    with connecting(options) as connect:
        answers = asyncio.run(_ask_all(read_settings(options, options.pattern), mirrors, connect, options.forks))
    if options.json:
        sys.stdout.write(mirrors_json(answers, mirrors))
    else:
        from rich.console import Console

        print_mirrors(answers, mirrors, Console())
    return EXIT_UNREACHABLE if any(isinstance(answer, HostError) for answer in answers.values()) else 0


async def _ask_all(
    hosts: Sequence[Settings], mirrors: Mapping[str, Mirror], connect: Connect, forks: int
) -> Mapping[str, Answer]:
    step = question(mirrors)

    async def ask(connection: Connection) -> HostMirrors:
        (completed,) = await connection.talk([step], become=connection.settings.becoming())
        try:
            return parse(completed, mirrors)
        except ValueError as error:
            raise TaskFailed(str(error)) from error

    answers: dict[str, Answer] = {}
    async for each in visit(hosts, ask, connect=connect, forks=forks):
        answer = each.error or each.result
        assert answer is not None  # a visit has one of the two
        answers[each.host] = answer
    return {settings.host: answers[settings.host] for settings in hosts}
