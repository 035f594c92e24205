"""Options that commands share: which hosts, how to reach them, whom to become. Ansible's names and meanings."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fleetenv.errors import InputError

if TYPE_CHECKING:
    from fleetenv.inventory import Inventory
    from fleetenv.shell import Connect, Defaults, Settings
    from fleetenv.source import Value

FORKS = 64
"""Hosts that are worked on at once, unless the user says otherwise."""


def add_host_arguments(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add `-i`, `-l`, `-e`, `-f` and `--workers`: which hosts, with which variables, how many at once.

    Args:
        parser: What they are added to.
        required: Whether there is nothing to do without `-i`.
    """
    parser.add_argument(
        "-i", "--inventory", action="append", required=required, default=None if required else [], metavar="SOURCE",
        help="a file, a folder, a program, or a list of hosts with a comma in it; may be given several times",
    )  # fmt: skip
    parser.add_argument("-l", "--limit", metavar="PATTERN", help="only these of the hosts")
    parser.add_argument(
        "-e", "--extra-vars", action="append", default=[], metavar="VARS",
        help="variables that win over all others: 'key=value ...', YAML or JSON, or @FILE",
    )  # fmt: skip
    parser.add_argument(
        "-f", "--forks", type=_count, default=FORKS, metavar="N", help=f"hosts worked on at once (default: {FORKS})"
    )
    parser.add_argument(
        "--workers", type=_count, default=1, metavar="N",
        help="processes that hold the connections (default: 1): more for hundreds of hosts, and idle cores",
    )  # fmt: skip


def add_play_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what chooses among tasks, and how much is told."""
    parser.add_argument("-t", "--tags", action="append", default=[], metavar="TAGS", help="only tasks with these tags")
    parser.add_argument("--skip-tags", action="append", default=[], metavar="TAGS", help="no tasks with these tags")
    parser.add_argument(
        "--task-timeout", type=float, metavar="S", help="seconds that one step of a task may take (default: no limit)"
    )
    parser.add_argument(
        "-v", "--verbose", action="count", default=0, help="say also what was fine; -vv: results of tasks, too"
    )


def add_history_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--history` and `--no-history`."""
    add_history_file(parser)
    parser.add_argument("--no-history", action="store_true", help="do not record this run")


def add_history_file(parser: argparse.ArgumentParser) -> None:
    """Add `--history`, which reads and writes share."""
    parser.add_argument(
        "--history", metavar="FILE",
        help="the history's file (default: $FLEETENV_HISTORY, else ~/.local/state/fleetenv/history.db)",
    )  # fmt: skip


def add_connection_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what says how to log in and whom to become; a host's own variables win over these."""
    login = parser.add_argument_group("connection", "A host's own variables (ansible_user, ...) win over these.")
    login.add_argument("-u", "--user", metavar="USER", help="log in as this user")
    login.add_argument("--private-key", "--key-file", type=Path, metavar="FILE", help="log in with this key")
    login.add_argument("-k", "--ask-pass", action="store_true", help="ask for the password to log in with")
    login.add_argument(
        "--connection-password-file", "--conn-pass-file", type=Path, metavar="FILE", help="read it from FILE"
    )
    login.add_argument("-c", "--connection", metavar="KIND", help="ssh (the default), paramiko or local")
    login.add_argument("-T", "--timeout", type=seconds, metavar="S", help="seconds to connect and log in (default: 10)")
    login.add_argument(
        "--ssh-common-args",
        metavar="ARGS",
        help="options of ssh, such as '-o StrictHostKeyChecking=accept-new -J bastion'",
    )
    become = parser.add_argument_group("become")
    become.add_argument("-b", "--become", action="store_true", help="do it as another user (default: root, with sudo)")
    become.add_argument("--become-user", metavar="USER", help="as this user")
    become.add_argument("--become-method", metavar="HOW", help="sudo, su or doas")
    become.add_argument("-K", "--ask-become-pass", action="store_true", help="ask for the password that sudo asks for")
    become.add_argument(
        "--become-password-file", "--become-pass-file", type=Path, metavar="FILE", help="read it from FILE"
    )


