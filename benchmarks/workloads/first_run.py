"""W2: the first run of W1's work."""

from __future__ import annotations

from benchmarks.workloads.noop import NoOp


class FirstRun(NoOp):
    """Five directories and five templates that are not there yet."""

    name = "W2"
    title = "first run of 5 directories and 5 templates"
    sizes = (32,)
    same_work_as = "W1"
    changes = True
