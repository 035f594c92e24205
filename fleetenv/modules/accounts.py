"""What is said of users and groups alike."""

from __future__ import annotations

import re


def check_name(name: str) -> None:
    """Check the name of a user or group.

    Raises:
        ValueError: no system would take it.
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?", name):
        raise ValueError(f"'{name}' cannot be the name of a user or group")
