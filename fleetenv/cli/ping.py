"""Check that hosts can be reached and logged in to, and that a shell answers there.

Examples:
  fleetenv ping all -i inventories/lab
  fleetenv ping 'a100:!gpu07' -i inventories/lab -u ops -b -K
  fleetenv ping all -i 'gpu01,gpu02' --ssh-common-args '-o StrictHostKeyChecking=accept-new'

Exit status: 0 all answered, 1 bad input, 2 one could not become the other user, 4 one could not be reached, 6 both.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterable

from fleetenv.cli.options import add_connection_arguments, add_host_arguments, connecting, read_settings
from fleetenv.errors import Unreachable
from fleetenv.remote import Run
from fleetenv.report.text import visible_line
from fleetenv.shell import Connect, Connection, Settings, Visit, visit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("pattern", metavar="PATTERN", help="which hosts, as in a play's 'hosts:'")
    add_host_arguments(parser)
    add_connection_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Ping, and print a line a host as the answers come."""
    with connecting(options) as connect:
        hosts = read_settings(options, options.pattern)
        return asyncio.run(_ping(hosts, connect, options.forks))


async def _ping(hosts: Iterable[Settings], connect: Connect, forks: int) -> int:
    status = 0
    width = max((len(settings.host) for settings in hosts), default=0)
    async for each in visit(hosts, _who, connect=connect, forks=forks):
        print(f"{each.host:<{width}} | {_line(each)}", flush=True)
        status |= 0 if not each.error else 4 if isinstance(each.error, Unreachable) else 2
    return status


async def _who(connection: Connection) -> str:
    become = connection.settings.becoming()
    (answer,) = await connection.talk([Run("id -un")], become=become)
    name = answer.text.strip()
    return f"{connection.user}, becoming {name}" if become else name


def _line(each: Visit[str]) -> str:
    if each.error:
        return f"{'UNREACHABLE' if isinstance(each.error, Unreachable) else 'FAILED'}: {visible_line(str(each.error))}"
    trips = f"{each.round_trips} round trip{'' if each.round_trips == 1 else 's'}"
    return f"ok: {visible_line(each.result or '?')}, {each.seconds * 1000:.0f} ms, {trips}"
