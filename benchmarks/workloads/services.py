"""W5: a long playbook that has nothing to do."""

from __future__ import annotations

from benchmarks.site import Site
from benchmarks.workload import Workload, copy_work, files
from fleetenv.lab.namespace_host import NamespaceHost


class Services(Workload):
    """A server and its five services, in 60 tasks, all as they should be."""

    name = "W5"
    title = "no-op re-run of 60 tasks with loops, conditions, registered results and handlers"
    sizes = (32,)
    plays = dict.fromkeys(("fleetenv", "ansible", "mitogen"), "site.yml") | {"pyinfra": "deploy.py"}

    def prepare(self, site: Site) -> None:
        """The same playbook for all that read playbooks, and a deploy for pyinfra."""
        copy_work("services", site.folder)

    def clean(self, site: Site) -> None:
        """Remove the server's folder and those of its services."""
        site.on_hosts("rm -rf /srv/*")

    def snapshot(self, host: NamespaceHost) -> str:
        """Directories, files, links, and modes."""
        return files(host, "/srv")
