"""What all lab fleets share: how a host is described, and the inventory, keys and ssh_config that lead to it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import yaml

from fleetenv.errors import InputError
from fleetenv.lab.nvidia_smi import Gpus
from fleetenv.remote import Completed, sh

INVENTORY = "inventory.yml"
KNOWN_HOSTS = "known_hosts"
PRIVATE_KEY = "id_ed25519"
SSH_CONFIG = "ssh_config"


class Listed(Protocol):
    """What an inventory says of a host."""

    @property
    def name(self) -> str:
        """The inventory's name of the host."""

    @property
    def address(self) -> str:
        """Where its sshd listens."""

    @property
    def port(self) -> int:
        """Where its sshd listens."""

    @property
    def user(self) -> str:
        """The login name that the fleet's key opens."""

    @property
    def private_key(self) -> Path:
        """The fleet's private key, without passphrase."""

    @property
    def known_host(self) -> str:
        """The host's line in `known_hosts`."""

    @property
    def variables(self) -> Mapping[str, str]:
        """What the inventory says of this host beyond address and port."""


class Host(Listed, Protocol):
    """One disposable SSH host. Its GPUs are simulated."""

    def path(self, remote: str) -> Path:
        """Return where a path on the host (`~` is the user's home there) is seen from this machine."""

    def run(self, script: str, stdin: bytes = b"") -> Completed:
        """Run POSIX sh text on the host, without SSH."""

    def set_gpus(self, gpus: Gpus | None) -> None:
        """Exchange the simulated GPUs; None: none are simulated."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An ed25519 key in OpenSSH's forms."""

    private: bytes
    public: str  # 'ssh-ed25519 AAAA...'

    @classmethod
    def generate(cls) -> KeyPair:
        """Make a new key; no process is started, so that a hundred take a moment."""
        import asyncssh

        key = asyncssh.generate_private_key("ssh-ed25519")
        return cls(key.export_private_key(), key.export_public_key().decode().strip())

    @classmethod
    def read_or_generate(cls, path: Path) -> KeyPair:
        """Return the key whose halves are `path` and `path.pub`; make it if it is not there."""
        if path.exists():
            return cls(path.read_bytes(), path.with_name(f"{path.name}.pub").read_text().strip())
        key = cls.generate()
        key.write(path)
        return key

    def write(self, path: Path) -> None:
        """Write the private half to `path`, readable by its owner alone as ssh wants it, the public one beside it."""
        path.with_name(f"{path.name}.pub").write_text(f"{self.public}\n")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(self.private)


def host_names(hosts: int | Sequence[str]) -> tuple[str, ...]:
    """Return the names of a fleet's hosts: as given, or gpu01, gpu02, ... for a number.

    Raises:
        InputError: there are none, two are the same, or one cannot be a host name.
    """
    if isinstance(hosts, int):
        names = tuple(f"gpu{number:0{max(2, len(str(hosts)))}}" for number in range(1, hosts + 1))
    else:
        names = tuple(hosts)
    if not names:
        raise InputError("a lab needs at least one host")
    if len(set(names)) < len(names):
        raise InputError("two hosts of the lab have the same name")
    for name in names:
        if not name.replace("-", "").isalnum() or not name.isascii() or name.startswith("-") or len(name) > 63:
            raise InputError(f"'{name}' cannot be a host name", hint="use letters, digits and '-', at most 63")
    return names


def known_host(address: str, port: int, public_key: str) -> str:
    """Return a line of `known_hosts`."""
    place = address if port == 22 else f"[{address}]:{port}"
    return f"{place} {public_key}"


def write_inventory(folder: Path, hosts: Iterable[Listed]) -> Path:
    """Write inventory, known_hosts and ssh_config into a folder, and return the inventory's path.

    The inventory works with fleetenv and with Ansible; `ssh -F FOLDER/ssh_config HOST` with OpenSSH.
    """
    hosts = list(hosts)
    (folder / KNOWN_HOSTS).write_text("".join(f"{host.known_host}\n" for host in hosts))
    (folder / SSH_CONFIG).write_text(_ssh_config(folder, hosts))
    path = folder / INVENTORY
    path.write_text(inventory(folder, hosts))
    return path


def inventory(folder: Path, hosts: Iterable[Listed]) -> str:
    """Return the fleet as an inventory in Ansible's YAML."""
    entries: dict[str, dict[str, str | int]] = {}
    users = set()
    for host in hosts:
        entries[host.name] = {"ansible_host": host.address, "ansible_port": host.port, **host.variables}
        users.add(host.user)
        key = host.private_key
    (user,) = users
    shared = {
        "ansible_user": user,
        "ansible_ssh_private_key_file": str(key),
        "ansible_ssh_common_args": sh("-o", f"UserKnownHostsFile={_quoted(folder / KNOWN_HOSTS)}"),
    }
    document = {"all": {"hosts": entries, "vars": shared}}
    return "# Disposable hosts of a fleetenv lab; their GPUs are simulated.\n" + yaml.safe_dump(
        document, sort_keys=False
    )


def _ssh_config(folder: Path, hosts: Sequence[Listed]) -> str:
    blocks = [
        f"Host {host.name}\n  HostName {host.address}\n  Port {host.port}\n  User {host.user}\n"
        f"  IdentityFile {_quoted(host.private_key)}\n"
        for host in hosts
    ]
    shared = (
        "Host *\n  IdentitiesOnly yes\n  StrictHostKeyChecking yes\n"
        f"  UserKnownHostsFile {_quoted(folder / KNOWN_HOSTS)}\n"
    )
    return "".join(blocks) + shared


def _quoted(path: Path) -> str:
    """Quote a path for ssh_config, where only double quotes are known."""
    return f'"{path}"' if " " in str(path) else str(path)
