"""`fleetenv gpu --envs`: which hosts can run which environments."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from fleetenv.cli.inquiring import ask_each, conda_prefix, exit_status
from fleetenv.cli.options import connecting, read_hosts
from fleetenv.conda.inquiry import GPU_PACKAGES
from fleetenv.conda.lock import Lock, fresh_lock, lock_path, read_lock
from fleetenv.conda.spec import read_spec
from fleetenv.conda.virtual import PLATFORMS, fits
from fleetenv.errors import InputError, TaskFailed
from fleetenv.gpu.fitness import NOT_LOCKED, fit
from fleetenv.gpu.matrix import Environment, Suited, installed
from fleetenv.gpu.needs import needs
from fleetenv.gpu.probe import SMI_SECONDS, gpu_probe
from fleetenv.remote import Run, sh
from fleetenv.report.gpu_envs import matrix_json, print_matrix
from fleetenv.shell import Connection

FOLDER = Path("envs")
_SECONDS = SMI_SECONDS + 30
_MOST = 200  # environments of a host: it may say anything
_MACHINE_LENGTH = 40  # of what `uname -m` may say


def run(options: argparse.Namespace) -> int:
    """Compare the locks, or what the hosts have installed, with the GPUs of all hosts, and print it."""
    environments = {} if options.installed else _environments(options.envs)
    hosts = read_hosts(options, options.pattern)
    questions = {
        settings.host: [GPU_PACKAGES.ask(conda_prefix(options, settings.host, known))] if options.installed else []
        for settings, known in hosts
    }
    with connecting(options) as connect:
        ask = _asking(environments, questions)
        answers = asyncio.run(ask_each([settings for settings, _ in hosts], ask, connect, options.forks))
    if options.installed:
        environments = installed(answer for answer in answers.values() if isinstance(answer, Suited))
    if options.json:
        sys.stdout.write(matrix_json(environments, answers))
    else:
        from rich.console import Console

        print_matrix(environments, answers, Console())
    return exit_status(answers, lambda host: not all(each.fitness.runs for each in host.fits.values()))


def _environments(asked: Sequence[str]) -> Mapping[str, Environment]:
    """Read the locks that were asked for, or those in ./envs; return what each needs, by its name."""
    locks = [_lock(Path(text)) for text in asked] if asked else _locks_of(FOLDER)
    names = [lock.path.stem for lock in locks]
    return {
        name if names.count(name) == 1 else str(lock.path): Environment(
            str(lock.path),
            {platform: needs(locked.conda, locked.pip) for platform, locked in lock.platforms.items()},
        )
        for name, lock in zip(names, locks, strict=True)
    }


def _lock(path: Path) -> Lock:
    if path.suffix in (".yml", ".yaml"):
        return fresh_lock(read_spec(path))
    if path.suffix != ".lock":
        hint = "write the pattern of hosts before --envs, or after another option"
        raise InputError(f"'{path}' is not a spec (.yml) or a lock (.lock)", hint=hint)
    return read_lock(path)


def _locks_of(folder: Path) -> list[Lock]:
    """Read all locks of a folder; specs without one are told."""
    for spec in sorted(folder.glob("*.yml")):
        if not lock_path(spec).exists():
            print(f"note: {spec} has no lock, and is left out: run 'fleetenv lock {spec}'", file=sys.stderr)
    paths = sorted(folder.glob("*.lock"))
    if not paths:
        raise InputError(f"there are no locks in {folder}/", hint="name specs or locks: 'fleetenv gpu --envs FILE...'")
    return [read_lock(path) for path in paths]


def _asking(
    environments: Mapping[str, Environment], questions: Mapping[str, list[Run]]
) -> Callable[[Connection], Awaitable[Suited]]:
    """Return what asks a host for its GPUs, with its own `questions`, and judges environments by them."""
    fitting = cache(_fits)

    async def ask(connection: Connection) -> Suited:
        probe = gpu_probe()
        settings = connection.settings
        look = [Run(probe.script, may_fail=True, timeout=_SECONDS), Run(sh("uname", "-m"), may_fail=True)]
        seen, machine, *more = await connection.talk([*look, *questions[settings.host]], become=settings.becoming())
        try:
            host = probe.parse(seen)
        except ValueError as error:
            raise TaskFailed(str(error)) from error
        said = machine.text.strip()
        platform = PLATFORMS.get(said, said[:_MACHINE_LENGTH])
        wanted = {name: each.needs.get(platform) for name, each in environments.items()}
        for answer in more:
            told = GPU_PACKAGES.read(answer).environments[:_MOST]
            wanted |= {each.name: needs(each.conda, each.pip) for each in told}
        judged = {name: fit(one, host, fitting) if one else NOT_LOCKED for name, one in wanted.items()}
        return Suited(platform, host, judged, {name: one for name, one in wanted.items() if one})

    return ask


def _fits(version: str, spec: str) -> bool:
    """Whether a version meets a spec; one that a host wrote and nobody can read rules nothing out."""
    from rattler.exceptions import InvalidVersionSpecError

    try:
        return fits(version, spec)
    except InvalidVersionSpecError:
        return True
