"""The workloads, in the order in which they are run and reported."""

from benchmarks.workload import Workload
from benchmarks.workloads.far_hosts import FarHosts
from benchmarks.workloads.first_run import FirstRun
from benchmarks.workloads.main_job import AddedPackage, MainJob, MainJobAgain, MainJobByLargeIndex, MainJobByPaths
from benchmarks.workloads.noop import NoOp
from benchmarks.workloads.services import Services

WORKLOADS: tuple[Workload, ...] = (
    NoOp(),
    FirstRun(),
    MainJob(),
    MainJobByLargeIndex(),
    MainJobAgain(),
    MainJobByPaths(),
    AddedPackage(),
    Services(),
    FarHosts(),
)
