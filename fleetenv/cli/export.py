"""Write an environment in another tool's words, from the same spec and lock that the hosts have.

Formats: explicit (conda create --file; explicit-md5 for conda before 24.9), environment.yml (exact versions and
builds), requirements (the pip section with hashes), dockerfile, github-actions, gitlab-ci. A stale lock is refused.
Credentials are never written.

Examples:
  fleetenv export nlp_train --to dockerfile -o Dockerfile
  fleetenv export envs/nlp_train.yml --to explicit --platform linux-aarch64

Exit status: 0 written, 1 bad input.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fleetenv.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    from fleetenv.conda.export import FORMATS

    parser.add_argument("environment", metavar="ENV", help="an environment.yml, or the name of one in envs/")
    parser.add_argument("--to", required=True, choices=FORMATS, metavar="FORMAT", help=", ".join(FORMATS))
    parser.add_argument("--platform", metavar="P", help="of those in the lock: linux-64, linux-aarch64")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write to FILE instead of standard output")


def run(options: argparse.Namespace) -> int:
    """Write it."""
    from fleetenv.conda.export import locked_for, render
    from fleetenv.conda.lock import fresh_lock
    from fleetenv.conda.spec import read_spec

    spec = read_spec(_spec_path(options.environment))
    text = render(options.to, locked_for(spec, fresh_lock(spec), options.platform))
    if options.output is None:
        sys.stdout.write(text)
        return 0
    try:
        options.output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {options.output}: {error.strerror}") from error
    return 0


def _spec_path(environment: str) -> Path:
    """Find a spec by its path, or by its name in envs/."""
    places = [Path(environment), *(Path("envs") / f"{environment}{ending}" for ending in (".yml", ".yaml"))]
    for place in places:
        if place.is_file():
            return place
    tried = ", ".join(str(place) for place in places)
    raise InputError(f"there is no environment '{environment}'", hint=f"looked for {tried}")
