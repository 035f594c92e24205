"""Everything that is needed to reach one host, read from Ansible's variable names and the command line's options."""

from __future__ import annotations

import getpass
import re
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field, structs

from fleetenv.errors import InputError, Location
from fleetenv.shell.become import Become
from fleetenv.shell.ssh_args import SshOptions, parse_ssh_args
from fleetenv.source import SourceMap, Value

CONNECTIONS = {
    "ssh": "asyncssh",
    "smart": "asyncssh",
    "asyncssh": "asyncssh",
    "paramiko": "fabric",
    "paramiko_ssh": "fabric",
    "fabric": "fabric",
    "local": "local",
}
"""What `ansible_connection` may say, and the transport that this means."""

VARIABLES = frozenset({
    "ansible_become", "ansible_become_exe", "ansible_become_method", "ansible_become_pass", "ansible_become_password",
    "ansible_become_user", "ansible_connection", "ansible_host", "ansible_host_key_checking", "ansible_password",
    "ansible_port", "ansible_private_key_file", "ansible_shell_executable", "ansible_ssh_args",
    "ansible_ssh_common_args", "ansible_ssh_extra_args", "ansible_ssh_host", "ansible_ssh_host_key_checking",
    "ansible_ssh_pass", "ansible_ssh_password", "ansible_ssh_port", "ansible_ssh_private_key_file",
    "ansible_ssh_timeout", "ansible_ssh_user", "ansible_sudo", "ansible_sudo_exe", "ansible_sudo_pass",
    "ansible_sudo_user", "ansible_timeout", "ansible_user",
})  # fmt: skip
"""Names of the variables that say how to reach a host."""

CONNECT_TIMEOUT = 10.0
"""Seconds to connect and log in, as in Ansible."""

PATIENCE = 30.0
"""Seconds until a shell must answer, once it was started: a loaded host, or a sudo that asks a slow directory."""

KEEPALIVE = 15.0
"""Seconds of silence after which a host is asked whether it is alive; after three such questions it is lost."""


class Defaults(Struct, frozen=True):
    """What the command line says for all hosts: weaker than a host's own variables, as in Ansible."""

    user: str | None = None
    private_key: Path | None = None
    password: str | None = None
    connection: str | None = None
    timeout: float | None = None
    ssh_args: str | None = None
    become: bool = False
    become_user: str | None = None
    become_method: str | None = None
    become_password: str | None = None

    def __repr__(self) -> str:
        return f"Defaults({self.user!r})"  # the rest may be secret


