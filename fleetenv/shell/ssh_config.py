"""What of `~/.ssh/config` asyncssh does not read itself; paramiko's reader knows every keyword."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from fleetenv.errors import InputError

if TYPE_CHECKING:
    import paramiko

    from fleetenv.shell.settings import Settings

_WHERE = (b"hostname", b"port", b"proxyjump", b"proxycommand", b"addressfamily", b"bind", b"match")
"""Keywords, in lower case, without which a host is where its settings have it."""


def host_key_checking(settings: Settings) -> str:
    """Return `yes`, `accept-new` or `no`, from the settings, else from ssh's configuration, else `yes`."""
    if settings.host_key_checking:
        return settings.host_key_checking
    path = config_file(settings)
    if not _mentions(path, b"stricthostkeychecking"):
        return "yes"
    word = read_ssh_config(path).lookup(settings.address).get("stricthostkeychecking", "yes").lower()
    return {"accept-new": "accept-new", "no": "no", "off": "no"}.get(word, "yes")


def proxy_jump(settings: Settings) -> str | None:
    """Return the jump hosts in front of a host, from the settings, else from ssh's configuration; None: none."""
    via = settings.proxy_jump
    if via is None and _mentions(path := config_file(settings), b"proxyjump"):
        via = read_ssh_config(path).lookup(settings.address).get("proxyjump")
    return None if via is None or via.lower() == "none" else via


def leads_elsewhere(settings: Settings) -> bool:
    """Whether ssh's configuration may say that a host is elsewhere than its settings have it, or how to get there."""
    path = config_file(settings)
    return any(_mentions(path, keyword) for keyword in _WHERE)


def config_file(settings: Settings) -> Path:
    """Return the configuration that counts for a host; it need not exist."""
    return settings.ssh_config or _usual(os.environ.get("HOME"))


@lru_cache(maxsize=4)
def _usual(home: str | None) -> Path:
    """Return the user's own configuration; said anew should `home` become another."""
    return Path("~/.ssh/config").expanduser()


@lru_cache(maxsize=16)
def read_ssh_config(path: Path) -> paramiko.SSHConfig:
    """Read an ssh configuration, once for all hosts.

    Raises:
        InputError: it cannot be read.
    """
    import paramiko

    if not path.exists():
        return paramiko.SSHConfig()
    try:
        return paramiko.SSHConfig.from_path(str(path))
    except (OSError, paramiko.ConfigParseError, UnicodeDecodeError) as error:
        raise InputError(f"ssh configuration {path}: {error}") from error


@lru_cache(maxsize=16)
def _mentions(path: Path, keyword: bytes) -> bool:
    """Whether paramiko's reader, which is slow to import, has to be asked about a keyword (in lower case)."""
    try:
        text = path.read_bytes().lower()
    except OSError:
        return False
    return keyword in text or b"include" in text
