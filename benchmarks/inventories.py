"""The same hosts, key and known_hosts in the words of every tool, and ansible's settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks import peers
from fleetenv.lab import fleet
from fleetenv.lab.fleet import Listed

_ANSIBLE_CFG = """\
[defaults]
host_key_checking = True
gathering = explicit
interpreter_python = /usr/bin/python3
timeout = 60
{more}
[ssh_connection]
pipelining = True
ssh_args = -o ControlMaster=auto -o ControlPersist=60s
"""
_MITOGEN = "strategy = mitogen_linear\nstrategy_plugins = {folder}\n"


def write(folder: Path, hosts: Sequence[Listed]) -> None:
    """Write `inventory.yml` for fleetenv, ansible and the floor, `inventory.py` for pyinfra, and `known_hosts`."""
    folder.mkdir(parents=True)
    fleet.write_inventory(folder, hosts)
    entries = [
        (
            host.name,
            {
                "ssh_hostname": host.address,
                "ssh_port": host.port,
                "ssh_user": host.user,
                "ssh_key": str(host.private_key),
                "ssh_known_hosts_file": str(folder / fleet.KNOWN_HOSTS),
                "ssh_strict_host_key_checking": "yes",
            },
        )
        for host in hosts
    ]
    lines = ["hosts = [", *(f"    {entry!r}," for entry in entries), "]", ""]
    (folder / "inventory.py").write_text("\n".join(lines))


def write_ansible_settings(folder: Path) -> None:
    """Write `ansible.cfg` and, with mitogen's strategy, `mitogen.cfg`; forks are given on the command line."""
    (folder / "ansible.cfg").write_text(_ANSIBLE_CFG.format(more=""))
    mitogen = _MITOGEN.format(folder=peers.strategy_plugins())
    (folder / "mitogen.cfg").write_text(_ANSIBLE_CFG.format(more=mitogen))
