"""Find what is allowed in a spec, and yet will cost somebody an afternoon.

Looks for an unpinned python, packages asked of pip that conda has, vague names, channels that are not allowed, channels
that do not go together, and more; each with its place, why, and what would be right. Nothing is asked of the network:
what channels have is known from what was cached when locks were made. 'fleetenv.toml' beside the specs or above says
how names are made and which channels are allowed.

Examples:
  fleetenv lint envs/*.yml
  fleetenv lint envs/*.yml --strict

Exit status: 0 nothing but warnings, 1 an error was found or a spec cannot be read; with --strict: 1 for warnings, too.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fleetenv.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("specs", metavar="SPEC", nargs="+", type=Path, help="an environment.yml")
    parser.add_argument("--strict", action="store_true", help="exit 1 for warnings, too")


def run(options: argparse.Namespace) -> int:
    """Print what is found."""
    from fleetenv.conda.lint import Finding, cached_names, lint
    from fleetenv.conda.relock import present_lock
    from fleetenv.conda.spec import read_spec
    from fleetenv.report.text import counted, visible_line
    from fleetenv.severity import Severity

    found: dict[Finding, None] = {}  # what several specs extend is told once
    failed = False
    for path in options.specs:
        try:
            spec = read_spec(path)
            found |= dict.fromkeys(lint(spec, present_lock(spec), cached_names(spec)))
        except InputError as error:  # the other specs are still worth a look
            failed = True
            print(f"fleetenv: {visible_line(str(error))}", file=sys.stderr)
    for each in found:
        print(f"{each.severity}: {visible_line(str(each))}")
    errors = sum(each.severity is Severity.ERROR for each in found)
    if found:
        print(f"{counted(errors, 'error')}, {counted(len(found) - errors, 'warning')}")
    return 1 if failed or errors or (options.strict and found) else 0