def read_inventory(options: argparse.Namespace, playbook_folder: Path | None = None) -> Inventory:
    """Load the inventory that `-i` names; variables beside the playbook count, too."""
    from fleetenv.inventory import load

    return load(options.inventory, playbook_folder=playbook_folder)


def read_defaults(options: argparse.Namespace) -> Defaults:
    """Read what the command line says of connections; asks for passwords where the user wanted to be asked.

    Raises:
        InputError: there is no terminal to ask on, or a password's file cannot be read.
    """
    from fleetenv.shell import Defaults

    password = _password(options.connection_password_file, "SSH password: ", ask=options.ask_pass)
    become_prompt = "BECOME password[defaults to SSH password]: " if options.ask_pass else "BECOME password: "
    become_password = _password(options.become_password_file, become_prompt, ask=options.ask_become_pass)
    return Defaults(
        user=options.user,
        private_key=options.private_key.expanduser() if options.private_key else None,
        password=password,
        connection=options.connection,
        timeout=options.timeout,
        ssh_args=options.ssh_common_args,
        become=options.become,
        become_user=options.become_user,
        become_method=options.become_method,
        become_password=password if become_password == "" and options.ask_pass else become_password,
    )


def read_extra_variables(options: argparse.Namespace) -> Mapping[str, Value]:
    """Read all `-e`, later ones win.

    Raises:
        InputError: a text that is neither `key=value`, nor a mapping, nor the name of a file that holds one.
    """
    from fleetenv.playbook import parse_extra_vars

    return parse_extra_vars(options.extra_vars)


def read_settings(options: argparse.Namespace, pattern: str) -> list[Settings]:
    """Read how to reach each host that a pattern names; for commands that have no playbook.

    Raises:
        InputError: no host matches, or a host's connection variables cannot be used.
    """
    return [settings for settings, _ in read_hosts(options, pattern)]


def read_hosts(options: argparse.Namespace, pattern: str) -> list[tuple[Settings, Mapping[str, Value]]]:
    """Read how to reach each host that a pattern names, and its variables, rendered when they are read.

    Raises:
        InputError: as for [`read_settings`][].
    """
    from fleetenv.playbook import FleetVariables, Templates
    from fleetenv.shell import Settings

    inventory = read_inventory(options).beside(Path.cwd())
    hosts = inventory.select(pattern, limit=options.limit)
    if not hosts:
        limited = f" and --limit '{options.limit}'" if options.limit else ""
        raise InputError(f"no host matches '{pattern}'{limited}", hint="'fleetenv inventory --graph' shows them all")
    fleet = FleetVariables(inventory, Templates(), extra=read_extra_variables(options))
    Settings.from_variables(hosts[0].name, fleet[hosts[0].name])  # before any password is asked for
    defaults = read_defaults(options)
    return [(Settings.from_variables(host.name, fleet[host.name], defaults), fleet[host.name]) for host in hosts]


@contextmanager
def connecting(options: argparse.Namespace) -> Iterator[Connect]:
    """Give what connects to hosts, in processes of its own; passphrases are asked for on a terminal.

    Begun first of all: while this process reads and plans, those import what they need.
    """
    from fleetenv.shell.workers import Workers

    with Workers(options.workers, _ask_passphrase if sys.stdin.isatty() else None) as workers:
        yield workers.connect


def _ask_passphrase(path: Path) -> str:
    return getpass.getpass(f"Passphrase of {path}: ")


def _password(file: Path | None, prompt: str, *, ask: bool) -> str | None:
    if file:
        try:
            return file.expanduser().read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read the password in {file}: {error}") from error
    if not ask:
        return None
    if not sys.stdin.isatty():
        raise InputError("there is no terminal to ask for a password on", hint="give its file, see --help")
    return getpass.getpass(prompt)


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number above 0")
    return int(text)


def seconds(text: str) -> float:
    """Parse a number of seconds above 0, as argparse's `type`."""
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 0 < number < 1e6:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of seconds above 0")
    return number
