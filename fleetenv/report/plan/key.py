"""The controller's key, with which plans are sealed.

Digests in a plan speak of files and values that may be secret, so nobody may find out by trying what they are of: they
are keyed (HMAC-SHA256, RFC 2104). The same key shows that nobody has changed a plan since.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from fleetenv.errors import InputError
from fleetenv.history.place import state_folder

VARIABLE = "FLEETENV_PLAN_KEY"
_BYTES = 32


class Key:
    """Makes seals. `name` tells keys apart and says nothing of what they are."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self.name = self.seal(b"name")[:16]

    def seal(self, data: bytes) -> str:
        """Return the keyed digest of some bytes, as hex."""
        return hmac.new(self._secret, data, hashlib.sha256).hexdigest()


def key_file(environ: Mapping[str, str]) -> Path:
    """Return the file that `$FLEETENV_PLAN_KEY` names, else `plan.key` in fleetenv's state folder."""
    named = environ.get(VARIABLE)
    return Path(named).expanduser() if named else state_folder(environ) / "plan.key"


def read_key(file: Path) -> Key:
    """Read the key; the first time, make one that only the user can read.

    Raises:
        InputError: it cannot be read or written, or is too short to be one.
    """
    try:
        if not file.exists():
            _make(file)
        secret = file.read_bytes().strip()
    except OSError as error:
        raise InputError(f"cannot read the key of plans, {file}: {error.strerror}") from error
    if len(secret) < _BYTES:
        raise InputError(f"{file} is too short for a key of plans", hint=f"'openssl rand -hex {_BYTES}' makes one")
    return Key(secret)


def _make(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = file.with_name(f".{file.name}-{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(secrets.token_hex(_BYTES) + "\n")
    try:
        os.link(draft, file)  # of two runs that make one the first wins
    except FileExistsError:
        pass
    finally:
        draft.unlink()
