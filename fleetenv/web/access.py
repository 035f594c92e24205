"""Who may look: a token on every address but loopback, and only names of this machine there.

A browser exchanges the token for a cookie on the login page; programs send it as `Authorization: Bearer`. The token
itself is in no URL and in no cookie: a session is its expiry, signed with the token, so the server keeps none.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets
import time
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

from fleetenv.errors import InputError

COOKIE = "fleetenv"
SESSION_SECONDS = 12 * 3600
MIN_TOKEN = 16
"""Characters that a token of the user's own must have."""

_MAX_TOKEN = 1024
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*", re.ASCII)  # of this server: neither //elsewhere nor /\elsewhere


class Token:
    """What opens the dashboard. It is compared in constant time, and never shown again."""

    def __init__(self, text: str) -> None:
        self._key = hashlib.sha256(text.encode()).digest()

    def is_right(self, text: str) -> bool:
        """Whether somebody who sends this may look."""
        return hmac.compare_digest(hashlib.sha256(text.encode("utf-8", "replace")).digest(), self._key)

    def session(self, now: float | None = None) -> str:
        """Return the value of a cookie that is good for [`SESSION_SECONDS`][]."""
        expiry = str(int((time.time() if now is None else now) + SESSION_SECONDS))
        return f"{expiry}.{self._signature(expiry)}"

    def is_session(self, value: str, now: float | None = None) -> bool:
        """Whether a cookie's value was given out with this token, and has not expired."""
        expiry, _, signature = value.partition(".")
        if not hmac.compare_digest(signature.encode("utf-8", "replace"), self._signature(expiry).encode()):
            return False
        return (time.time() if now is None else now) < int(expiry)

    def _signature(self, expiry: str) -> str:
        return hmac.new(self._key, b"session " + expiry.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def new_token() -> str:
    """Return a token that nobody guesses."""
    return secrets.token_urlsafe(24)


def read_token(file: Path) -> str:
    """Read a token from a file of the user's.

    Raises:
        InputError: it cannot be read, or is too short to be safe.
    """
    try:
        token = file.expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InputError(f"cannot read the token in {file}: {reason}") from error
    if not MIN_TOKEN <= len(token) <= _MAX_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise InputError(
            f"the token in {file} must be one word of {MIN_TOKEN} to {_MAX_TOKEN} ASCII characters",
            hint=f"make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(24))' > {file}",
        )
    return token


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach an address; a name is none."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def is_local_name(host_header: str) -> bool:
    """Whether a `Host:` header names this machine itself.

    A page of a stranger's whose name was made to resolve to 127.0.0.1 (DNS rebinding) comes with another.
    """
    name = host_header.rpartition(":")[0] if re.search(r":[0-9]+\Z", host_header) else host_header
    return name.lower() in _LOOPBACK_NAMES or (not name.startswith("[") and ":" not in name and is_loopback(name))


def bearer(authorization: str) -> str | None:
    """Return the token of an `Authorization:` header, if it is one of the kind."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" and len(token) <= _MAX_TOKEN else None


def session_cookie(header: str) -> str | None:
    """Return our cookie's value out of a `Cookie:` header."""
    try:
        morsel = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel else None


def local_path(path: str) -> str:
    """Return where to go after the login: a path of this server, or its first page for anything else."""
    return path if _PATH.fullmatch(path) else "/"
