"""Lab hosts with real OpenSSH: each with its own network address, hostname, processes and copy-on-write file system.

Needs root, OpenSSH's server and iproute2. Nothing of it outlives its owner, whichever way the owner ends: each host is
one process tree in its own namespaces, whose first process ends when the pipe that the owner holds is closed. The
bridge that joins the hosts lives in such a namespace too; the kernel removes cards, mounts and files with the last
process.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from fleetenv.errors import InputError
from fleetenv.lab import fleet, nvidia_smi
from fleetenv.lab.fleet import KeyPair
from fleetenv.lab.namespace_host import NamespaceHost
from fleetenv.lab.namespace_switch import Switch
from fleetenv.lab.nvidia_smi import Gpus
from fleetenv.lab.temporary import temporary_folder
from fleetenv.remote import sh

_MOST_HOSTS = 240
_SSHD_CONFIG = """\
HostKey /etc/ssh/ssh_host_ed25519_key
PidFile /run/sshd.pid
PermitRootLogin prohibit-password
UsePAM no
UseDNS no
PrintMotd no
KbdInteractiveAuthentication no
MaxStartups 200
AcceptEnv LANG LC_*
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True, slots=True)
class Account:
    """A named user on each host, opened by the fleet's key. `sudo`: 'none', 'password' or 'nopasswd'."""

    name: str
    password: str = ""
    sudo: str = "none"


class NamespaceFleet:
    """A fleet of namespace hosts on one bridge, up while the context is open.

    Args:
        hosts: how many, or their names.
        folder: where inventory and keys are written; a temporary one by default.
        account: a user to log in as; by default root is.
        gpus: simulated GPUs: the same for all, or by host name (hosts not named have none).
        disk: a folder on a real file system for the hosts' files; by default they live in memory.
        size: how much each host may write, as tmpfs takes it, when in memory.

    Raises:
        InputError: something that it needs is missing on this machine.
    """

    def __init__(
        self,
        hosts: int | Sequence[str],
        *,
        folder: Path | None = None,
        account: Account | None = None,
        gpus: Gpus | Mapping[str, Gpus] | None = None,
        disk: Path | None = None,
        size: str = "4g",
    ) -> None:
        self._names = fleet.host_names(hosts)
        if len(self._names) > _MOST_HOSTS:
            raise InputError(f"a namespace fleet has at most {_MOST_HOSTS} hosts")
        self._account = account
        self._gpus = gpus
        self._disk = disk
        self._size = size
        self._given_folder = folder
        self._stack = ExitStack()
        self.hosts: list[NamespaceHost] = []
        self.folder = Path()
        self.gateway = ""
        """This machine's address on the bridge."""

    def __getitem__(self, name: str) -> NamespaceHost:
        """Return a host by its name."""
        return next(host for host in self.hosts if host.name == name)

    def __enter__(self) -> NamespaceFleet:
        problem = missing()
        if problem is not None:
            raise InputError(problem)
        with ExitStack() as stack:
            self._up(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def inventory(self) -> Path:
        """The inventory's file; known_hosts, ssh_config and the key lie beside it."""
        return self.folder / fleet.INVENTORY

    def _up(self, stack: ExitStack) -> None:
        temporary = stack.enter_context(temporary_folder())
        self.folder = self._given_folder or temporary
        self.folder.mkdir(parents=True, exist_ok=True)
        key = KeyPair.generate()
        private_key = self.folder / fleet.PRIVATE_KEY
        key.write(private_key)
        switch = Switch(stack)
        self.gateway = switch.gateway
        self.hosts = [
            NamespaceHost(
                name=name,
                address=switch.address(index),
                user=self._account.name if self._account else "root",
                private_key=private_key,
                host_key=KeyPair.generate(),
                switch=switch,
                cable=f"port{index}",
            )
            for index, name in enumerate(self._names)
        ]
        for host in self.hosts:
            seed = temporary / host.name
            self._write_seed(seed, host, key)
            storage = "memory"
            if self._disk is not None:
                storage = stack.enter_context(tempfile.TemporaryDirectory(prefix=host.name, dir=self._disk))
            host.start(seed, storage, self._size)
            stack.callback(host.kill)
        for host in self.hosts:
            host.learn_process()
        switch.connect({host.cable: host.process for host in self.hosts})
        for host in self.hosts:
            host.go_on()
        for host in self.hosts:
            host.wait_until_up()
        fleet.write_inventory(self.folder, self.hosts)

    def _write_seed(self, seed: Path, host: NamespaceHost, key: KeyPair) -> None:
        """Write the files that a host has from the start, at their paths under `seed`."""
        (seed / "etc/ssh").mkdir(parents=True)
        (seed / "etc/ssh/sshd_config").write_text(_SSHD_CONFIG)
        host.host_key.write(seed / "etc/ssh/ssh_host_ed25519_key")
        (seed / "etc/hostname").write_text(host.name + "\n")
        (seed / "etc/hosts").write_text(
            "127.0.0.1 localhost\n" + "".join(f"{peer.address} {peer.name}\n" for peer in self.hosts)
        )
        (seed / "etc/resolv.conf").write_text("# a lab has no name server\n")
        (seed / "root/.ssh").mkdir(parents=True, mode=0o700)
        (seed / "root/.ssh").parent.chmod(0o700)
        (seed / "root/.ssh/authorized_keys").write_text(key.public + "\n")
        if self._account is not None:
            (seed / "etc/lab-accounts").write_text(_add_account(self._account, key))
        gpus = self._gpus.get(host.name) if isinstance(self._gpus, Mapping) else self._gpus
        if gpus is None:
            return
        for name, text in nvidia_smi.programs(gpus).items():
            program = seed / nvidia_smi.PLACES[name].lstrip("/")
            program.parent.mkdir(parents=True, exist_ok=True)
            program.write_text(text)
            program.chmod(0o755)
        version = nvidia_smi.kernel_module(gpus)
        if version is not None and Path("/proc/driver").is_dir():
            (seed / "proc/driver/nvidia").mkdir(parents=True)
            (seed / "proc/driver/nvidia/version").write_text(version)


def missing() -> str | None:
    """Return why this machine cannot run namespace hosts, or None when it can."""
    if os.geteuid() != 0:
        return "a namespace lab needs root"
    for program, package in (
        ("/usr/sbin/sshd", "openssh-server"),
        ("ip", "iproute2"),
        ("unshare", "util-linux"),
        ("nsenter", "util-linux"),
    ):
        if shutil.which(program) is None:
            return f"a namespace lab needs {program}; it is in the package {package}"
    return None


def _add_account(account: Account, key: KeyPair) -> str:
    """Return the script that makes an account; the password is part of a file that only root can read."""
    home = f"/home/{account.name}"
    lines = [
        sh("useradd", "--create-home", "--shell", "/bin/bash", account.name),
        sh("install", "-d", "-m", "700", "-o", account.name, "-g", account.name, f"{home}/.ssh"),
        f"echo {sh(key.public)} >{sh(f'{home}/.ssh/authorized_keys')}",
        f"chown {sh(account.name)}: {sh(f'{home}/.ssh/authorized_keys')}",
        sh("printf", "%s", f"{account.name}:{account.password or '*'}")
        + f" | chpasswd{'' if account.password else ' -e'}",
    ]
    if account.sudo != "none":
        rule = f"{account.name} ALL=(ALL:ALL) {'NOPASSWD: ' if account.sudo == 'nopasswd' else ''}ALL"
        lines.append(f"echo {sh(rule)} >/etc/sudoers.d/lab; chmod 440 /etc/sudoers.d/lab")
    return "\n".join(lines) + "\n"