class Settings(Struct, frozen=True):
    """How to reach one host and to become another user on it. What is None is left to `~/.ssh/config`."""

    host: str  # its name in the inventory: what messages call it
    address: str
    port: int | None = None
    user: str | None = None
    password: str | None = None
    private_key: Path | None = None
    transport: str = "asyncssh"  # asyncssh, fabric or local
    ssh_config: Path | None = None  # None: ~/.ssh/config
    proxy_jump: str | None = None
    proxy_command: str | None = None
    host_key_checking: str | None = None  # StrictHostKeyChecking's yes, accept-new or no
    known_hosts: tuple[Path, ...] = ()  # empty: ssh_config's, else ssh's own two files
    connect_timeout: float = CONNECT_TIMEOUT
    keepalive: float = KEEPALIVE
    patience: float = PATIENCE
    shell: str = "sh"
    become: bool | None = None  # ansible_become: stronger than what a play or task says
    become_user: str | None = None
    become_method: str | None = None
    become_program: str | None = None
    become_password: str | None = None
    is_jump: bool = False  # it is only passed through, on the way to a host
    defaults: Defaults = field(default_factory=Defaults)

    @classmethod
    def from_variables(cls, host: str, variables: Mapping[str, Value], defaults: Defaults | None = None) -> Settings:
        """Read a host's connection variables, rendered already.

        Raises:
            InputError: a value that cannot be, or an ssh option that is not supported, named.
        """
        defaults = defaults or Defaults()
        read = _Reader(host, variables)
        options = SshOptions()
        for name in ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args"):
            if text := read.text(name):
                options = parse_ssh_args(text, read.label(name), earlier=options)
        if defaults.ssh_args:
            options = parse_ssh_args(defaults.ssh_args, "--ssh-common-args", earlier=options)
        checking = read.checking("ansible_host_key_checking", "ansible_ssh_host_key_checking")
        connection = read.text("ansible_connection") or defaults.connection or "ssh"
        if connection not in CONNECTIONS:
            raise read.wrong("ansible_connection", connection, f"one of {', '.join(CONNECTIONS)}")
        key = read.file("ansible_ssh_private_key_file", "ansible_private_key_file")
        for file in (defaults.private_key, options.identity_file, options.config_file):
            if file and not file.exists():
                raise InputError(f"there is no file {file}", hint="it was given as a private key or ssh configuration")
        return cls(
            host=host,
            address=read.text("ansible_host", "ansible_ssh_host") or options.host_name or host,
            port=read.port("ansible_port", "ansible_ssh_port") or options.port,
            user=read.text("ansible_user", "ansible_ssh_user") or defaults.user or options.user,
            password=read.text("ansible_password", "ansible_ssh_pass", "ansible_ssh_password") or defaults.password,
            private_key=key or defaults.private_key or options.identity_file,
            transport=CONNECTIONS[connection],
            ssh_config=options.config_file,
            proxy_jump=options.proxy_jump,
            proxy_command=options.proxy_command,
            host_key_checking=checking or options.host_key_checking,
            known_hosts=options.known_hosts,
            connect_timeout=read.seconds("ansible_timeout", "ansible_ssh_timeout")
            or options.connect_timeout
            or defaults.timeout
            or CONNECT_TIMEOUT,
            keepalive=KEEPALIVE if options.keepalive is None else options.keepalive,
            shell=read.text("ansible_shell_executable") or "sh",
            become=read.truth("ansible_become", "ansible_sudo"),
            become_user=read.text("ansible_become_user", "ansible_sudo_user"),
            become_method=read.text("ansible_become_method"),
            become_program=read.text("ansible_become_exe", "ansible_sudo_exe"),
            become_password=read.text("ansible_become_password", "ansible_become_pass", "ansible_sudo_pass"),
            defaults=defaults,
        )

    def __repr__(self) -> str:
        return f"Settings({self.host!r}, {self.place!r})"  # the rest may be secret

    @property
    def place(self) -> str:
        """Where the host is, as messages say it."""
        return self.address if self.port in (None, 22) else f"{self.address} port {self.port}"

    def expanded(self, command: str) -> str:
        """Put host, port and user in their places in a ProxyCommand, as ssh_config(5) has it."""
        user = self.user or getpass.getuser()
        values = {"h": self.address, "n": self.address, "p": str(self.port or 22), "r": user, "%": "%"}
        return re.sub("%(.)", lambda found: values.get(found[1], found[0]), command)

    def becoming(self, become: bool | None = None, user: str | None = None, method: str | None = None) -> Become | None:
        """Return whom to become, given what a task says (None: nothing); None when nobody.

        A host's variables are the strongest, the command line is the weakest, as in Ansible.

        Raises:
            InputError: a method that is not supported, or a name that cannot be one.
        """
        said = become if self.become is None else self.become
        if not (self.defaults.become if said is None else said):
            return None
        method = self.become_method or method or self.defaults.become_method or "sudo"
        return Become(
            user=self.become_user or user or self.defaults.become_user or "root",
            method=method,
            password=None if method == "doas" else self.become_password or self.defaults.become_password,
            program=self.become_program,
        )

    def jumps(self, via: str) -> list[Settings]:
        """Return settings for the jump hosts of a `ProxyJump`, `[USER@]HOST[:PORT],...`, the first to be met first.

        They have the same keys and checks, and nothing else of the host's own.

        Raises:
            InputError: this is no ProxyJump.
        """
        stops = [self._jump(via, place.strip()) for place in via.split(",")]
        # `Host *` with a ProxyJump names the jump host, too: as in ssh, no host is reached through itself
        return [] if any((stop.address, stop.port) == (self.address, self.port) for stop in stops) else stops

    def _jump(self, via: str, place: str) -> Settings:
        user, _, where = place.rpartition("@")
        host, colon, port = where.rpartition(":")
        if not colon or where.endswith("]"):
            host, port = where, ""
        if not host or (port and not (port.isdigit() and 0 < int(port) < 65536)):
            raise InputError(f"ProxyJump cannot be '{via}'", hint="[USER@]HOST[:PORT], more of them after commas")
        return self._at(host.strip("[]"), int(port) if port else None, user or None)

    def _at(self, address: str, port: int | None, user: str | None) -> Settings:
        return structs.replace(
            self,
            host=address,
            address=address,
            port=port,
            user=user,
            proxy_jump=None,
            proxy_command=None,
            password=None,
            is_jump=True,
        )


