"""Where the history is kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def default_file(environ: Mapping[str, str]) -> Path:
    """Return `$FLEETENV_HISTORY`, else `history.db` in fleetenv's folder of `$XDG_STATE_HOME` (`~/.local/state`)."""
    if named := environ.get("FLEETENV_HISTORY"):
        return Path(named).expanduser()
    state = environ.get("XDG_STATE_HOME", "")
    # a relative path is to be ignored: XDG Base Directory Specification 0.8
    folder = Path(state) if state.startswith("/") else Path.home() / ".local" / "state"
    return folder / "fleetenv" / "history.db"
