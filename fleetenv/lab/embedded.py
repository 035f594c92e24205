"""Lab hosts without root and without network: asyncssh servers on loopback, each with its own home and folder.

They run real programs, as the user who started them and in this machine's file system: apart are only their homes,
keys, ports, temporary folders and what stands in their own `bin/`, which comes first on their PATH.
"""

from __future__ import annotations

import getpass
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from types import TracebackType

from fleetenv.errors import InputError
from fleetenv.lab import fleet, nvidia_smi
from fleetenv.lab.fleet import KeyPair
from fleetenv.lab.nvidia_smi import Gpus
from fleetenv.lab.temporary import temporary_folder
from fleetenv.remote import Completed, sh

USER = getpass.getuser()
"""Whose rights everything on an embedded host has, and the only login name."""

LOG = "lab.log"

CONNECTIONS = "connections.log"
"""What the hosts write of connections: nanoseconds of the machine's clock, and `+` or `-` for one made or ended."""

SERVER = "fleetenv.lab.embedded_server"
"""The module that the hosts' process runs."""


@dataclass(frozen=True, slots=True)
class HostFolder:
    """What an embedded host is on disk."""

    root: Path

    @property
    def name(self) -> str:
        """The host's name."""
        return self.root.name

    @property
    def home(self) -> Path:
        """The user's home on the host."""
        return self.root / "home"

    @property
    def host_key(self) -> Path:
        """The host's private key."""
        return self.root / "ssh_host_ed25519_key"

    @property
    def authorized_key(self) -> str:
        """The public key that opens the host."""
        return (self.root / "authorized_key").read_text().strip()

    @property
    def environment(self) -> dict[str, str]:
        """The environment of everything that runs on the host: nothing of the environment of who started it."""
        system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return {
            "PATH": f"{self.root / 'bin'}:{system}",
            "HOME": str(self.home),
            "USER": USER,
            "LOGNAME": USER,
            "SHELL": "/bin/sh",
            "TMPDIR": str(self.root / "tmp"),
            "LANG": "C.UTF-8",
        }

    def write(self, authorized_key: str, gpus: Gpus | None) -> KeyPair:
        """Make what is not there yet, and return the host's key."""
        for name in ("bin", "home", "tmp"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        self.home.chmod(0o700)
        (self.root / "authorized_key").write_text(f"{authorized_key}\n")
        self.write_program("hostname", f"#!/bin/sh\n# Simulated by fleetenv lab.\n{sh('echo', self.name)}\n")
        self.write_gpus(gpus)
        return KeyPair.read_or_generate(self.host_key)

    def write_gpus(self, gpus: Gpus | None) -> None:
        """Exchange the simulated GPUs; None: none are simulated, and the host shows what this machine has."""
        program = self.root / "bin/nvidia-smi"
        shutil.rmtree(nvidia_smi.settings_folder(program), ignore_errors=True)
        for name in nvidia_smi.PLACES:
            program.with_name(name).unlink(missing_ok=True)
        for name, text in nvidia_smi.programs(gpus).items() if gpus else ():
            self.write_program(name, text)

    def write_program(self, name: str, text: str) -> None:
        """Put an executable into the host's bin/, exchanging it at once: it may be running."""
        new = self.root / "bin" / f".{name}.new"
        new.write_text(text)
        new.chmod(0o755)
        new.rename(self.root / "bin" / name)


@dataclass(slots=True)
class EmbeddedHost:
    """One host; see [`fleetenv.lab.fleet.Host`][]."""

    folder: HostFolder
    private_key: Path
    host_key: KeyPair
    address: str = "127.0.0.1"
    port: int = 0
    user: str = USER
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The inventory's name of the host."""
        return self.folder.name

    @property
    def known_host(self) -> str:
        """The host's line in `known_hosts`."""
        return fleet.known_host(self.address, self.port, self.host_key.public)

    def path(self, remote: str) -> Path:
        """Return where a path on the host is seen from this machine: `~` is the host's, all else is the same place."""
        if remote == "~" or remote.startswith("~/"):
            return self.folder.home / remote[2:]
        return self.folder.home / remote

    def run(self, script: str, stdin: bytes = b"") -> Completed:
        """Run POSIX sh text on the host, without SSH."""
        done = subprocess.run(
            ["/bin/sh", "-c", script],
            input=stdin,
            capture_output=True,
            cwd=self.folder.home,
            env=self.folder.environment,
        )
        return Completed(done.returncode, done.stdout, done.stderr)

    def set_gpus(self, gpus: Gpus | None) -> None:
        """Exchange the simulated GPUs; None: none are simulated."""
        self.folder.write_gpus(gpus)


def prepare(folder: Path, hosts: int | Sequence[str], gpus: Gpus | Mapping[str, Gpus] | None) -> list[EmbeddedHost]:
    """Write keys and folders of hosts into `folder`, keeping what is there; nothing runs yet.

    Raises:
        InputError: the names cannot be used.
    """
    names = fleet.host_names(hosts)
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    private_key = folder / fleet.PRIVATE_KEY
    public_key = KeyPair.read_or_generate(private_key).public
    made = []
    for name in names:
        home = HostFolder(folder / "hosts" / name)
        host_key = home.write(public_key, gpus.get(name) if isinstance(gpus, Mapping) else gpus)
        made.append(EmbeddedHost(home, private_key, host_key, variables=_variables(home)))
    return made


def _variables(folder: HostFolder) -> Mapping[str, str]:
    """Return what the inventory says of a host: also that other users' homes are this machine's, and not the host's."""
    return {"lab_root": str(folder.root), "drift_homes": "own"}


def serve(
    folder: Path, hosts: Sequence[EmbeddedHost], *, detached: bool = False, processes: int = 1
) -> list[subprocess.Popen[bytes]]:
    """Start the processes that the hosts live in, learn their ports from them, and write the inventory.

    Raises:
        InputError: one ended at once; the message has its last words.
    """
    started = [_start(folder, hosts[number::processes], detached=detached) for number in range(processes)]
    ports: dict[str, int] = {}
    for process in started:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.stdout.close()
        if not line:
            process.wait()
            raise InputError(f"the lab's hosts did not start: {(folder / LOG).read_text().strip()[-500:]}")
        ports |= json.loads(line)
    for host in hosts:
        host.port = ports[host.name]
    fleet.write_inventory(folder.resolve(), hosts)
    return started


def _start(folder: Path, hosts: Sequence[EmbeddedHost], *, detached: bool) -> subprocess.Popen[bytes]:
    package = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": f"{package}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    command = [sys.executable, "-m", SERVER, str(folder.resolve())]
    command += ["--detached"] if detached else []
    command += [host.name for host in hosts]
    with (folder / LOG).open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL if detached else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            cwd="/",
            start_new_session=True,  # Ctrl-C in the terminal is not meant for the hosts
        )


