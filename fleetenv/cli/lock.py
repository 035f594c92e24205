"""Solve specs into locks: the exact packages, with URLs and hashes, that every host will get.

The lock of envs/NAME.yml is envs/NAME.lock, in the format of pixi's rattler-lock. Hosts never solve. What is not said
stays as the present lock has it: its platforms, its glibc, its CUDA.

Examples:
  fleetenv lock envs/*.yml --cuda 12.4
  fleetenv lock envs/nlp_train.yml --platform linux-64 --platform linux-aarch64
  fleetenv lock envs/*.yml --mirror tuna --pip-index https://pypi.tuna.tsinghua.edu.cn/simple
  fleetenv lock envs/*.yml --check

Exit status: 0 all specs are locked, 1 one cannot be; with --check: 1 a lock is missing or stale.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fleetenv.errors import InputError


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
    parser.add_argument("--mirror", metavar="M", help="download from here: tuna, bfsu, ..., or the URL of a mirror")
    parser.add_argument(
        "--pip-index", metavar="URL", help="package index for pip sections, instead of the official one"
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a lock is missing or stale")


def run(options: argparse.Namespace) -> int:
    """Lock each spec, or check that it is."""
    from fleetenv.conda.lock import changes, lock_path
    from fleetenv.conda.relock import Wishes, present_lock, relock, stale
    from fleetenv.conda.spec import read_spec

    wishes = Wishes(tuple(options.platform), options.glibc, options.cuda, options.mirror, options.pip_index)
    failed = False
    for path in options.specs:
        try:
            spec = read_spec(path)
            if options.check:
                reason = stale(spec, wishes)
                failed |= reason is not None
                print(f"{lock_path(path)}: {reason or 'fresh'}")
                continue
            old = present_lock(spec)
            new = relock(spec, wishes)
        except InputError as error:  # the other specs are still worth locking
            failed = True
            print(f"fleetenv: {error}", file=sys.stderr)
            continue
        for locked in new.platforms.values():
            pip = f" and {len(locked.pip)} of pip" if locked.pip else ""
            hosts = ", ".join(locked.virtual_packages)
            print(f"{new.path}: {locked.platform}: {len(locked.conda)} packages{pip} ({hosts})")
        for change in changes(old, new) if old else ():
            print(f"  {change.platform}  {change.package}  {change.old or '(new)'} -> {change.new or '(removed)'}")
    return 1 if failed else 0
