"""Show the GPUs, drivers and health of many hosts; which environments they can run; or try the GPUs out.

--envs compares what locks want of CUDA (those in ./envs, or those that are named) with each host's driver and GPUs.
--installed does so with the environments that the hosts themselves have. --smoke multiplies on every GPU, with the
frameworks that an environment holds or else with the driver alone, and compares the product with the CPU's: it uses
GPUs for some seconds. Nothing is changed.

Examples:
  fleetenv gpu -i inventories/lab
  fleetenv gpu 'a100:!gpu07' -i inventories/lab --json
  fleetenv gpu gpu07 --details --dcgm -i inventories/lab
  fleetenv gpu a100 --envs envs/nlp_train.yml -i inventories/lab
  fleetenv gpu a100 --smoke nlp_train -i inventories/lab

Exit status: 0 all were asked, 1 bad input, 2 an environment cannot run on a host or a GPU failed, 4 a host could not be
asked, 6 both.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from fleetenv.cli.inquiring import DEFAULT_PREFIX, ask_each, environment_name
from fleetenv.cli.options import add_connection_arguments, add_host_arguments, connecting, read_settings, seconds
from fleetenv.errors import HostError, InputError, TaskFailed
from fleetenv.gpu.probe import DCGM_SECONDS, PROBE_SECONDS, gpu_probe, thorough_probe
from fleetenv.gpu.states import GpuHost
from fleetenv.remote import Probe, Run
from fleetenv.report.gpus import gpus_json, print_gpus
from fleetenv.shell import Connection

EXIT_UNREACHABLE = 4
SMOKE_SECONDS = 180.0  # loading a framework from a cold network disk takes a minute


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("pattern", nargs="?", default="all", metavar="PATTERN", help="which hosts (default: all)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--details", action="store_true", help="show each GPU: memory, heat, power, links, users")
    parser.add_argument(
        "--dcgm", action="store_true", help="run DCGM's quick diagnosis, which uses the GPUs for seconds"
    )
    more = parser.add_mutually_exclusive_group()
    more.add_argument(
        "--envs", nargs="*", metavar="FILE",
        help="which environments can the hosts run: of these specs or locks (default: the locks in ./envs)",
    )  # fmt: skip
    more.add_argument(
        "--installed", action="store_true", help="which environments can the hosts run: of those that they have"
    )
    more.add_argument(
        "--smoke", type=environment_name, metavar="NAME",
        help="multiply on every GPU with what the environment NAME holds",
    )  # fmt: skip
    parser.add_argument(
        "--smoke-timeout", type=seconds, default=SMOKE_SECONDS, metavar="S",
        help=f"seconds that one framework on one GPU may take (default: {SMOKE_SECONDS:.0f})",
    )  # fmt: skip
    parser.add_argument(
        "--prefix", metavar="FOLDER",
        help="with --installed and --smoke: where Miniconda is "
        f"(default: the host's variable conda_prefix, else {DEFAULT_PREFIX})",
    )  # fmt: skip
    add_host_arguments(parser)
    add_connection_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Ask all hosts, and print what they answered."""
    if (options.details or options.dcgm) and (options.envs is not None or options.installed or options.smoke):
        raise InputError("--details and --dcgm do not go with --envs, --installed or --smoke", hint="ask one by one")
    if options.envs is not None or options.installed:
        from fleetenv.cli.gpu_envs import run as run_envs

        return run_envs(options)
    if options.smoke is not None:
        from fleetenv.cli.gpu_smoke import run as run_smoke

        return run_smoke(options)
    with connecting(options) as connect:
        ask = _ask_thoroughly if options.dcgm else _ask
        answers = asyncio.run(ask_each(read_settings(options, options.pattern), ask, connect, options.forks))
    if options.json:
        sys.stdout.write(gpus_json(answers))
    else:
        from rich.console import Console

        if options.details:
            from fleetenv.report.gpu_details import print_details

            print_details(answers, Console())
        print_gpus(answers, Console())
    return EXIT_UNREACHABLE if any(isinstance(answer, HostError) for answer in answers.values()) else 0


async def _ask(connection: Connection) -> GpuHost:
    return await _put(connection, gpu_probe(), PROBE_SECONDS)


async def _ask_thoroughly(connection: Connection) -> GpuHost:
    return await _put(connection, thorough_probe(), PROBE_SECONDS + DCGM_SECONDS)


async def _put(connection: Connection, probe: Probe[GpuHost], seconds: float) -> GpuHost:
    question = Run(probe.script, may_fail=True, timeout=seconds)
    (completed,) = await connection.talk([question], become=connection.settings.becoming())
    try:
        return probe.parse(completed)
    except ValueError as error:
        raise TaskFailed(str(error)) from error
