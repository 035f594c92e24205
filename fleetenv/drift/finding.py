"""One thing, on one host, that somebody should look at: what every report, the history and the dashboard show."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from msgspec import Struct

from fleetenv.severity import Severity


class Against(StrEnum):
    """What a host was compared with when a finding was made."""

    PLAYBOOK = "playbook"  # apply would change it, or cannot
    FLEET = "fleet"  # most hosts of its group have another value
    TIME = "time"  # it was otherwise before
    CARE = "care"  # what no playbook speaks of and nobody should do: packages in base, files changed by hand
    REACH = "reach"  # the host could not be looked at, or not to the end


class Waiver(Struct, frozen=True, kw_only=True):
    """Why a finding is let pass, and until when (the last day on which it is)."""

    reason: str
    until: date


class Finding(Struct, frozen=True, kw_only=True):
    """One finding. Texts may come from the host: escape them wherever they are shown.

    `code`, `host` and `subject` together are its identity: a finding of another day with the same three is the same
    one, whatever its text says. `code` is stable and documented in docs/findings.md.
    """

    code: str
    host: str
    subject: str  # what it is about: a task and its loop item, `nlp_train: numpy`, `GPU 3`, `/opt/miniconda3`
    against: Against
    severity: Severity
    text: str  # what is wrong, with the values
    advice: str  # what mends it: the command to run, where there is one
    item: int | None = None  # the playbook's item, by number
    first_seen: datetime | None = None  # None: not known, nothing was recorded
    waiver: Waiver | None = None
    simulated: bool = False

    @property
    def identity(self) -> tuple[str, str, str]:
        """What makes it the same finding as one of another day."""
        return self.host, self.code, self.subject

    @property
    def is_drift(self) -> bool:
        """Whether it counts: notes and what is waived do not."""
        return self.waiver is None and self.severity is not Severity.NOTE
