"""Earlier runs, as far as a report shows them: how many findings there were."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from fleetenv.drift.finding import Against, Finding
from fleetenv.severity import Severity


class Past(Struct, frozen=True):
    """One run: when it was, and its findings that were not waived, by severity; `lost` hosts could not be looked at."""

    taken: datetime
    errors: int
    warnings: int
    notes: int = 0
    lost: int = 0


def past(taken: datetime, findings: Iterable[Finding]) -> Past:
    """Count the findings of a run."""
    counted = [each for each in findings if each.waiver is None]
    severities = [each.severity for each in counted]
    return Past(
        taken,
        severities.count(Severity.ERROR),
        severities.count(Severity.WARNING),
        severities.count(Severity.NOTE),
        len({each.host for each in counted if each.against is Against.REACH}),
    )
