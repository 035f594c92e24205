"""Write a working example project into a folder: inventory, playbook, roles, specs.

Files that are there already are left alone, and named.

Examples:
  fleetenv init lab
  cd lab && fleetenv apply playbooks/site.yml -i inventories/lab --syntax-check
"""

from __future__ import annotations

import argparse
from pathlib import Path

from fleetenv.example import write_example


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="where to write it; made if it is not there")


def run(options: argparse.Namespace) -> int:
    """Write the project and say what to do next."""
    written, kept = write_example(options.folder)
    for path in written:
        print(f"wrote {path}")
    for path in kept:
        print(f"kept  {path}, which was there")
    print(f"""
Next, in {options.folder}:
  write your machines into inventories/lab/hosts.yml, and how to log in into inventories/lab/group_vars/all.yml
  fleetenv ping all -i inventories/lab
  fleetenv lock envs/*.yml
  fleetenv apply playbooks/site.yml -i inventories/lab --check --diff
  fleetenv apply playbooks/site.yml -i inventories/lab""")
    return 0