def _checking(value: Value) -> str | None:
    """Read `StrictHostKeyChecking`, or Ansible's yes and no, of which its no is ssh's no."""
    words = {"yes": "yes", "true": "yes", "1": "yes", "on": "yes", "no": "no", "false": "no", "0": "no", "off": "no"}
    return None if value is None else {**words, "accept-new": "accept-new"}.get(str(value).lower(), "")


class _Reader:
    """Reads variables by name, the first of several that is there."""

    def __init__(self, host: str, variables: Mapping[str, Value]) -> None:
        self._host = host
        self._variables = variables

    def label(self, name: str) -> str:
        return f"{name} of host '{self._host}'"

    def wrong(self, name: str, value: Value, right: str) -> InputError:
        location = self._variables.values_at.get(name) if isinstance(self._variables, SourceMap) else None
        location = getattr(value, "location", location)
        shown = "" if "pass" in name else f" '{value}'"
        return InputError(
            f"{self.label(name)} cannot be{shown}",
            location=location if isinstance(location, Location) else None,
            hint=f"it must be {right}",
        )

    def _first(self, names: tuple[str, ...]) -> tuple[str, Value]:
        assert VARIABLES.issuperset(names)
        for name in names:
            value = self._variables.get(name)
            if value is not None:
                return name, value
        return names[0], None

    def text(self, *names: str) -> str | None:
        name, value = self._first(names)
        if value is None or value == "":
            return None
        if isinstance(value, bool | list | dict):
            raise self.wrong(name, value, "text")
        text = str(value)
        if "\0" in text or "\n" in text:
            raise self.wrong(name, value, "text on one line")
        return text

    def file(self, *names: str) -> Path | None:
        name = self.text(*names)
        path = Path(name).expanduser() if name else None
        if path and not path.is_file():
            raise self.wrong(self._first(names)[0], str(path), "a file on this machine")
        return path

    def truth(self, *names: str) -> bool | None:
        name, value = self._first(names)
        if value is None:
            return None
        word = str(value).lower()
        if word in ("true", "yes", "on", "1", "y", "t"):
            return True
        if word in ("false", "no", "off", "0", "n", "f"):
            return False
        raise self.wrong(name, value, "true or false")

    def port(self, *names: str) -> int | None:
        name, value = self._first(names)
        if value is None:
            return None
        if isinstance(value, int | str) and str(value).isascii() and str(value).isdigit() and 0 < int(value) < 65536:
            return int(value)
        raise self.wrong(name, value, "a number from 1 to 65535")

    def seconds(self, *names: str) -> float | None:
        name, value = self._first(names)
        if value is None:
            return None
        try:
            seconds = float(str(value))
        except ValueError:
            seconds = -1
        if 0 < seconds < 1e6:
            return seconds
        raise self.wrong(name, value, "a number of seconds above 0")

    def checking(self, *names: str) -> str | None:
        name, value = self._first(names)
        word = _checking(value)
        if word == "":
            raise self.wrong(name, value, "true, false or accept-new")
        return word
