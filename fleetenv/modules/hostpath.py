"""Paths on a host, as tasks say them: absolute, or below `~/`."""

from __future__ import annotations

from fleetenv.remote import sh


def check_path(path: str) -> None:
    """Check a path on a host as a task says it.

    Raises:
        ValueError: it is not absolute, and not below `~`.
    """
    if not (path.startswith(("/", "~/")) or path == "~") or "\0" in path:
        raise ValueError(f"the path '{path}' must be absolute: /etc/x, or ~/x for the remote user's home")


def quoted(path: str) -> str:
    """Quote a path for sh; a leading `~/` stays the home folder of whoever the task runs as."""
    if path == "~" or path.startswith("~/"):
        return f'"$HOME"{sh(path[1:])}' if path[1:] else '"$HOME"'
    return sh(path)
