"""Error counters of GPUs: what they stand at, and how they grew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from fleetenv.history.model import HostSnapshot
from fleetenv.web.contents import Device, gpus_of
from fleetenv.web.plot import Plot, plot

_COUNTERS = {
    "uncorrected": "uncorrected ECC errors",
    "retired_pages": "retired pages",
    "remapped_rows": "remapped rows",
}


def counters(devices: Sequence[Device]) -> dict[str, float]:
    """Return the error counters of some GPUs that are not 0, summed over them."""
    total: Counter[str] = Counter()
    for device in devices:
        for key, name in _COUNTERS.items():
            value = device.values.get(key)
            if isinstance(value, int | float) and value:
                total[name] += int(value)
    return dict(total)


def counter_plots(
    title: str, looks: Sequence[HostSnapshot], names: Iterable[str], until: datetime, *, gpu: str | None = None
) -> Iterator[Plot]:
    """Draw counters of one host over time, of all its GPUs or of one.

    Args:
        title: what the plots are called, before the counter's name.
        looks: the host's snapshots, the oldest first.
        names: of the counters, as [`counters`][] has them.
        until: when it was looked at last, though nothing had changed.
        gpu: the index of the one GPU.
    """
    totals = [
        (each.taken, counters([device for device in gpus_of(each.snapshot).devices if gpu in (None, device.index)]))
        for each in looks
    ]
    for name in names:
        points = [(taken, total.get(name, 0.0)) for taken, total in totals]
        drawn = plot(f"{title}: {name}", points, until, steps=True)
        if drawn:
            yield drawn
