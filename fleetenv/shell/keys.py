"""The user's private keys: loaded once for all hosts, passphrases asked for once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import asyncssh

from fleetenv.errors import InputError

AskPassphrase = Callable[[Path], str | None]
"""Given a key's file, return its passphrase, or None when nobody can be asked."""

PrivateKey: TypeAlias = asyncssh.SSHKey | tuple[asyncssh.SSHKey, asyncssh.SSHCertificate]
"""A key, with its certificate if there is one beside it."""

_DEFAULTS = ("id_ed25519_sk", "id_ecdsa_sk", "id_ed25519", "id_ecdsa", "id_rsa")


class KeyRing:
    """Private keys, each read and decrypted once, however many hosts they open."""

    def __init__(self, ask: AskPassphrase | None = None) -> None:
        self._ask = ask
        self._keys: dict[Path, PrivateKey | None] = {}
        self._passphrases: dict[Path, str] = {}

    def default_keys(self) -> list[PrivateKey]:
        """Return the keys in ssh's usual places. Encrypted ones are left out: they are the agent's business."""
        folder = Path("~/.ssh").expanduser()
        found = (self._load(folder / name, ask=False) for name in _DEFAULTS)
        return [key for key in found if key]

    def unlocked(self, path: Path) -> PrivateKey | None:
        """Return the key of a file, or None when it needs a passphrase: the agent will have it."""
        return self._load(path, ask=False)

    def key(self, path: Path) -> PrivateKey:
        """Return the key of a file that was named; the user is asked for its passphrase if need be.

        Raises:
            InputError: it cannot be read, it is no private key, or its passphrase is missing or wrong.
        """
        key = self._load(path, ask=True)
        if not key:
            raise InputError(f"the private key {path} needs a passphrase", hint=f"'ssh-add {path}', or use a terminal")
        return key

    def passphrase(self, path: Path) -> str | None:
        """Return the passphrase that opened a key, if it needed one."""
        return self._passphrases.get(path)

    def _load(self, path: Path, *, ask: bool) -> PrivateKey | None:
        if self._keys.get(path) or (path in self._keys and not ask):
            return self._keys[path]
        if not ask and not path.exists():
            self._keys[path] = None
            return None
        try:
            self._keys[path] = _read(path, None)
        except asyncssh.KeyEncryptionError as error:
            raise InputError(f"cannot read the private key {path}: {error}") from error
        except asyncssh.KeyImportError as error:
            if "passphrase" not in str(error).lower():
                if ask:
                    raise InputError(f"cannot read the private key {path}: {error}") from error
                self._keys[path] = None
            else:
                self._keys[path] = self._decrypt(path) if ask else None
        except OSError as error:
            if ask:
                raise InputError(f"cannot read the private key {path}: {error.strerror}") from error
            self._keys[path] = None
        return self._keys[path]

    def _decrypt(self, path: Path) -> PrivateKey | None:
        passphrase = self._ask(path) if self._ask else None
        if passphrase is None:
            return None
        try:
            key = _read(path, passphrase)
        except (asyncssh.KeyEncryptionError, asyncssh.KeyImportError) as error:
            raise InputError(f"the passphrase of {path} is wrong") from error
        self._passphrases[path] = passphrase
        return key


def _read(path: Path, passphrase: str | None) -> PrivateKey:
    key = asyncssh.read_private_key(path, passphrase)
    certificate = path.with_name(f"{path.name}-cert.pub")
    return (key, asyncssh.read_certificate(certificate)) if certificate.exists() else key
