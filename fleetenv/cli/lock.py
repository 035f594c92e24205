"""Solve specs into locks: the exact packages, with URLs and hashes, that every host will get.

The lock of envs/NAME.yml is envs/NAME.lock, in the format of pixi's rattler-lock. Hosts never solve. Packages of the
present lock stay as long as they fit. Platforms, glibc and CUDA are those of the command line, else of the spec's
'fleetenv:' block, else of the present lock.

Examples:
  fleetenv lock envs/*.yml
  fleetenv lock envs/nlp_train.yml --platform linux-64 --platform linux-aarch64
  fleetenv lock envs/*.yml --update numpy --update pytorch
  fleetenv lock envs/*.yml --mirror tuna --pip-index https://pypi.tuna.tsinghua.edu.cn/simple
  fleetenv lock envs/*.yml --check

Exit status: 0 all specs are locked, 1 one cannot be; with --check: 1 a lock is missing or stale.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fleetenv.errors import InputError

if TYPE_CHECKING:
    from fleetenv.conda.relock import Wishes
    from fleetenv.conda.spec import Spec


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("specs", metavar="SPEC", nargs="+", type=Path, help="an environment.yml")
    parser.add_argument(
        "--platform",
        action="append",
        default=[],
        metavar="P",
        help="linux-64 (default), linux-aarch64; may be repeated",
    )
    parser.add_argument(
        "--cuda", metavar="V", help="the CUDA that every host's driver supports at least; 'none': no GPU"
    )
    parser.add_argument("--glibc", metavar="V", help="the glibc that every host has at least (default 2.28)")
    parser.add_argument(
        "--update", action="append", default=[], metavar="PKG",
        help="look for a newer version of this package; may be repeated",
    )  # fmt: skip
    parser.add_argument("--update-all", action="store_true", help="look for newer versions of all packages")
    add_source_arguments(parser)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a lock is missing or stale")


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what says where packages are looked for."""
    parser.add_argument("--mirror", metavar="M", help="download from here: tuna, bfsu, ..., or the URL of a mirror")
    parser.add_argument(
        "--pip-index", metavar="URL", help="package index for pip sections, instead of the official one"
    )
    parser.add_argument("--offline", action="store_true", help="use what was cached before, however old it is")


def run(options: argparse.Namespace) -> int:
    """Lock each spec, or check that it is."""
    from fleetenv.conda.lock import lock_path
    from fleetenv.conda.relock import Wishes, check_update, stale
    from fleetenv.conda.spec import read_spec

    wishes = Wishes(
        tuple(options.platform), options.glibc, options.cuda, options.mirror, options.pip_index,
        tuple(options.update), options.update_all, options.offline,
    )  # fmt: skip
    failed = False
    specs: list[Spec] = []
    told: set[str] = set()  # what several specs extend is told once
    for path in options.specs:
        try:
            specs.append(read_spec(path))
        except InputError as error:  # the other specs are still worth locking
            failed = True
            print(f"fleetenv: {error}", file=sys.stderr)
    if not failed:
        check_update(wishes.update, specs)
    for spec in specs:
        try:
            if options.check:
                reason = stale(spec, wishes)
                failed |= reason is not None
                print(f"{lock_path(spec.path)}: {reason or 'fresh'}")
            else:
                _lock(spec, wishes, told)
        except InputError as error:
            failed = True
            print(f"fleetenv: {error}", file=sys.stderr)
    return 1 if failed else 0


def _lock(spec: Spec, wishes: Wishes, told: set[str]) -> None:
    from fleetenv.conda.changes import changes
    from fleetenv.conda.lint import cached_names, lint
    from fleetenv.conda.relock import present_lock, relock
    from fleetenv.report.packages import change_rows
    from fleetenv.report.text import visible_line

    old = present_lock(spec)
    new = relock(spec, wishes, lambda note: print(f"note: {note}", file=sys.stderr))
    for finding in map(str, lint(spec, new, cached_names(spec))):
        if finding not in told:
            print(f"warning: {visible_line(finding)}", file=sys.stderr)
        told.add(finding)
    for locked in new.platforms.values():
        pip = f" and {len(locked.pip)} of pip" if locked.pip else ""
        hosts = ", ".join(locked.virtual_packages)
        print(f"{new.path}: {locked.platform}: {len(locked.conda)} packages{pip} ({hosts})")
    for row in change_rows(changes(old, new)) if old else ():
        print(f"  {row}")
