"""What `apply` and `drift` share about the history: whether, and where, a run is recorded."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from fleetenv import __version__
from fleetenv.errors import InputError
from fleetenv.history.errand import Errand, Kind, Origin
from fleetenv.history.place import at_home, default_file
from fleetenv.history.recorder import Recorder


def history_file(options: argparse.Namespace) -> Path:
    """Return the history's file.

    Raises:
        InputError: there is no home to look for it in.
    """
    return at_home(options.history) if options.history else default_file(os.environ)


def recorder(options: argparse.Namespace, kind: Kind) -> Recorder | None:
    """Return what records a run of a playbook, or None with `--no-history`, and where there is no home for it."""
    if options.no_history:
        return None
    try:
        file = history_file(options)
    except InputError as error:
        _warn(f"this run is not in the history: {error}")
        return None
    errand = Errand(
        kind=kind,
        playbook=Origin(str(options.playbook)),
        inventory=tuple(Origin(source) for source in options.inventory),
        command=tuple(_without_values(options.words, _secrets(options))),
        limit=options.limit,
        tags=tuple(options.tags),
        skip_tags=tuple(options.skip_tags),
        only=_only(options),
        user=_user(),
        controller=os.uname().nodename,
        version=__version__,
    )
    return Recorder(file, errand, _warn)


def _warn(text: str) -> None:
    print(f"fleetenv: warning: {text}", file=sys.stderr)


def _only(options: argparse.Namespace) -> tuple[str, ...]:
    """Return what drift compares with, or nothing where that is all of which findings are kept."""
    if not hasattr(options, "only"):
        return ()
    from fleetenv.drift.finding import Against

    only: frozenset[Against] = options.only
    return () if only >= frozenset(Against) - {Against.TIME, Against.REACH} else tuple(sorted(only))


def _secrets(options: argparse.Namespace) -> list[str]:
    """Return what is not to be remembered of the command line: variables may be passwords, and a webhook is secret."""
    webhook: str | None = getattr(options, "webhook", None)
    return [*options.extra_vars, *([webhook] if webhook else [])]


def _without_values(words: Sequence[str], secrets: Sequence[str]) -> Iterator[str]:
    """Yield the words of a command line without secret values. Names of files stay."""
    for word in words:
        value = next((each for each in secrets if each and word.endswith(each) and _is_value(word, each)), None)
        yield word if value is None or value.startswith("@") else f"{word.removesuffix(value)}..."


def _is_value(word: str, value: str) -> bool:
    """Whether a word is an option's value, be it joined to the option."""
    return word == value or word.startswith("-")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())  # a container's user without a name
