"""Lab hosts with real OpenSSH: each with its own network address, hostname, processes and copy-on-write file system.

Needs root, OpenSSH's server and iproute2. Nothing of it outlives its owner, whichever way the owner ends: each host is
one process tree in its own namespaces, whose first process ends when the pipe that the owner holds is closed. The
bridge that joins the hosts lives in such a namespace too; the kernel removes cards, mounts and files with the last
process.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from types import TracebackType

from fleetenv.errors import InputError
from fleetenv.lab import fleet, nvidia_smi
from fleetenv.lab.fleet import KeyPair
from fleetenv.lab.nvidia_smi import Gpus
from fleetenv.remote import Completed, sh

_SCRIPT = Path(__file__).with_name("namespace_host.sh")
_NAMESPACES = ("--net", "--uts", "--pid", "--mount", "--ipc", "--fork")
_FLEETS = range(1, 255)  # 10.213.N.0/24 belongs to the fleet whose card on this machine is called fleetN
_MOST_HOSTS = 240
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
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


@dataclass(slots=True)
class NamespaceHost:
    """One host; see [`fleetenv.lab.fleet.Host`][]. All its methods work from outside, without SSH."""

    name: str
    address: str
    user: str
    private_key: Path
    host_key: KeyPair
    port: int = 22
    variables: Mapping[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None
    _pid: int = 0  # its first process, as this machine counts
    _switch: int = 0
    _card: str = ""  # its end of the cable, on the fleet's switch

    @property
    def known_host(self) -> str:
        """The host's line in `known_hosts`."""
        return fleet.known_host(self.address, self.port, self.host_key.public)

    def path(self, remote: str) -> Path:
        """Return where a path on the host is seen from this machine. Absolute symbolic links in it lead astray."""
        if remote == "~" or remote.startswith("~/"):
            home = "/root" if self.user == "root" else f"/home/{self.user}"
            remote = home + remote[1:]
        return Path(f"/proc/{self._pid}/root") / remote.lstrip("/")

    def command(self, *words: str) -> list[str]:
        """Return the argument list that runs a program on the host as root, from this machine."""
        return ["nsenter", f"--target={self._pid}", "--all", "--root", "--wd", "--", *words]

    def run(self, script: str, stdin: bytes = b"") -> Completed:
        """Run POSIX sh text on the host as root, without SSH."""
        done = subprocess.run(self.command("sh", "-c", script), input=stdin, capture_output=True, env=_ENVIRONMENT)
        return Completed(done.returncode, done.stdout, done.stderr)

    def must_run(self, script: str, stdin: bytes = b"") -> str:
        """Run a script that has to succeed, and return what it printed.

        Raises:
            RuntimeError: it failed.
        """
        done = self.run(script, stdin)
        if done.status != 0:
            raise RuntimeError(f"{self.name}: {script!r} ended with {done.status}: {done.error_text}")
        return done.text

    def set_gpus(self, gpus: Gpus | None) -> None:
        """Exchange the simulated GPUs; None: there is no nvidia-smi."""
        self.must_run("rm -rf /usr/bin/nvidia-smi /proc/driver/nvidia")
        if gpus is None:
            return
        self.must_run("cat >/usr/bin/nvidia-smi; chmod 755 /usr/bin/nvidia-smi", nvidia_smi.program(gpus).encode())
        version = nvidia_smi.kernel_module(gpus)
        if version is not None and self.path("/proc/driver").is_dir():
            self.must_run("mkdir -p /proc/driver/nvidia; cat >/proc/driver/nvidia/version", version.encode())

    def cut(self) -> None:
        """Pull its network cable: packets vanish, nobody is told."""
        _ip(self._switch, f"link set {self._card} down")

    def mend(self) -> None:
        """Plug its network cable in again."""
        _ip(self._switch, f"link set {self._card} up")

    def kill_sshd(self) -> None:
        """Kill sshd and all its sessions; what they started goes on."""
        self.must_run(
            'for p in /proc/[0-9]*; do read -r n <"$p/comm" && [ "$n" = sshd ] && kill -9 "${p##*/}"; done; :'
        )

    def start_sshd(self) -> None:
        """Start sshd again."""
        self.must_run("/usr/sbin/sshd -E /var/log/sshd.log")
        _wait_for_sshd(self)

    def kill(self) -> None:
        """Cut its power: all its processes end at once, its address no longer answers, its files are gone."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.kill()  # unshare; the host itself ends as its stdin does
        self._process.wait()
        self._process = None

    def limit(self, path: str, megabytes: int) -> None:
        """Mount a small file system at a path, empty."""
        self.must_run(f"mkdir -p {sh(path)} && mount -t tmpfs -o size={megabytes}m small {sh(path)}")

    def fill(self, path: str, leave: int = 0) -> None:
        """Fill the file system at a path, but for `leave` bytes, with one file `fill` in it."""
        self.must_run(
            f"cd {sh(path)} && free=$(df -P -k . | awk 'NR==2 {{print $4}}') && "
            f"fallocate -l $((free * 1024 - {leave})) fill && sync -f fill"
        )

    def make_read_only(self, path: str) -> None:
        """Make a folder read-only, for root too."""
        self.must_run(f"mount --bind {sh(path)} {sh(path)} && mount -o remount,bind,ro {sh(path)}")


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
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fleetenv-lab-")))
        self.folder = self._given_folder or temporary
        self.folder.mkdir(parents=True, exist_ok=True)
        key = KeyPair.generate()
        private_key = self.folder / fleet.PRIVATE_KEY
        key.write(private_key)
        switch = _start_switch(stack)
        number = _reserve_subnet(switch)
        network = IPv4Network(f"10.213.{number}.0/24")
        self.gateway = str(network[1])
        self.hosts = [
            NamespaceHost(
                name=name,
                address=str(network[index + 10]),
                user=self._account.name if self._account else "root",
                private_key=private_key,
                host_key=KeyPair.generate(),
                _switch=switch,
                _card=f"port{index}",
            )
            for index, name in enumerate(self._names)
        ]
        for host in self.hosts:
            seed = temporary / host.name
            self._write_seed(seed, host, key)
            storage = "memory"
            if self._disk is not None:
                storage = stack.enter_context(tempfile.TemporaryDirectory(prefix=host.name, dir=self._disk))
            command = ["unshare", *_NAMESPACES, "sh", "-eu", str(_SCRIPT), host.name, f"{host.address}/24", str(seed)]
            host._process = subprocess.Popen(
                [*command, storage, self._size],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd="/",
                env=_ENVIRONMENT,
            )
            stack.callback(host.kill)
        for host in self.hosts:
            host._pid = int(_answer(host))
        _connect(switch, number, self.gateway, self.hosts)
        for host in self.hosts:
            assert host._process is not None
            assert host._process.stdin is not None
            host._process.stdin.write(b"\n")
            host._process.stdin.flush()
        for host in self.hosts:
            if _answer(host) != "ready":
                raise RuntimeError(f"{host.name} did not start")
        for host in self.hosts:
            _wait_for_sshd(host)
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
        (seed / "usr/bin").mkdir(parents=True)
        (seed / "usr/bin/nvidia-smi").write_text(nvidia_smi.program(gpus))
        (seed / "usr/bin/nvidia-smi").chmod(0o755)
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


def _start_switch(stack: ExitStack) -> int:
    """Start the namespace that holds the fleet's bridge, and return its process id."""
    process = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "echo $$; exec cat >/dev/null"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd="/",
    )
    assert process.stdin is not None
    assert process.stdout is not None
    stack.callback(process.wait)
    stack.callback(process.stdin.close)
    stack.callback(process.stdout.close)
    return int(process.stdout.readline())


