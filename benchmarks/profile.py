"""Where fleetenv's own time goes: one run of it in this process, under Python's profiler, by what the time was for.

usage: python -m benchmarks.profile apply PLAYBOOK -i INVENTORY ...        (any command line of fleetenv's)

The profiler counts calls, so that shares of code with many small functions come out a little too large.
"""

from __future__ import annotations

import cProfile
import pstats
import sys
from collections import Counter

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


def main(words: list[str]) -> None:
    """Run fleetenv, and print the table to standard error."""
    profile = cProfile.Profile()
    profile.enable()
    try:
        cli.main(words)
    finally:
        profile.disable()
        seconds = shares(profile)
        whole = seconds.total()
        for subject, each in seconds.most_common():
            print(f"{subject:<30}{each * 1000:8.0f} ms {each / whole:6.1%}", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
