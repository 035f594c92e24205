"""How bad something is that was found: one scale for GPUs, drift and specs."""

from __future__ import annotations

from enum import StrEnum


class Severity(StrEnum):
    """The worst comes first."""

    ERROR = "error"  # it does not work, or works wrongly
    WARNING = "warning"  # it works, and somebody should look
    NOTE = "note"  # worth knowing

    @property
    def rank(self) -> int:
        """Its place, 0 for the worst."""
        return list(Severity).index(self)
