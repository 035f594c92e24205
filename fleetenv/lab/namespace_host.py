"""One host of a namespace fleet, and all that can be done to it from outside."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fleetenv.lab import fleet, nvidia_smi
from fleetenv.lab.fleet import KeyPair
from fleetenv.lab.namespace_switch import Switch
from fleetenv.lab.nvidia_smi import Gpus
from fleetenv.remote import Completed, sh

_INIT = Path(__file__).with_name("namespace_host.sh")
_NAMESPACES = ("--net", "--uts", "--pid", "--mount", "--ipc", "--fork")
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}


@dataclass(slots=True)
class NamespaceHost:
    """One host; see [`fleetenv.lab.fleet.Host`][]. All its methods work from outside, without SSH."""

    name: str
    address: str
    user: str
    private_key: Path
    host_key: KeyPair
    switch: Switch
    cable: str  # its end at the switch
    port: int = 22
    process: int = 0
    """Its first process, as this machine counts; 0 when it is off."""
    variables: Mapping[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def known_host(self) -> str:
        """The host's line in `known_hosts`."""
        return fleet.known_host(self.address, self.port, self.host_key.public)

    def path(self, remote: str) -> Path:
        """Return where a path on the host is seen from this machine. Absolute symbolic links in it lead astray."""
        if remote == "~" or remote.startswith("~/"):
            home = "/root" if self.user == "root" else f"/home/{self.user}"
            remote = home + remote[1:]
        return Path(f"/proc/{self.process}/root") / remote.lstrip("/")

    def command(self, *words: str) -> list[str]:
        """Return the argument list that runs a program on the host as root, from this machine."""
        return ["nsenter", f"--target={self.process}", "--all", "--root", "--wd", "--", *words]

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
        places = nvidia_smi.PLACES
        settings = nvidia_smi.settings_folder(Path(places["nvidia-smi"]))
        self.must_run(sh("rm", "-rf", "/proc/driver/nvidia", settings.as_posix(), *places.values()))
        if gpus is None:
            return
        for name, text in nvidia_smi.programs(gpus).items():
            self.must_run(f"cat >{places[name]}; chmod 755 {places[name]}", text.encode())
        version = nvidia_smi.kernel_module(gpus)
        if version is not None and self.path("/proc/driver").is_dir():
            self.must_run("mkdir -p /proc/driver/nvidia; cat >/proc/driver/nvidia/version", version.encode())

    def start(self, seed: Path, storage: str, size: str) -> None:
        """Start its first process, which makes its file system out of `seed` and then waits for its network card."""
        self._process = subprocess.Popen(
            ["unshare", *_NAMESPACES, "sh", "-eu", _INIT, self.name, f"{self.address}/24", seed, storage, size],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
            env=_ENVIRONMENT,
        )

    def learn_process(self) -> None:
        """Read which process it is."""
        self.process = int(self._answer())

    def go_on(self) -> None:
        """Tell it that its network card is there."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()

    def wait_until_up(self) -> None:
        """Wait until it is ready and its sshd answers."""
        self._answer()
        self.wait_for_sshd()

    def _answer(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline().decode().strip()
        if not line:
            raise RuntimeError(f"{self.name} did not start; what it said stands above")
        return line

    def cut(self) -> None:
        """Pull its network cable: packets vanish, nobody is told."""
        self.switch.set_port(self.cable, "down")

    def mend(self) -> None:
        """Plug its network cable in again."""
        self.switch.set_port(self.cable, "up")

    def kill_sshd(self) -> None:
        """Kill sshd and all its sessions, and wait until nobody listens; what they started goes on."""
        self.must_run(
            'for p in /proc/[0-9]*; do read -r n <"$p/comm" && [ "$n" = sshd ] && kill -9 "${p##*/}"; done\n'
            'while [ -n "$(ss -Hltn "sport = :22")" ]; do :; done'
        )

    def start_sshd(self) -> None:
        """Start sshd again."""
        self.must_run("/usr/sbin/sshd -E /var/log/sshd.log")
        self.wait_for_sshd()

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
        self.process = 0

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

    def wait_for_sshd(self, seconds: float = 20.0) -> None:
        """Wait until sshd greets: it goes into the background before it listens, so its start alone says nothing.

        Raises:
            RuntimeError: it does not, in so many seconds.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                with socket.create_connection((self.address, self.port), timeout=5) as connection:
                    if connection.recv(4) == b"SSH-":
                        return
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise RuntimeError(f"sshd on {self.name} did not answer within {seconds:.0f} s")
            time.sleep(0.02)
