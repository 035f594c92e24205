"""Who works at this controller: what a host that is locked tells whoever has to wait."""

from __future__ import annotations

import getpass
import socket
from functools import cache


@cache
def whoami() -> str:
    """Return `user@controller`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # an account without a name
        user = "somebody"
    return f"{user}@{socket.gethostname()}"
