"""Show what newer versions locks could have.

'fits the spec' is what 'fleetenv lock --update-all' would take; 'newest' is what the channels, or the package index,
have at all for the platform. A star marks what the spec itself names. Nothing is written.

Examples:
  fleetenv outdated envs/*.yml
  fleetenv outdated envs/nlp_train.yml --json

Exit status: 0, also when something is outdated; 1 a spec has no lock or cannot be solved.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fleetenv.cli.lock import add_source_arguments
from fleetenv.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("specs", metavar="SPEC", nargs="+", type=Path, help="an environment.yml with a lock")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    add_source_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Compare each lock with what there is now."""
    from fleetenv.conda.lock import lock_path
    from fleetenv.conda.outdated import Outdated, outdated
    from fleetenv.conda.relock import Wishes
    from fleetenv.conda.spec import read_spec
    from fleetenv.report.packages import outdated_json, outdated_rows

    wishes = Wishes(mirror=options.mirror, pip_index=options.pip_index, offline=options.offline)
    found: dict[str, tuple[Outdated, ...]] = {}
    failed = False
    for path in options.specs:
        try:
            found[str(path)] = outdated(read_spec(path), wishes, lambda note: print(f"note: {note}", file=sys.stderr))
        except InputError as error:  # the other specs are still worth a look
            failed = True
            print(f"fleetenv: {error}", file=sys.stderr)
    if options.json:
        sys.stdout.write(outdated_json(found))
    else:
        for name, packages in found.items():
            print(f"{lock_path(Path(name))}: {f'{len(packages)} could be newer' if packages else 'all is the newest'}")
            for row in outdated_rows(packages):
                print(f"  {row}")
    return 1 if failed else 0
