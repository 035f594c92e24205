"""What `plan` and `apply PLAN` share: one look in check mode, what it saw, and which files it was made from."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from fleetenv import __version__
from fleetenv.cli.options import connecting, read_defaults
from fleetenv.cli.playing import Relay, make_fleet, play
from fleetenv.errors import InputError
from fleetenv.events import Sink
from fleetenv.history.revision import origins
from fleetenv.report.plan.comparison import deviations, gaps
from fleetenv.report.plan.document import Choices, Document, HostPlan, read_plan
from fleetenv.report.plan.key import Key, key_file, read_key
from fleetenv.report.plan.look import Look
from fleetenv.report.plan.sources import Sources, changed_sources, seals
from fleetenv.report.text import visible_line

if TYPE_CHECKING:
    from fleetenv.shell import Defaults

_MOST_REASONS = 40
_NOT_FOR_PLANS = (
    "inventory", "tags", "skip_tags", "lock", "list_hosts", "list_tasks", "syntax_check", "task_timeout", "user",
    "private_key", "connection", "timeout", "ssh_common_args", "become", "become_user", "become_method",
)  # fmt: skip
"""Options of `apply` that a plan has said already."""


class Planning:
    """A look at all hosts in check mode, with seals; nothing is changed."""

    def __init__(self, options: argparse.Namespace, key: Key, defaults: Defaults | None = None) -> None:
        self._options = options
        self._key = key
        self._defaults = defaults
        self._sources = Sources(_folders(options))

    def look(self, sinks: Sequence[Sink]) -> Look:
        """Look, and tell.

        Raises:
            InputError: something is wrong with the playbook or the inventory; no host was looked at.
        """
        look = Look()
        sink = Relay([look, *sinks])
        options = self._options
        with connecting(options) as connect, self._sources.watching():
            fleet = make_fleet(
                options, sink, connect, check_mode=True, diff=True, seal=self._key.seal, defaults=self._defaults
            )
            play(fleet, sink)
        return look

    def sources(self) -> dict[str, str]:
        """Return the seals that the files which were read have now."""
        return seals(self._sources.opened, self._key.seal)

    def document(self, hosts: Mapping[str, HostPlan]) -> Document:
        """Return the plan, sealed."""
        options = self._options
        places = origins([str(options.playbook), *options.inventory])
        document = Document(
            fleetenv=__version__,
            taken=datetime.now().astimezone().isoformat(timespec="seconds"),
            user=getpass.getuser(),
            controller=os.uname().nodename,
            playbook=places[str(options.playbook)],
            inventory=[places[each] for each in options.inventory],
            options=_choices(options),
            values=_seal_of_values(_values(options.extra_vars), self._key),
            sources=self.sources(),
            hosts=dict(hosts),
            key=self._key.name,
        )
        return document.sealed(self._key)


class Reviewed(Struct, frozen=True):
    """A plan that holds: what `apply` is to do, and a last look at the files before it does."""

    options: argparse.Namespace
    defaults: Defaults
    verify: Callable[[], None]


def new_planning(options: argparse.Namespace) -> Planning:
    """Return a look for a new plan."""
    return Planning(options, read_key(key_file(os.environ)))


def reviewed(options: argparse.Namespace) -> Reviewed:
    """Read the plan that `apply` was given in place of a playbook, and look whether it still holds everywhere.

    Raises:
        InputError: it does not, or cannot be used; nothing was changed.
    """
    from fleetenv.report.looking import Looking

    file: Path = options.playbook
    key = read_key(key_file(os.environ))
    plan = read_plan(file, key)
    merged = _merged(options, plan, key)

    def verify() -> None:
        _refuse(file, changed_sources(plan.sources, seals(plan.sources, key.seal)))

    verify()
    defaults = read_defaults(merged)  # asked once, for both runs
    planning = Planning(merged, key, defaults)
    look = planning.look([Looking(sys.stderr)])
    if look.interrupted:
        raise KeyboardInterrupt
    now = look.hosts()
    _refuse(file, changed_sources(plan.sources, planning.sources()))
    _refuse(file, gaps({name: host for name, host in plan.hosts.items() if name in now}))
    if options.limit is None:
        _refuse(file, [f"{name} is no longer in the inventory" for name in plan.hosts if name not in now])
    _refuse(file, deviations(plan.hosts, now))
    return Reviewed(merged, defaults, verify)


def _refuse(file: Path, reasons: Iterable[str]) -> None:
    told = [visible_line(each) for each in reasons]
    if not told:
        return
    more = [f"and {len(told) - _MOST_REASONS} more"] if len(told) > _MOST_REASONS else []
    lines = "".join(f"\n  {each}" for each in (*told[:_MOST_REASONS], *more))
    raise InputError(f"{file} is not applied, nothing was changed; make it anew, or leave hosts out (-l):{lines}")


def _folders(options: argparse.Namespace) -> list[Path]:
    """Return the folders that hold a project: where one is, that of the playbook, and those of the inventory."""
    playbook: Path = options.playbook.absolute().parent
    project = [playbook.parent] if playbook.name == "playbooks" else []
    inventories = [Path(each).absolute() for each in options.inventory if Path(each).exists()]
    named = [Path(each[1:]).absolute() for each in options.extra_vars if each.startswith("@")]
    return [Path.cwd(), playbook, *project, *(each if each.is_dir() else each.parent for each in inventories), *named]


def _choices(options: argparse.Namespace) -> Choices:
    return Choices(
        limit=options.limit,
        tags=options.tags,
        skip_tags=options.skip_tags,
        extra_vars=[each if each.startswith("@") else None for each in options.extra_vars],
        task_timeout=options.task_timeout,
        user=options.user,
        private_key=str(options.private_key) if options.private_key else None,
        connection=options.connection,
        timeout=options.timeout,
        ssh_common_args=options.ssh_common_args,
        become=options.become,
        become_user=options.become_user,
        become_method=options.become_method,
    )


def _merged(options: argparse.Namespace, plan: Document, key: Key) -> argparse.Namespace:
    """Return the options that the plan was made with, and those of `apply` that it leaves open."""
    for name in _NOT_FOR_PLANS:
        if getattr(options, name):
            word = name.replace("_", "-")
            raise InputError(f"'--{word}' is for a playbook: a plan says what to do", hint="it can be limited (-l)")
    given = iter(options.extra_vars)
    try:
        extra_vars = [next(given) if each is None else each for each in plan.options.extra_vars]
    except StopIteration:
        extra_vars = []
    if [*given] or _seal_of_values(_values(extra_vars), key) != plan.values:
        raise InputError(
            "the plan was made with other values of '-e'",
            hint="it does not hold them, as they may be secret: give the very same again, those of '-e @FILE' left out",
        )
    chosen = plan.options
    return argparse.Namespace(
        **{
            **vars(options),
            "playbook": Path(plan.playbook.path),
            "inventory": [each.path for each in plan.inventory],
            "extra_vars": extra_vars,
            "limit": options.limit or chosen.limit,
            "tags": chosen.tags,
            "skip_tags": chosen.skip_tags,
            "task_timeout": chosen.task_timeout,
            "user": chosen.user,
            "private_key": Path(chosen.private_key) if chosen.private_key else None,
            "connection": chosen.connection,
            "timeout": chosen.timeout,
            "ssh_common_args": chosen.ssh_common_args,
            "become": chosen.become,
            "become_user": chosen.become_user,
            "become_method": chosen.become_method,
        }
    )


def _values(extra_vars: Sequence[str]) -> list[str]:
    return [each for each in extra_vars if not each.startswith("@")]


def _seal_of_values(values: Sequence[str], key: Key) -> str:
    return key.seal(json.dumps([*values]).encode())
