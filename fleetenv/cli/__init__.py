"""The command line: one file a command, none with logic of its own.

A command's file has `add_arguments(parser)` and `run(options) -> exit status`; its docstring is its help. Only the file
of the command that was asked for is imported.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from fleetenv import __version__
from fleetenv.errors import FleetenvError, InputError, nearest

COMMANDS = {
    "apply": "bring hosts to the state that a playbook describes",
    "plan": "say what apply would do, and write it down to be reviewed and then applied as it is",
    "drift": "report where hosts differ from a playbook, and from each other; change nothing",
    "history": "list past runs",
    "show": "show a past run: its hosts, or each task on one of them",
    "lock": "solve an environment.yml once, into exact packages for every host",
    "outdated": "show what newer versions locks could have",
    "lint": "find what specs should say otherwise",
    "adopt": "write spec and lock of an environment that exists already on a host",
    "export": "write an environment as a Dockerfile, a CI job, an explicit list, ...",
    "inventory": "show the inventory as fleetenv understands it (as ansible-inventory does)",
    "ping": "check that hosts can be reached and logged in to",
    "run": "run one command on many hosts",
    "serve": "show the history in a browser: fleet, hosts, environments, GPUs, runs, changes",
    "gpu": "show the fleet's GPUs and drivers, which environments they can run, and whether they compute",
    "envs": "show the fleet's conda environments: generations, sizes, who uses them",
    "rollback": "switch an environment back to an earlier generation",
    "verify": "find what was changed in environments, file by file",
    "clean": "remove old generations, stale environments and unused packages",
    "mirrors": "measure from which mirror hosts download fastest",
    "doc": "explain a module and its arguments",
    "init": "write a working example project into a folder",
    "lab": "run disposable SSH hosts on this machine",
    "demo": "tell the whole story on this machine, in disposable hosts",
}

_SEVERAL_WORDS = frozenset({"rollback", "show", "lock", "lint", "outdated"})
"""Commands of several arguments that are not options, the last of which may be left out, or given many times."""

_GARBAGE_THRESHOLD = 50_000
"""Objects until Python looks for circles among them: by default, 700, that takes a tenth of a short run."""

EXIT_BAD_INPUT = 1
EXIT_INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    """A parser that says what is wrong with a command line in one line."""

    def error(self, message: str) -> NoReturn:
        raise InputError(message, hint=f"'{self.prog} --help' shows what it takes")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    gc.set_threshold(_GARBAGE_THRESHOLD)
    words = list(sys.argv[1:] if argv is None else argv)
    parser = _Parser(
        prog="fleetenv",
        description="Provision fleets of GPU machines: Miniconda, mirrors, environments, drivers, drift.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="commands:\n"
        + "\n".join(f"  {name:<10} {summary}" for name, summary in COMMANDS.items())
        + "\n\n'fleetenv COMMAND --help' explains each one.",
        usage="fleetenv [--version] [--help] COMMAND ...",
    )
    parser.add_argument("--version", action="version", version=f"fleetenv {__version__}")
    parser.add_argument("command", metavar="COMMAND", help=argparse.SUPPRESS)
    if not words:
        parser.print_help()
        return EXIT_BAD_INPUT
    try:
        chosen = parser.parse_args(words[:1])
        if chosen.command not in COMMANDS:
            raise InputError(
                f"there is no command '{chosen.command}'",
                hint=nearest(chosen.command, COMMANDS) or "'fleetenv --help' lists them",
            )
        return _run(chosen.command, words[1:])
    except FleetenvError as error:
        print(f"fleetenv: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print("fleetenv: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except RuntimeError as error:
        if not isinstance(error.__cause__, KeyboardInterrupt):  # Python 3.11 hides one that came while a class was made
            raise
        print("fleetenv: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # the reader went away; nothing is left to say
        return EXIT_INTERRUPTED


def _run(name: str, words: list[str]) -> int:
    command = import_module(f"fleetenv.cli.{name}")
    parser = _Parser(
        prog=f"fleetenv {name}",
        description=command.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_arguments(parser)
    # argparse takes an optional argument for left out when an option stands between it and the one before.
    parse = parser.parse_intermixed_args if name in _SEVERAL_WORDS else parser.parse_args
    status: int = command.run(parse(words, argparse.Namespace(words=(name, *words))))
    return status
