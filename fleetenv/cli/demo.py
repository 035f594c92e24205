"""Tell the whole story on this machine: no root, no network, under two minutes.

Four disposable SSH hosts are provisioned, provisioned again, given a new environment under a running job, damaged by
hand, looked at, and mended. The hosts and their GPUs are simulated; SSH, packages, interpreters and files are real.

Examples:
  fleetenv demo
  fleetenv demo --folder /tmp/demo
"""

from __future__ import annotations

import argparse
import os
import time
from functools import partial
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    parser.add_argument(
        "--folder",
        type=Path,
        default=cache / "fleetenv" / "demo",
        metavar="DIR",
        help="where its project and its hosts are; an earlier demo there is replaced (default: %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Tell it."""
    from fleetenv.lab.story import Story

    begun = time.monotonic()
    story = Story(options.folder.expanduser().resolve(), say=partial(print, flush=True))
    story.tell()
    print(f"\nTold in {time.monotonic() - begun:.0f} s. The drift of chapter 6, for your browser:\n  {story.report}")
    print(f"Its history, in your browser:\n  fleetenv serve --history {story.history}")
    print(f"The project, to look around in and to copy:\n  {story.report.parent}")
    return 0
