"""How a host fared in a run, from how its tasks ended: the numbers of apply's recap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import groupby

from fleetenv.events import Status
from fleetenv.history.outcome import Standing, StoredResult

_WORST = (Status.FAILED, Status.RESCUED, Status.IGNORED, Status.CHANGED, Status.OK, Status.SKIPPED)


def count(results: Iterable[StoredResult]) -> Counter[Status]:
    """Return how many tasks ended how; the items of one loop count as one task, with the worst of them."""
    counts: Counter[Status] = Counter()
    for (_, loop), each in groupby(results, key=lambda each: (each.task, each.item is not None)):
        statuses = [result.status for result in each]
        counts.update([min(statuses, key=_rank)] if loop else statuses)
    return counts


def standing(counts: Counter[Status], lost: str | None) -> Standing:
    """Return how a host fared, in a word."""
    if lost is not None or counts[Status.UNREACHABLE]:
        return Standing.LOST
    if counts[Status.FAILED]:
        return Standing.FAILED
    return Standing.CHANGED if counts[Status.CHANGED] else Standing.SAME


def _rank(status: Status) -> int:
    return _WORST.index(status) if status in _WORST else -1
