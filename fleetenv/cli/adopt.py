"""Write the spec and the lock of an environment that exists already on a host, made by conda or by hand.

The lock has exactly what is there: names, versions, builds and hashes of conda's records, and pip's packages. What a
spec cannot hold (editable installs, folders, version control URLs) is named. Nothing is changed on the host: 'apply' of
a conda_env task with the new spec takes the environment over, and keeps the old folder as a generation.

Examples:
  fleetenv adopt gpu07 nlp_train -o envs/nlp_train.yml -i inventories/lab
  fleetenv adopt gpu07 /home/ana/envs/seg -o envs/vision_seg.yml -i inventories/lab --from-history

Exit status: 0 spec and lock are written, 1 bad input, 2 the spec is written and its lock is not whole, 4 the host
could not be asked.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from fleetenv.cli.inquiring import conda_prefix
from fleetenv.cli.options import add_connection_arguments, add_host_arguments, connecting, read_hosts
from fleetenv.conda.handmade import Handmade, look
from fleetenv.errors import InputError, TaskFailed, Unreachable
from fleetenv.remote import Run
from fleetenv.report.text import visible_line
from fleetenv.shell import Connect, Connection, Settings, visit
from fleetenv.source import Value

EXIT_NOT_LOCKED = 2
EXIT_UNREACHABLE = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("host", metavar="HOST", help="the host, as the inventory names it")
    parser.add_argument("environment", metavar="ENV", help="the environment's name below PREFIX/envs, or its path")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="SPEC", help="the spec to write")
    parser.add_argument("--name", help="the environment's name, instead of its folder's")
    parser.add_argument("--prefix", metavar="PATH", help="where Miniconda is; otherwise the host's 'conda_prefix'")
    parser.add_argument("--from-history", action="store_true", help="let the spec name only what somebody asked for")
    parser.add_argument("--mirror", metavar="M", help="look into packages here: tuna, bfsu, ..., or a mirror's URL")
    parser.add_argument("--pip-index", metavar="URL", help="package index for the pip section")
    parser.add_argument("--force", action="store_true", help="write over a spec that is there already")
    add_host_arguments(parser)
    add_connection_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Ask the host, write spec and lock, and say what could not be taken over."""
    from fleetenv.conda.adoption import Wishes, adopt

    if options.output.suffix not in (".yml", ".yaml"):
        raise InputError(f"{options.output} is no name for a spec", hint="it ends in .yml")
    if options.output.exists() and not options.force:
        raise InputError(f"{options.output} is there already", hint="--force writes over it")
    with connecting(options) as connect:
        hosts = read_hosts(options, options.host)
        if len(hosts) != 1:
            raise InputError(
                f"'{options.host}' names {len(hosts)} hosts", hint="one environment of one host is adopted"
            )
        ((host, variables),) = hosts
        path = _path(options, host.host, variables)
        found = asyncio.run(_look(host, path, connect))
    if found is None:
        return EXIT_UNREACHABLE
    if found.there != "present":
        reason = "there is no environment at" if found.there == "absent" else "no permission to look into"
        raise InputError(f"{host.host}: {reason} {path}")
    name = options.name or path.rpartition("/")[2]
    wishes = Wishes(options.from_history, options.mirror, options.pip_index)
    done = adopt(found, name, f"{host.host}:{path}", options.output, wishes)
    for warning in done.warnings:
        print(f"fleetenv: {visible_line(warning)}", file=sys.stderr)
    print(f"{done.spec}: {done.conda} conda packages{f' and {done.pip} of pip' if done.pip else ''}")
    if done.lock is not None:
        print(f"{done.lock}: {'exactly what is there' if done.fresh else 'the conda packages that are there'}")
    return 0 if done.fresh else EXIT_NOT_LOCKED


def _path(options: argparse.Namespace, host: str, variables: Mapping[str, Value]) -> str:
    environment = options.environment.rstrip("/")
    if environment.startswith("/"):
        return str(environment)
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", environment):
        raise InputError(f"'{environment}' is neither the name nor the absolute path of an environment")
    return f"{conda_prefix(options, host, variables)}/envs/{environment}"


async def _look(host: Settings, path: str, connect: Connect) -> Handmade | None:
    """Ask a host; None, with the reason on standard error, if it does not answer."""
    probe = look(path)

    async def ask(connection: Connection) -> Handmade:
        (completed,) = await connection.talk([Run(probe.script)], become=connection.settings.becoming())
        try:
            return probe.parse(completed)
        except ValueError as error:
            raise TaskFailed(str(error)) from error

    async for each in visit([host], ask, connect=connect, forks=1):
        if each.error is not None:
            kind = "unreachable: " if isinstance(each.error, Unreachable) else ""
            print(f"fleetenv: {each.host}: {kind}{visible_line(str(each.error))}", file=sys.stderr)
        return each.result
    return None