def _reserve_subnet(switch: int) -> int:
    """Lay a cable to the switch whose end here has a free name, and return its number: that name is the reservation."""
    for number in _FLEETS:
        if _in_use(IPv4Network(f"10.213.{number}.0/24")):
            continue
        add = subprocess.run(
            ["ip", "link", "add", f"fleet{number}", "type", "veth", "peer", "name", "uplink", "netns", str(switch)],
            capture_output=True,
            text=True,
        )
        if add.returncode == 0:
            return number
        if "File exists" not in add.stderr:
            raise InputError(f"this machine cannot make network cards for a lab: {add.stderr.strip()}")
    raise InputError("all addresses for labs are taken on this machine")


def _in_use(network: IPv4Network) -> bool:
    """Whether this machine already has a route into a network (the default route aside)."""
    routes = subprocess.run(["ip", "-4", "-o", "route", "show"], capture_output=True, text=True, check=True).stdout
    for line in routes.splitlines():
        destination = next((word for word in line.split() if word[0].isdigit()), None)
        if destination is not None and IPv4Network(destination, strict=False).overlaps(network):
            return True
    return False


def _connect(switch: int, number: int, gateway: str, hosts: Sequence[NamespaceHost]) -> None:
    """Make the bridge and the cables to all hosts, and give this machine its address."""
    batch = ["link add bridge type bridge", "link set bridge up", "link set uplink master bridge up"]
    for host in hosts:
        batch.append(f"link add {host._card} type veth peer name eth0 netns {host._pid}")
        batch.append(f"link set {host._card} master bridge up")
    _ip(switch, *batch)
    subprocess.run(
        ["ip", "-batch", "-"],
        input=f"addr add {gateway}/24 dev fleet{number}\nlink set fleet{number} up\n".encode(),
        check=True,
    )


def _ip(switch: int, *commands: str) -> None:
    subprocess.run(
        ["nsenter", f"--target={switch}", "--net", "ip", "-batch", "-"], input="\n".join(commands).encode(), check=True
    )


def _answer(host: NamespaceHost) -> str:
    """Read the next line that a starting host prints."""
    assert host._process is not None
    assert host._process.stdout is not None
    line = host._process.stdout.readline().decode().strip()
    if not line:
        raise RuntimeError(f"{host.name} did not start; what it said stands above")
    return line


def _wait_for_sshd(host: NamespaceHost, seconds: float = 20.0) -> None:
    """Wait until sshd greets: it goes into the background before it listens, so its start alone says nothing."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with socket.create_connection((host.address, host.port), timeout=5) as connection:
                if connection.recv(4) == b"SSH-":
                    return
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise RuntimeError(f"sshd on {host.name} did not answer within {seconds:.0f} s")
        time.sleep(0.02)
