"""Run one command on many hosts, side by side, and show what it prints, host by host.

One word after -- is text for the host's shell; several words are one command, each word passed on exactly as it is.

Examples:
  fleetenv run a100 -i inventories/lab -- nvidia-smi -L
  fleetenv run all -i inventories/lab -b -K -- 'systemctl is-active nvidia-persistenced || dmesg | grep Xid'
  fleetenv run all -i inventories/lab -o -- cat /sys/module/nvidia/version | sort

Exit status: 0 all succeeded, 1 bad input, 2 one failed, 4 one could not be reached, 6 both.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterable

from fleetenv.cli.options import add_connection_arguments, add_host_arguments, connecting, read_settings, seconds
from fleetenv.errors import Unreachable
from fleetenv.remote import Completed, Run, sh
from fleetenv.report.text import visible, visible_line
from fleetenv.shell import Connect, Connection, Settings, Visit, visit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.usage = "%(prog)s PATTERN -i INVENTORY [options] -- COMMAND ..."
    parser.add_argument("pattern", metavar="PATTERN", help="which hosts, as in a play's 'hosts:'")
    parser.add_argument("command", metavar="COMMAND", nargs="+", help="what to run, after --")
    parser.add_argument("-o", "--one-line", action="store_true", help="print one line a host")
    parser.add_argument("--task-timeout", type=seconds, metavar="S", help="end the command after this many seconds")
    add_host_arguments(parser)
    add_connection_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Run the command, and print each host's output when it is there."""
    words = options.command
    step = Run(words[0] if len(words) == 1 else sh(*words), timeout=options.task_timeout)
    with connecting(options) as connect:
        hosts = read_settings(options, options.pattern)
        return asyncio.run(_run(hosts, step, connect, options))


async def _run(hosts: Iterable[Settings], step: Run, connect: Connect, options: argparse.Namespace) -> int:
    async def work(connection: Connection) -> Completed:
        (answer,) = await connection.talk([step], become=connection.settings.becoming())
        return answer

    status = 0
    async for each in visit(hosts, work, connect=connect, forks=options.forks):
        print(_title(each), end=" | " if options.one_line and each.result else "\n", flush=True)
        if each.result:
            (_show_line if options.one_line else _show)(each.result)
        if each.error:
            status |= 4 if isinstance(each.error, Unreachable) else 2
        elif each.result and each.result.status:
            status |= 2
    return status


def _title(each: Visit[Completed]) -> str:
    if each.error:
        word = "UNREACHABLE" if isinstance(each.error, Unreachable) else "FAILED"
        return f"{each.host} | {word}: {visible_line(str(each.error))}"
    assert each.result
    return f"{each.host} | {f'FAILED: exit status {each.result.status}' if each.result.status else 'ok'}"


def _show_line(result: Completed) -> None:
    print(visible_line((result.text + result.error_text).strip().replace("\n", "\\n")), flush=True)


def _show(result: Completed) -> None:
    for data, stream in ((result.stdout, sys.stdout), (result.stderr, sys.stderr)):
        if not data:
            continue
        if stream.isatty():
            text = data.decode("utf-8", "replace")
            print(visible(text), end="" if text.endswith("\n") else "\n", file=stream, flush=True)
        else:  # a file or a program gets the very bytes
            stream.flush()
            stream.buffer.write(data)
            stream.buffer.flush()
    if result.dropped:
        print(f"(and {result.dropped} bytes more, which were not kept)", file=sys.stderr, flush=True)
