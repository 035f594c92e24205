"""W1: a re-run that has nothing to do."""

from __future__ import annotations

from typing import ClassVar

from benchmarks.site import Site
from benchmarks.workload import Workload, copy_work, files
from fleetenv.lab.namespace_host import NamespaceHost


class NoOp(Workload):
    """Five directories and five templates that are as they should be."""

    name = "W1"
    title = "no-op re-run of 5 directories and 5 templates"
    sizes: ClassVar[tuple[int, ...]] = (1, 8, 32, 100)
    plays = dict.fromkeys(("fleetenv", "ansible", "mitogen"), "site.yml") | {"pyinfra": "deploy.py"}

    def prepare(self, site: Site) -> None:
        """The same playbook for all that read playbooks, and a deploy for pyinfra."""
        copy_work("files", site.folder)

    def clean(self, site: Site) -> None:
        """Remove the five directories and what is in them."""
        site.on_hosts("rm -rf /srv/app")

    def snapshot(self, host: NamespaceHost) -> str:
        """Directories, files, and their modes."""
        return files(host, "/srv/app")
