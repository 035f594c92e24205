"""Which host keys are trusted: OpenSSH's `known_hosts` files, read once for all hosts, and safely added to."""

from __future__ import annotations

import fcntl
from collections.abc import Sequence
from pathlib import Path

import asyncssh
from msgspec import Struct

from fleetenv.errors import InputError, Unreachable

SYSTEM_FILES = (Path("/etc/ssh/ssh_known_hosts"), Path("/etc/ssh/ssh_known_hosts2"))


def user_file() -> Path:
    """Return the file that new keys are added to by default."""
    return Path("~/.ssh/known_hosts").expanduser()


class KnownHosts:
    """The trusted keys of some files. The first file is the one that new keys are added to."""

    def __init__(self, files: Sequence[Path] = ()) -> None:
        self.files = tuple(files) or (user_file(),)
        self._all_files = (*self.files, *SYSTEM_FILES)
        self._parsed = _read(self._all_files)

    @property
    def keys(self) -> asyncssh.SSHKnownHosts:
        """All keys that are known."""
        return self._parsed.keys

    def has_key_of(self, host: str, address: str, port: int) -> bool:
        """Whether any key is known for a host: if so, another one is a changed key, not a new one."""
        names = (name for name in (host, address) if name)
        # asked for by its whole name: a key of the same host's other port is no key of this one
        return any(self._parsed.keys.match(name if port == 22 else f"[{name}]:{port}", "", None)[0] for name in names)

    def add(self, host: str, port: int, key: str) -> None:
        """Add a host's key (`TYPE BASE64`). Safe when many do it at once, from several processes, too.

        Raises:
            Unreachable: another process has just added another key for this host, or the file cannot be written.
        """
        name = host if port == 22 else f"[{host}]:{port}"
        path = self.files[0]
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with path.open("a+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                file.seek(0)
                text = file.read()
                known = [
                    line.split()[1:3] for line in text.decode("utf-8", "replace").splitlines() if _names(line, name)
                ]
                if known and key.split()[:2] not in known:
                    raise Unreachable(f"another key for {name} was added to {path} meanwhile; is this the right host?")
                if not known:
                    file.write((b"" if text.endswith(b"\n") or not text else b"\n") + f"{name} {key}\n".encode())
        except OSError as error:
            raise Unreachable(f"cannot add the new host key to {path}: {error.strerror}") from error

    def untrusted(self, host: str, address: str, port: int, key: str, fingerprint: str) -> str:
        """Return one line about a key that is not trusted, and how to mend it."""
        kind = key.split()[0]
        if self.has_key_of(host, address, port):
            return self.changed(host, port, key, fingerprint)
        scan = f"ssh-keyscan -p {port} {host}" if port != 22 else f"ssh-keyscan {host}"
        return (
            f"its host key is not known ({kind} {fingerprint}); compare and add it: '{scan} >> {self.files[0]}', "
            "or set ansible_host_key_checking to accept-new"
        )

    def changed(self, host: str, port: int, key: str, fingerprint: str) -> str:
        """Return one line about a key that is not the one that was known."""
        name = host if port == 22 else f"[{host}]:{port}"
        return (
            f"its host key has CHANGED (now {key.split()[0]} {fingerprint}): somebody may be listening in, or the host "
            f"was installed anew; if so, 'ssh-keygen -f {self.files[0]} -R {name}' removes the old key"
        )


def _names(line: str, name: str) -> bool:
    return not line.startswith("#") and name in line.split(" ", 1)[0].split(",")


class _Parsed(Struct):
    """Some files as they were when they were read last."""

    versions: tuple[tuple[int, int], ...]
    texts: tuple[str, ...]
    keys: asyncssh.SSHKnownHosts


_parsed: dict[tuple[Path, ...], _Parsed] = {}


def _read(files: tuple[Path, ...]) -> _Parsed:
    """Parse the files, once for all hosts as long as they do not change; of one that only grew, what is new."""
    versions = tuple(map(_version, files))
    parsed = _parsed.get(files)
    if parsed and parsed.versions == versions:
        return parsed
    texts = tuple(_text(path) if size > 0 else "" for path, (_, size) in zip(files, versions, strict=True))
    if not parsed or not all(map(_continues, texts, parsed.texts)):
        parsed = _parsed[files] = _Parsed(versions, ("",) * len(files), asyncssh.SSHKnownHosts())
    for path, text, before in zip(files, texts, parsed.texts, strict=True):
        try:
            parsed.keys.load(text[len(before) :])
        except ValueError as error:
            del _parsed[files]
            raise InputError(f"cannot read {path}: {error}") from error
    parsed.versions, parsed.texts = versions, texts
    return parsed


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def _continues(text: str, before: str) -> bool:
    return text.startswith(before) and (not before or before.endswith("\n"))


def _version(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:
        return 0, -1
    return stat.st_mtime_ns, stat.st_size
