"""Files that come from the controller: where they arrive, and how a build says that it lacks some.

See [`fleetenv.remote.Run`][]: the controller offers files below a URL, or puts those into a folder that it is told of.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .report import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable

FOLDER = ".fleetenv-partial"
"""Below conda's package cache: files that have come, or of which a part has, under their sha256."""

UNREACHABLE = 69  # fleetenv.remote.WANTS_FILES


class Wanted(Failure):
    """The controller cannot be reached from here: it has to send these files, by their sha256."""

    status = UNREACHABLE

    def __init__(self, hashes: Iterable[str]) -> None:
        self.hashes = sorted(set(hashes))
        self.lines = "".join(f"fleetenv-wants {sha256}\n" for sha256 in self.hashes)
        super().__init__(f"{len(self.hashes)} files have to come from the controller")


def offered(via: str) -> str | None:
    """Return the URL below which the controller has files; empty: it has to send them; None: they come from elsewhere.

    It is taken out of the environment: programs that are started from here need not know it.

    Args:
        via: `host` or `controller`, as the request says.
    """
    url = os.environ.pop("FLEETENV_FILES", "")
    return url if via == "controller" else None
