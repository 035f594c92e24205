"""Where fleetenv's own time goes: one run of it in this process, under Python's profiler, by what the time was for.

Each process of the run has a table: the workers, which hold the connections, and at last the first one.

usage: python -m benchmarks.profile apply PLAYBOOK -i INVENTORY ...        (any command line of fleetenv's)

The profiler counts calls, so that shares of code with many small functions come out a little too large.
"""

from __future__ import annotations

import cProfile
import os
import pstats
import sys
from collections import Counter
from typing import NoReturn

from fleetenv import cli

_Function = tuple[str, int, str]

_WAITING = ("poll", "select.epoll")
_SUBJECTS = (  # the first that a function's file or name holds is what its time was for
    (
        "imports",
        ("<frozen importlib", "<module>", "marshal", "__build_class__", "dataclasses.py", "typing.py", "enum.py"),
    ),
    ("SSH: asyncssh, cryptography", ("/asyncssh/", "/cryptography/")),
    ("YAML", ("/yaml/", "fleetenv/source.py")),
    ("templates: Jinja", ("/jinja2/", "fleetenv/playbook/jinja/", "fleetenv/playbook/template")),
    ("inventory", ("fleetenv/inventory/",)),
    ("playbook, variables", ("fleetenv/playbook/",)),
    ("shell: messages, answers", ("fleetenv/shell/", "fleetenv/remote.py")),
    ("engine: planning, walks", ("fleetenv/engine/",)),
    ("modules: states, comparison", ("fleetenv/modules/", "fleetenv/state.py", "fleetenv/conda/", "fleetenv/gpu/")),
    ("reports", ("fleetenv/report/", "fleetenv/drift/", "fleetenv/events.py", "/rich/")),
    ("command line", ("fleetenv/cli/", "argparse.py")),
    ("event loop, sockets", ("asyncio/", "selectors.py", "socket")),
)


def _subject(function: _Function) -> str | None:
    file, _, name = function
    if all(word in name for word in _WAITING):
        return "waiting for hosts"
    place = f"{file} {name}"
    return next((subject for subject, signs in _SUBJECTS if any(sign in place for sign in signs)), None)


def shares(profile: cProfile.Profile) -> Counter[str]:
    """Return seconds by subject; what Python's own library did counts for whoever called it."""
    seconds: Counter[str] = Counter()
    for function, (_, _, own, _, callers) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]  # untyped
        subject = _subject(function)
        if subject is not None or not callers:
            seconds[subject or "the rest"] += own
            continue
        for caller, (_, _, share, _) in callers.items():
            seconds[_subject(caller) or "the rest"] += share
    return seconds


class _Profiled:
    """This process under the profiler, and each that is forked from it under one of its own, until it ends."""

    def __init__(self) -> None:
        self._exit = os._exit
        self._profile = cProfile.Profile()

    def begin(self) -> None:
        """Profile from here on."""
        os.register_at_fork(after_in_child=self._begin_anew)
        self._profile.enable()

    def _begin_anew(self) -> None:
        self._profile.disable()
        self._profile = cProfile.Profile()
        os._exit = self._end_worker  # that is how a worker ends
        self._profile.enable()

    def _end_worker(self, status: int) -> NoReturn:
        self.end("a worker process")
        self._exit(status)

    def end(self, process: str) -> None:
        """Print the table to standard error."""
        self._profile.disable()
        seconds = shares(self._profile)
        whole = seconds.total()
        lines = [f"{subject:<30}{each * 1000:8.0f} ms {each / whole:6.1%}" for subject, each in seconds.most_common()]
        print(f"{process}:", *lines, sep="\n", file=sys.stderr, flush=True)


def main(words: list[str]) -> None:
    """Run fleetenv, and print the tables to standard error."""
    profiled = _Profiled()
    profiled.begin()
    try:
        cli.main(words)
    finally:
        profiled.end("the first process")


if __name__ == "__main__":
    main(sys.argv[1:])
