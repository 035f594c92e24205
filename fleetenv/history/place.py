"""Where the history is kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fleetenv.errors import InputError


def default_file(environ: Mapping[str, str]) -> Path:
    """Return `$FLEETENV_HISTORY`, else `history.db` in fleetenv's state folder.

    Raises:
        InputError: there is no home to put it in.
    """
    if named := environ.get("FLEETENV_HISTORY"):
        return at_home(named)
    return state_folder(environ) / "history.db"


def state_folder(environ: Mapping[str, str]) -> Path:
    """Return fleetenv's folder of `$XDG_STATE_HOME` (`~/.local/state`); raises as [`default_file`][]."""
    state = environ.get("XDG_STATE_HOME", "")
    # a relative path is to be ignored: XDG Base Directory Specification 0.8
    folder = Path(state) if state.startswith("/") else at_home("~/.local/state")
    return folder / "fleetenv"


def at_home(path: str) -> Path:
    """Return a path with its `~` resolved.

    Raises:
        InputError: there is no such home.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(f"there is no home for {path}", hint="--history FILE says where the history is") from error