class EmbeddedFleet:
    """A fleet of embedded hosts, up while the context is open.

    Args:
        hosts: how many, or their names.
        folder: where the hosts' files, inventory and keys are; a temporary one by default.
        gpus: simulated GPUs: the same for all, or by host name (hosts not named have none).
        processes: how many share the hosts: more than one for many hosts on several cores.
    """

    def __init__(
        self,
        hosts: int | Sequence[str],
        *,
        folder: Path | None = None,
        gpus: Gpus | Mapping[str, Gpus] | None = None,
        processes: int = 1,
    ) -> None:
        self._names = fleet.host_names(hosts)
        self._given_folder = folder
        self._gpus = gpus
        self._processes = processes
        self._stack = ExitStack()
        self.hosts: list[EmbeddedHost] = []
        self.folder = Path()

    def __getitem__(self, name: str) -> EmbeddedHost:
        """Return a host by its name."""
        return next(host for host in self.hosts if host.name == name)

    def __enter__(self) -> EmbeddedFleet:
        with ExitStack() as stack:
            if self._given_folder is None:
                self.folder = stack.enter_context(temporary_folder())
            else:
                self.folder = self._given_folder
            self.hosts = prepare(self.folder, self._names, self._gpus)
            for process in serve(self.folder, self.hosts, processes=self._processes):
                assert process.stdin is not None
                stack.callback(process.wait)
                stack.callback(process.stdin.close)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def most_connections(self) -> int:
        """Return how many connections the hosts have had open at once, at most, all together, since they are up."""
        events = sorted(
            (int(time), change == "-", change)  # where the clock says the same, the end of one makes room for the next
            for time, change in map(str.split, (self.folder / CONNECTIONS).read_text().splitlines())
        )
        counts = accumulate(1 if change == "+" else -1 for _, _, change in events)
        return max(counts, default=0)

    @property
    def inventory(self) -> Path:
        """The inventory's file; known_hosts, ssh_config and the key lie beside it."""
        return self.folder / fleet.INVENTORY
