"""Wheels that a host has downloaded, kept for its next generations: `PREFIX/pkgs/.fleetenv-wheels/SHA256-NAME.whl`.

pip's own cache holds only what pip has downloaded.
"""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .wheels import Wheel

_FOLDER = ".fleetenv-wheels"
_KEPT = 90 * 24 * 3600.0  # seconds that a wheel stays without being wanted
_KEPT_WHEEL = re.compile(r"[0-9a-f]{64}-(?P<name>(?P<distribution>[^-]+-[^-]+)-.*\.whl)")


@dataclass(frozen=True)
class WheelCache:
    """The wheels beside conda's package cache."""

    packages: Path  # conda's package cache

    def lend(self, wheel: Wheel, place: Path) -> None:
        """Put a wheel into another place, if it is here; whoever gets it looks at its hash."""
        path = self._path(wheel)
        with suppress(OSError):
            place.hardlink_to(path)
            os.utime(path)

    def keep(self, wheel: Wheel, path: Path) -> None:
        """Keep a wheel; a mere convenience: failures do not count."""
        with suppress(OSError):
            kept = self._path(wheel)
            kept.parent.mkdir(exist_ok=True)
            if not kept.exists() or not kept.samefile(path):
                kept.unlink(missing_ok=True)
                kept.hardlink_to(path)

    def forget(self) -> None:
        """Remove what was not wanted in a long time."""
        oldest = time.time() - _KEPT
        for path, _, _ in self.kept():
            with suppress(OSError):
                if path.stat().st_mtime < oldest:
                    path.unlink()

    def kept(self) -> Iterator[tuple[Path, str, str]]:
        """Yield each file, its wheel's name, and the wheel's `NAME-VERSION`, as a `.dist-info` folder has it."""
        folder = self.packages / _FOLDER
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if match := _KEPT_WHEEL.fullmatch(path.name):
                yield path, match["name"], match["distribution"]

    def _path(self, wheel: Wheel) -> Path:
        return self.packages / _FOLDER / f"{wheel.sha256}-{wheel.file_name}"
