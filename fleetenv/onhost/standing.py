"""The generation that a rollback has left behind, to be switched to again when it is what is asked for."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from .generations import STAMP
from .report import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .generations import Generations
    from .request import Request


def standing(request: Request, generations: Generations) -> tuple[Path, list[str]] | None:
    """Return the newest generation after the current one that has what is asked for, unchanged and working.

    One before the current one is not taken, so that a rollback always leads to what was there before.

    Returns:
        The generation, and what is worth telling; None: there is none such.
    """
    for path in left_behind(request, generations):
        if _is_unchanged(path):
            from .filling import check  # as in ahead

            with suppress(Failure, OSError):
                return path, check(request, path)
    return None


def left_behind(request: Request, generations: Generations) -> Iterator[Path]:
    """Yield the finished generations after the current one that have what is asked for, as far as names tell."""
    present = generations.current()
    if present is None or present.name.endswith(f"-{request.digest}"):
        return
    for _, path in reversed([each for each in generations.numbered() if each[1].name > present.name]):
        if path.name.endswith(f"-{request.digest}") and (path / STAMP).is_file():
            yield path


def _is_unchanged(generation: Path) -> bool:
    """Whether nothing in it is newer than its mark, as conda_env sees it: byte-code does not count."""
    finished = (generation / STAMP).stat().st_mtime_ns
    meta = str(generation / "conda-meta")  # got its mark last
    for folder, folders, files in os.walk(generation):
        folders[:] = [name for name in folders if name != "__pycache__"]
        paths = [os.path.join(folder, name) for name in files]  # noqa: PTH118  # thousands of files
        if any(os.lstat(path).st_mtime_ns > finished for path in ([] if folder == meta else [folder]) + paths):
            return False
    return True
