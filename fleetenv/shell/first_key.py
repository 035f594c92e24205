"""Logging in with the first key at once, signed, as paramiko does: two round trips less than by asking around.

asyncssh begins with the method `none`, to be told what the host accepts, and then asks about a key before it signs.
Here a key takes the place of `none`. If the host refuses it, asyncssh goes on in its own way, with the other keys.
"""

from __future__ import annotations

from typing import Protocol, cast

import asyncssh
from asyncssh import auth
from asyncssh.packet import Boolean, String

_AT_ONCE = ("ssh-ed25519", "ssh-ed448", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")
"""Keys with one kind of signature, which need nobody to touch a token."""


class KeyHolder(Protocol):
    """What a connection's extra information `key_holder` has to be."""

    def first_key(self) -> asyncssh.SSHKey | None:
        """Give the key to begin with, once; None: ask the host what it accepts."""


class _FirstKey(auth.ClientAuth):
    async def _start(self) -> None:
        holder = cast(KeyHolder | None, self._conn.get_extra_info("key_holder"))
        key = holder.first_key() if holder else None
        if key is None:
            await self.send_request()
            return
        (pair,) = asyncssh.load_keypairs([key])
        await self._conn.send_userauth_request(
            b"publickey", Boolean(True), String(pair.algorithm), String(pair.public_data), key=pair, trivial=False
        )


def signs_at_once(key: object) -> bool:
    """Whether a key is one to begin with."""
    return isinstance(key, asyncssh.SSHKey) and key.get_algorithm() in _AT_ONCE


# asyncssh has no public way to say it; should it lose this one, logging in takes two round trips more.
_handlers = getattr(auth, "_client_auth_handlers", None)
if isinstance(_handlers, dict):
    _handlers[b"none"] = _FirstKey
