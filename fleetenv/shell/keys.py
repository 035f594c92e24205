"""The user's private keys: loaded once for all hosts, passphrases asked for once.

asyncssh is imported when the first key is read: reading a playbook must not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from fleetenv.errors import InputError

if TYPE_CHECKING:
    import asyncssh

AskPassphrase = Callable[[Path], str | None]
"""Given a key's file, return its passphrase, or None when nobody can be asked."""

PrivateKey: TypeAlias = "asyncssh.SSHKey | tuple[asyncssh.SSHKey, asyncssh.SSHCertificate]"
"""A key, with its certificate if there is one beside it."""

_DEFAULTS = ("id_ed25519_sk", "id_ecdsa_sk", "id_ed25519", "id_ecdsa", "id_rsa")


class KeyRing:
    """Private keys, each read and decrypted once, however many hosts they open."""

    def __init__(self, ask: AskPassphrase | None = None) -> None:
        self._ask = ask
        self._keys: dict[Path, PrivateKey | None] = {}
        self._left_to_agent: dict[Path, bool] = {}
        self._passphrases: dict[Path, str] = {}

    async def keys(
        self, named: Path | None, configured: Sequence[Path], agent: str | None, *, usual: bool
    ) -> list[PrivateKey]:
        """Return the keys to log in with, apart from the agent's.

        A key that needs a passphrase is left to the agent if that has it; else the user is asked, once for all hosts.

        Args:
            named: the key that the user chose.
            configured: keys that ssh's configuration names; those that do not exist are passed over.
            agent: the agent's socket.
            usual: whether keys in ssh's usual places count, even though others are named.

        Raises:
            InputError: a key cannot be read, is no private key, or its passphrase is missing or wrong.
        """
        paths = [*([named] if named else []), *(path for path in configured if path.exists())]
        keys = [await self._open(path, agent) for path in paths]
        if usual or not paths:
            keys += self._usual(ask=not keys and not agent)
        return [key for key in keys if key]

    def key(self, path: Path) -> PrivateKey:
        """Return the key of a file; the user is asked for its passphrase if need be.

        Raises:
            InputError: it cannot be read, it is no private key, or its passphrase is missing or wrong.
        """
        key = self._load(path, ask=True)
        if not key:
            raise InputError(f"the private key {path} needs a passphrase", hint=f"'ssh-add {path}', or use a terminal")
        return key

    async def _open(self, path: Path, agent: str | None) -> PrivateKey | None:
        if agent and self._is_locked(path):
            if path not in self._left_to_agent:
                self._left_to_agent[path] = await _agent_has(agent, path)
            if self._left_to_agent[path]:
                return None
        return self.key(path)

    def _is_locked(self, path: Path) -> bool:
        return path.exists() and not self._load(path, ask=False)

    def _usual(self, *, ask: bool) -> list[PrivateKey]:
        paths = [Path("~/.ssh").expanduser() / name for name in _DEFAULTS]
        keys = [key for path in paths if (key := self._load(path, ask=False))]
        locked = next((path for path in paths if path.exists()), None)
        return [self.key(locked)] if locked and ask and self._ask and not keys else keys

    def passphrase(self, path: Path) -> str | None:
        """Return the passphrase that opened a key, if it needed one."""
        return self._passphrases.get(path)

    def _load(self, path: Path, *, ask: bool) -> PrivateKey | None:
        import asyncssh

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
        import asyncssh

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
    import asyncssh

    key = asyncssh.read_private_key(path, passphrase)
    certificate = path.with_name(f"{path.name}-cert.pub")
    return (key, asyncssh.read_certificate(certificate)) if certificate.exists() else key


async def _agent_has(agent: str, path: Path) -> bool:
    """Whether the agent has the key of a file, as far as its public half lies beside it."""
    import asyncssh

    try:
        public = asyncssh.read_public_key(path.with_name(f"{path.name}.pub"))
        async with asyncssh.connect_agent(agent) as client:
            return any(key.public_data == public.public_data for key in await client.get_keys())
    except (OSError, ValueError, asyncssh.KeyImportError):
        return False
