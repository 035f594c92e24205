"""Run disposable SSH hosts on this machine, to try things out: no root, no network, no hardware.

Each host is an SSH server on 127.0.0.1 with its own home, keys and port. It runs programs as you, in this machine's
file system: let playbooks write below `~` or `{{ lab_root }}`. Hosts and GPUs are simulated.

Examples:
  fleetenv lab up 4
  fleetenv gpu -i .lab/inventory.yml
  fleetenv lab down --purge
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from fleetenv.lab import fleet, nvidia_smi
from fleetenv.lab.background import Lab
from fleetenv.lab.embedded import EmbeddedHost

_GPUS = {
    "a100": nvidia_smi.A100,
    "h100": nvidia_smi.H100,
    "rtx4090": nvidia_smi.RTX4090,
    "v100": nvidia_smi.V100,
    "mi300x": nvidia_smi.MI300X,
    "none": None,
}

_UP = "Start hosts on this machine, and write an inventory for them; those that an earlier lab left come back."
_DOWN = "End the hosts and all that runs on them. Their files stay for the next 'up', unless purged."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="up|down")
    up = actions.add_parser("up", help="start hosts, and write an inventory for them", description=_UP)
    up.add_argument("hosts", metavar="N", type=int, help="how many: gpu01, gpu02, ...")
    up.add_argument(
        "--gpus",
        choices=_GPUS,
        default="a100",
        help="what each host simulates (default: %(default)s; none: this machine's own nvidia-smi, if any)",
    )
    down = actions.add_parser("down", help="end the hosts and all that runs on them", description=_DOWN)
    down.add_argument("--purge", action="store_true", help="remove their files, too")
    for action in (up, down):
        action.add_argument(
            "--folder", type=Path, default=Path(".lab"), metavar="DIR", help="where the lab is (default: %(default)s)"
        )


def run(options: argparse.Namespace) -> int:
    """Start or end a lab."""
    lab = Lab(options.folder)
    if options.action == "up":
        print(_welcome(lab.folder, lab.up(options.hosts, _GPUS[options.gpus])))
        return 0
    ended = lab.down()
    print(f"the simulated hosts of {lab.folder} {'are down' if ended else 'were not running'}")
    if options.purge:
        lab.purge()
        print(f"their files are removed from {lab.folder}")
    return 0


def _welcome(folder: Path, hosts: Sequence[EmbeddedHost]) -> str:
    count = "1 simulated host is" if len(hosts) == 1 else f"{len(hosts)} simulated hosts are"
    rows = "\n".join(f"  {host.name}  {host.address}:{host.port}  {folder / 'hosts' / host.name}" for host in hosts)
    inventory = folder / fleet.INVENTORY
    elsewhere = "" if folder == Path(".lab") else f" --folder {folder}"
    return f"""\
{count} up. Their GPUs are simulated, too; their programs run as you, in this machine's file system.

{rows}

Next:
  fleetenv ping all -i {inventory}
  fleetenv gpu -i {inventory}
  ssh -F {folder / fleet.SSH_CONFIG} {hosts[0].name}
  fleetenv lab down{elsewhere}    ends them and all that runs on them; with --purge removes their files, too"""
