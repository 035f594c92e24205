"""The options of `ssh` that inventories hand on in `ansible_ssh_common_args`: those that are honoured. Pure."""

from __future__ import annotations

import shlex
from functools import lru_cache
from pathlib import Path

from msgspec import Struct, structs

from fleetenv.errors import InputError, nearest


class SshOptions(Struct, frozen=True):
    """What `ssh`'s own options say; None: nothing. As in ssh, what is said first holds."""

    host_name: str | None = None
    port: int | None = None
    user: str | None = None
    identity_file: Path | None = None
    proxy_jump: str | None = None
    proxy_command: str | None = None
    host_key_checking: str | None = None
    known_hosts: tuple[Path, ...] = ()
    connect_timeout: float | None = None
    keepalive: float | None = None
    config_file: Path | None = None


_FLAGS = {"-p": "Port", "-l": "User", "-i": "IdentityFile", "-J": "ProxyJump", "-F": "ConfigFile"}

# One long-lived shell makes these superfluous: said in many inventories, and true of fleetenv anyway.
_WITHOUT_EFFECT = {
    "batchmode", "compression", "controlmaster", "controlpath", "controlpersist", "forwardagent", "loglevel",
    "requesttty", "serveralivecountmax", "tcpkeepalive", "visualhostkey",
}  # fmt: skip
_WITHOUT_EFFECT_FLAGS = {"-C", "-q", "-T", "-4", "-o", "-x", "-a"} - {"-4", "-o"}
_KNOWN = ("ConnectTimeout", "HostName", "IdentityFile", "Port", "ProxyCommand", "ProxyJump", "ServerAliveInterval",
          "StrictHostKeyChecking", "User", "UserKnownHostsFile")  # fmt: skip


def parse_ssh_args(text: str, label: str, earlier: SshOptions | None = None) -> SshOptions:
    """Read options of `ssh` as one would type them; `label` names in errors where they were written.

    Raises:
        InputError: an option that fleetenv does not honour, or a value that cannot be.
    """
    try:
        words = list(_words(text))
    except ValueError as error:
        raise InputError(f"{label}: {error}") from error
    options = earlier or SshOptions()
    while words:
        word = words.pop(0)
        flag, rest = word[:2], word[2:]
        if word in _WITHOUT_EFFECT_FLAGS:
            continue
        if flag != "-o" and flag not in _FLAGS:
            raise InputError(f"{label}: the ssh option '{word}' is not supported", hint="~/.ssh/config may hold it")
        if not rest and not words:
            raise InputError(f"{label}: the ssh option '{word}' lacks its value")
        value = rest or words.pop(0)
        if flag == "-o":
            name, _, value = value.strip().replace("=", " ", 1).partition(" ")
        else:
            name = _FLAGS[flag]
        options = _with(options, name, value.strip().strip('"'), label)
    return options


@lru_cache(maxsize=16)
def _words(text: str) -> tuple[str, ...]:
    """Split as a shell does: most hosts have the same options."""
    return tuple(shlex.split(text))


def _with(options: SshOptions, name: str, value: str, label: str) -> SshOptions:
    """Add one option, unless it was said before."""
    match name.lower():
        case "hostname":
            return structs.replace(options, host_name=options.host_name or value)
        case "port":
            return structs.replace(options, port=options.port or int(_number(name, value, label, 65535)))
        case "user":
            return structs.replace(options, user=options.user or value)
        case "identityfile":
            return structs.replace(options, identity_file=options.identity_file or Path(value).expanduser())
        case "proxyjump":
            return structs.replace(options, proxy_jump=options.proxy_jump or value)
        case "proxycommand":
            return structs.replace(options, proxy_command=options.proxy_command or value)
        case "configfile":
            return structs.replace(options, config_file=options.config_file or Path(value).expanduser())
        case "stricthostkeychecking":
            words = {"yes": "yes", "no": "no", "off": "no", "accept-new": "accept-new"}
            if value.lower() not in words:
                raise InputError(f"{label}: StrictHostKeyChecking cannot be '{value}'", hint="yes, no or accept-new")
            return structs.replace(options, host_key_checking=options.host_key_checking or words[value.lower()])
        case "userknownhostsfile":
            files = tuple(Path(each).expanduser() for each in value.split())
            return structs.replace(options, known_hosts=options.known_hosts or files)
        case "connecttimeout":
            return structs.replace(options, connect_timeout=options.connect_timeout or _number(name, value, label, 1e6))
        case "serveraliveinterval":
            seconds = 0.0 if value == "0" else _number(name, value, label, 1e6)
            return structs.replace(options, keepalive=seconds if options.keepalive is None else options.keepalive)
        case lower if lower in _WITHOUT_EFFECT:
            return options
    hint = nearest(name, _KNOWN) or "~/.ssh/config may hold it"
    raise InputError(f"{label}: the ssh option '{name}' is not supported", hint=hint)


def _number(name: str, value: str, label: str, most: float) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1
    if not 0 < number <= most:
        raise InputError(f"{label}: {name} cannot be '{value}'", hint="it must be a number above 0")
    return number
