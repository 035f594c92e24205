"""Filters on paths. Those that look at files look at the controller's."""

from __future__ import annotations

import glob
import os.path
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fleetenv.errors import InputError


def path_join(parts: Any) -> str:
    """Join the parts of a path."""
    return os.path.join(*parts) if isinstance(parts, list | tuple) else str(parts)  # noqa: PTH118  # text in, text out


def commonpath(paths: Any) -> str:
    """Return the longest path that all share."""
    if not isinstance(paths, list | tuple):
        raise InputError("commonpath needs a list of paths")
    return os.path.commonpath(paths)


def fileglob(pattern: str) -> list[str]:
    """Return the controller's files that match."""
    return [path for path in glob.glob(pattern) if Path(path).is_file()]  # noqa: PTH207  # text in, text out


def _on_text(function: Callable[..., Any]) -> Callable[..., Any]:
    def filter_(path: Any, *args: Any) -> Any:
        return function(str(path), *args)

    return filter_


FILTERS: dict[str, Callable[..., Any]] = {
    "commonpath": commonpath,
    "fileglob": fileglob,
    "path_join": path_join,
    **{
        name: _on_text(getattr(os.path, name))
        for name in ("basename", "dirname", "expanduser", "expandvars", "normpath", "realpath", "relpath", "splitext")
    },
}
