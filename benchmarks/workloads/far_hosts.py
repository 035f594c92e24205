"""W6: W1's work on hosts that are far away."""

from __future__ import annotations

from benchmarks.workloads.noop import NoOp


class FarHosts(NoOp):
    """Five directories and five templates that are as they should be, 50 ms away."""

    name = "W6"
    title = "no-op re-run of 5 directories and 5 templates, 50 ms of round-trip delay"
    sizes = (32,)
    same_work_as = "W1"
    round_trip = 0.05
