"""What `rollback`, `envs`, `clean` and `verify` share: which hosts, where Miniconda is on each, one question to all."""

from __future__ import annotations

import argparse
import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from fleetenv.cli.options import add_connection_arguments, add_host_arguments, connecting, read_hosts
from fleetenv.conda.inquiry import Inquiry
from fleetenv.errors import HostError, InputError, Unreachable
from fleetenv.remote import Run
from fleetenv.shell import Connect, Connection, Settings, visit
from fleetenv.source import Value

if TYPE_CHECKING:
    pass

T = TypeVar("T")

DEFAULT_PREFIX = "/opt/miniconda3"
EXIT_FAILED = 2
EXIT_UNREACHABLE = 4
_PREFIX = re.compile(r"/[^\0\n]*[^\0\n/]")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def add_inquiry_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the pattern, `--prefix`, and all that says how hosts are reached."""
    parser.add_argument("pattern", nargs="?", default="all", metavar="PATTERN", help="which hosts (default: all)")
    parser.add_argument(
        "--prefix", metavar="FOLDER",
        help=f"where Miniconda is (default: the host's variable conda_prefix, else {DEFAULT_PREFIX})",
    )  # fmt: skip
    add_host_arguments(parser)
    add_connection_arguments(parser)


def inquire(options: argparse.Namespace, inquiry: Inquiry[T], ask: Callable[[str], Run]) -> Mapping[str, T | HostError]:
    """Ask all hosts at once; return each one's answer, or why there is none, in the inventory's order.

    Args:
        options: The command line.
        inquiry: What reads the answers.
        ask: Makes the question, given where Miniconda is.

    Raises:
        InputError: no host matches, or what says how to reach one, or where its Miniconda is, cannot be used.
    """
    with connecting(options) as connect:
        hosts = read_hosts(options, options.pattern)
        questions = {settings.host: ask(conda_prefix(options, settings.host, known)) for settings, known in hosts}

        async def answer(connection: Connection) -> T:
            settings = connection.settings
            (completed,) = await connection.talk([questions[settings.host]], become=settings.becoming())
            return inquiry.read(completed)

        return asyncio.run(ask_each([settings for settings, _ in hosts], answer, connect, options.forks))


def exit_status(answers: Mapping[str, T | HostError], bad: Callable[[T], bool] = lambda answer: False) -> int:
    """Return 0, 2 when a host failed or its answer is a bad one, 4 when one was unreachable, 6 for both."""
    status = 0
    for answer in answers.values():
        if isinstance(answer, Unreachable):
            status |= EXIT_UNREACHABLE
        elif isinstance(answer, HostError) or bad(answer):
            status |= EXIT_FAILED
    return status


def environment_name(text: str) -> str:
    """Check the name of an environment, as argparse's `type`."""
    if not _NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"'{text}' is not the name of an environment")
    return text


def environment_or_path(text: str) -> str:
    """Check the name of an environment, or the path of a virtualenv, as argparse's `type`."""
    if text.startswith("/"):
        if not _PREFIX.fullmatch(text) or ".." in text.split("/"):
            raise argparse.ArgumentTypeError(f"'{text}' is not the path of a virtualenv")
        return text
    return environment_name(text)


async def ask_each(
    hosts: Sequence[Settings], ask: Callable[[Connection], Awaitable[T]], connect: Connect, forks: int
) -> Mapping[str, T | HostError]:
    """Ask hosts side by side; return each one's answer, or why there is none, in the order of `hosts`."""
    answers: dict[str, T | HostError] = {}
    async for each in visit(hosts, ask, connect=connect, forks=forks):
        answer = each.error or each.result
        assert answer is not None  # a visit has one of the two
        answers[each.host] = answer
    return {settings.host: answers[settings.host] for settings in hosts}


def conda_prefix(options: argparse.Namespace, host: str, variables: Mapping[str, Value]) -> str:
    """Return where a host's Miniconda is: what `--prefix` says, else the host's variable, else the usual place.

    Raises:
        InputError: that cannot be.
    """
    prefix = options.prefix or variables.get("conda_prefix", DEFAULT_PREFIX)
    if not isinstance(prefix, str) or not _PREFIX.fullmatch(prefix):
        where = "--prefix" if options.prefix else f"conda_prefix of {host}"
        raise InputError(f"{where} must be where Miniconda is, such as {DEFAULT_PREFIX}, not '{prefix}'")
    return str(prefix)
