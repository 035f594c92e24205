"""Show the inventory as fleetenv understands it, in ansible-inventory's form.

Examples:
  fleetenv inventory -i inventories/lab --graph
  fleetenv inventory -i inventories/lab --host gpu01
  fleetenv inventory -i inventories/lab --list -l 'a100:!gpu07'

Exit status: 0 shown, 1 bad input.
"""

from __future__ import annotations

import argparse
import datetime
import json
from pathlib import Path

import yaml
from yaml.representer import SafeRepresenter

from fleetenv.errors import InputError
from fleetenv.inventory import load
from fleetenv.inventory.listing import Listing
from fleetenv.source import Value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "-i", "--inventory", action="append", required=True, metavar="SOURCE",
        help="a file, a folder, a program, or a list of hosts with a comma in it; may be given several times",
    )  # fmt: skip
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--list", action="store_true", help="all groups and hosts, with the variables of each host")
    what.add_argument("--graph", action="store_true", help="the tree of groups and hosts")
    what.add_argument("--host", metavar="HOST", help="the variables of one host")
    parser.add_argument("group", nargs="?", default="all", metavar="GROUP", help="where --graph begins (default: all)")
    parser.add_argument("-l", "--limit", metavar="PATTERN", help="with --list: only these hosts")
    parser.add_argument("-y", "--yaml", action="store_true", help="print YAML instead of JSON")
    parser.add_argument("--vars", action="store_true", help="with --graph: variables, too")
    parser.add_argument("--export", action="store_true", help="with --list: show variables where they were set")
    parser.add_argument(
        "--playbook-dir", type=Path, metavar="DIR",
        help="the playbook's folder, whose group_vars and host_vars count, too (default: this folder)",
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Print what was asked for."""
    if options.playbook_dir and not options.playbook_dir.is_dir():
        raise InputError(f"--playbook-dir: there is no folder {options.playbook_dir}")
    own = load(options.inventory, playbook_folder=options.playbook_dir)
    inventory = own if options.playbook_dir else own.beside(Path.cwd())
    listing = Listing(inventory, own, limit=options.limit if options.list else None, export=options.export)
    if options.graph:
        print(listing.graph(options.group, variables=options.vars))
    elif options.host:
        print(_text(listing.host(options.host), as_yaml=options.yaml))
    else:
        print(_text(listing.as_yaml() if options.yaml else listing.as_json(), as_yaml=options.yaml))
    return 0


def _text(value: Value, *, as_yaml: bool) -> str:
    if as_yaml:
        return str(yaml.dump(value, Dumper=_Dumper, allow_unicode=True)).rstrip("\n")
    return json.dumps(value, sort_keys=True, indent=4, ensure_ascii=False, default=_iso_date)


def _iso_date(value: object) -> str:
    if isinstance(value, datetime.date):
        return value.isoformat()
    raise TypeError(f"a value of type {type(value).__name__} has no JSON form")


class _Dumper(yaml.SafeDumper):
    """Writes located values as the plain ones that they are, and shared ones in full wherever they are."""

    def ignore_aliases(self, data: object) -> bool:
        return True


_Dumper.add_multi_representer(str, SafeRepresenter.represent_str)
_Dumper.add_multi_representer(list, SafeRepresenter.represent_list)
_Dumper.add_multi_representer(dict, SafeRepresenter.represent_dict)
