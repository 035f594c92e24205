"""A real OpenSSH server on loopback, with keys and configuration of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from fleetenv.shell import Settings

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"


@dataclass(frozen=True)
class Sshd:
    """One running server; `folder` holds its keys, its configuration, and the client's side of both."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def key(self) -> Path:
        return self.folder / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def host_key(self) -> str:
        return " ".join((self.folder / "host_key.pub").read_text().split()[:2])

    def settings(self, **more: object) -> Settings:
        given = {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={self.known_hosts} -F /dev/null",
            **more,
        }
        return Settings.from_variables("box", given)  # type: ignore[arg-type]  # tests give wrong values, too


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def keygen(path: Path, *more: str, passphrase: str = "") -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", str(path), *more], check=True)


def start_sshd(folder: Path, extra: str = "") -> Sshd:
    """Start a server in a new folder and wait until it listens."""
    if not Path(SSHD).exists() or os.geteuid() != 0:
        pytest.skip("needs OpenSSH's sshd, and root")
    folder.mkdir(parents=True, exist_ok=True)
    Path("/run/sshd").mkdir(exist_ok=True)
    keygen(folder / "host_key")
    keygen(folder / "id_ed25519")
    shutil.copy(folder / "id_ed25519.pub", folder / "authorized_keys")
    port = free_port()
    (folder / "sshd_config").write_text(
        f"{extra}\nPort {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host_key\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {folder}/authorized_keys .ssh/authorized_keys\nStrictModes no\nPermitRootLogin yes\n"
        f"MaxStartups 200\nLogLevel ERROR\n"
    )
    host_key = " ".join((folder / "host_key.pub").read_text().split()[:2])
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}\n")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=log)
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return Sshd(folder, port, process)
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
        break
    raise AssertionError((folder / "log").read_text())


def stop_sshd(server: Sshd) -> None:
    server.process.terminate()
    server.process.wait(10)


@dataclass(frozen=True)
class Account:
    """A real user of this machine, made for a test; `password` is the login's and sudo's."""

    name: str
    home: Path
    password: str


def make_account(name: str, password: str, sudoers: str, key: Path) -> Account:
    """Make a user; `sudoers` is what sudo shall let it do (`{name}` is its name), or nothing; `key` opens it."""
    if os.geteuid() != 0 or not shutil.which("sudo") or not shutil.which("useradd"):
        pytest.skip("needs root, sudo and useradd")
    subprocess.run(["useradd", "-m", "-s", "/bin/bash", name], check=True)
    subprocess.run(["chpasswd"], input=f"{name}:{password}\n".encode(), check=True)
    if sudoers:
        rules = Path("/etc/sudoers.d") / name
        rules.write_text(sudoers.format(name=name) + "\n")
        rules.chmod(0o440)
    home = Path("/home") / name
    (home / ".ssh").mkdir()
    shutil.copy(key, home / ".ssh" / "authorized_keys")
    return Account(name, home, password)


def remove_account(account: Account) -> None:
    (Path("/etc/sudoers.d") / account.name).unlink(missing_ok=True)
    subprocess.run(["pkill", "-KILL", "-u", account.name], check=False)
    subprocess.run(["userdel", "-rf", account.name], check=False, stderr=subprocess.DEVNULL)
