"""What a workload is: work that all tools do on the same hosts, and how it is seen that it was the same."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from benchmarks.site import Site
from benchmarks.tools import Tool
from fleetenv.lab.namespace_host import NamespaceHost


class Workload(ABC):
    """One piece of work, written once for each tool.

    A case is a workload at one number of hosts. It goes like this; only `site.timed` is timed:

        workload.prepare(site)                  # on two hosts
        for tool in tools:                      # verification: all leave the same state, and then change nothing
            workload.clean(site)
            workload.before(site, tool)         # where a run changes something
            site.run(tool)
            workload.snapshot(host)             # of every host
            site.run(tool)
        workload.prepare(site)                  # on all hosts, new ones
        for round, for tool in tools:           # interleaved
            workload.before(site, tool); site.timed(tool)
    """

    name: ClassVar[str]
    """As in `python -m benchmarks W1`."""
    title: ClassVar[str]
    """As in the report: 'no-op re-run of 5 directories and 5 templates'."""
    sizes: ClassVar[tuple[int, ...]]
    """Numbers of hosts."""
    plays: ClassVar[dict[str, str]]
    """What each tool (fleetenv, pyinfra, ansible, mitogen) is given, relative to `site.folder`."""
    same_work_as: ClassVar[str] = ""
    """The name of another workload with the same plays, which is verified once for both."""
    changes: ClassVar[bool] = False
    """Whether a timed run has something to change on every host; otherwise it must report no change at all."""
    round_trip: ClassVar[float] = 0.0
    """Seconds of network delay there and back."""
    size: ClassVar[str] = "256m"
    """How much each host may write, in memory, as tmpfs takes it."""

    @abstractmethod
    def prepare(self, site: Site) -> None:
        """Write the work of all tools into `site.folder`; called once for each site, not timed."""

    @abstractmethod
    def clean(self, site: Site) -> None:
        """Remove from the hosts all that any tool's run leaves there; not timed."""

    def before(self, site: Site, tool: Tool) -> None:
        """Bring the hosts to where a tool's timed run begins; called before each run, not timed.

        By default nothing where a run changes nothing, else [`clean`][].
        """
        if self.changes:
            self.clean(site)

    @abstractmethod
    def snapshot(self, host: NamespaceHost) -> str:
        """Return what a run leaves on a host, as text that is equal for all tools. See [`files`][]."""


def files(host: NamespaceHost, *paths: str) -> str:
    """Return all below some paths of a host: type, mode, owner, target of links, sha256 of contents; sorted by path."""
    listing = host.must_run(f"find {' '.join(paths)} -printf '%p %y %#m %U:%G %l\\n' | LC_ALL=C sort")
    sums = host.must_run(f"find {' '.join(paths)} -type f -exec sha256sum {{}} + | LC_ALL=C sort -k 2")
    return listing + sums


def copy_work(name: str, folder: Path) -> None:
    """Copy `benchmarks/work/NAME`, a folder of playbooks and deploys, into a site's folder."""
    import shutil

    shutil.copytree(Path(__file__).parent / "work" / name, folder, dirs_exist_ok=True)
