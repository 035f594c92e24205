"""The workloads, in the order in which they are run and reported."""

from benchmarks.workload import Workload
from benchmarks.workloads.noop import NoOp

WORKLOADS: tuple[Workload, ...] = (NoOp(),)
