"""`fleetenv gpu --smoke`: multiply on every GPU with what an environment holds."""

from __future__ import annotations

import argparse
import asyncio
import sys

from fleetenv.cli.inquiring import ask_each, conda_prefix, exit_status
from fleetenv.cli.options import connecting, read_hosts
from fleetenv.conda.inquiry import SMOKE, ask_smoke
from fleetenv.errors import TaskFailed
from fleetenv.gpu.devices import devices
from fleetenv.gpu.probe import SMI_SECONDS, gpu_probe
from fleetenv.gpu.states import Vendor
from fleetenv.onhost.smoke import AT_ONCE, FRAMEWORKS, GRACE
from fleetenv.remote import Run
from fleetenv.report.gpu_smoke import Smoked, print_smoke, smoke_json
from fleetenv.shell import Connection

_PROBE_SECONDS = SMI_SECONDS + 30


def run(options: argparse.Namespace) -> int:
    """Try all GPUs, and print what came of it."""
    hosts = read_hosts(options, options.pattern)
    prefixes = {settings.host: conda_prefix(options, settings.host, known) for settings, known in hosts}
    seconds = round(options.smoke_timeout) or 1

    async def ask(connection: Connection) -> Smoked:
        become = connection.settings.becoming()
        probe = gpu_probe()
        question = Run(probe.script, may_fail=True, timeout=_PROBE_SECONDS)
        (seen,) = await connection.talk([question], become=become)
        try:
            host = probe.parse(seen)
        except ValueError as error:
            raise TaskFailed(str(error)) from error
        if not host.gpus or host.vendor is Vendor.AMD:
            return Smoked(host, None)
        wanted = [device.visible for device in devices(host)]
        step = ask_smoke(prefixes[connection.settings.host], options.smoke, wanted, seconds)
        (completed,) = await connection.talk([step], become=become, timeout=_longest(len(wanted), seconds))
        return Smoked(host, SMOKE.read(completed))

    with connecting(options) as connect:
        answers = asyncio.run(ask_each([settings for settings, _ in hosts], ask, connect, options.forks))
    if options.json:
        sys.stdout.write(smoke_json(options.smoke, answers))
    else:
        from rich.console import Console

        print_smoke(options.smoke, answers, Console())
    return exit_status(answers, lambda host: host.failed)


def _longest(devices: int, seconds: int) -> float:
    """Return the seconds after which the host's own time limits must have come true, were all to hang."""
    rounds = -(-devices // AT_ONCE) * (len(FRAMEWORKS) + 1) + 1
    return rounds * (seconds + 3 * GRACE) + _PROBE_SECONDS
