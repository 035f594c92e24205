"""W3 and W4: the main job: Miniconda from a file, its .condarc, two environments from specs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import yaml

from benchmarks import peers
from benchmarks.conda import index, packages
from benchmarks.serving import serve
from benchmarks.site import Site
from benchmarks.tools import ROOT, Tool
from benchmarks.workload import Workload, copy_work
from fleetenv.lab.namespace_host import NamespaceHost

_PREFIX = "/opt/miniconda3"
_ASIDE = "/opt/aside"  # what the tools that had their turn have made
_INDEX = peers.FOLDER.parent / "main-job-index"
_COMMON = ("python", "pip", "numpy")
_SPECS = {"nlp": (*_COMMON, "matplotlib", "fleet-text =1.0"), "vision": (*_COMMON, "pillow", "fleet-data =1.2")}
_ADDED = {**_SPECS, "nlp": (*_SPECS["nlp"], "fleet-libc")}
_PACK = """
from platform import machine
from fleetenv.conda.builder import runtime
for zstd in (False, True):
    runtime(machine(), zstd=zstd)
"""


class MainJob(Workload):
    """Miniconda and two environments on hosts that have neither.

    Locks are made beforehand, as they are committed with their specs, and so is what fleetenv packs once on a
    controller: py-rattler for the hosts.
    """

    name = "W3"
    title = "main job, first run: Miniconda, .condarc, two environments"
    sizes: ClassVar[tuple[int, ...]] = (8,)
    plays: ClassVar[dict[str, str]] = {
        "fleetenv": "site.yml",
        "pyinfra": "deploy.py",
        "ansible": "ansible.yml",
        "mitogen": "ansible.yml",
    }
    changes = True
    size = "3g"
    only_paths: ClassVar[bool] = False
    """Whether the peers only look whether environments' folders are there; else they ask conda what is in them.

    fleetenv compares every package, and the times of all files, in either case.
    """
    records: ClassVar[int] = 0
    """How many the channel's index has, most of them simulated; 0: only those of its packages."""

    def prepare(self, site: Site) -> None:
        """Serve the channel to the hosts; write specs, their locks and all tools' plays."""
        copy_work("main_job", site.folder)
        channel = packages.channel()
        installer = packages.installer(channel)
        (site.folder / "files").mkdir()
        (site.folder / "files/miniconda.sh").symlink_to(installer.path)
        path = index.build(channel.path, self.records, _INDEX) if self.records else channel.path
        url = f"{serve(path.parent, site.fleet.gateway, hidden='shards')}/{path.name}"
        (site.folder / "job.yml").write_text(
            json.dumps({"sha256": installer.sha256, "channel": url, "only_paths": self.only_paths})
        )
        for folder, specs in (("before", _SPECS), ("after", _ADDED)):
            _write_specs(site.folder / folder, specs, url)
            _on_controller(site, "-m", "fleetenv", "lock", *(f"{folder}/{name}.yml" for name in specs))
        _on_controller(site, "-c", _PACK)
        self.choose(site, "before")

    def clean(self, site: Site) -> None:
        """Remove Miniconda, all that is in it, and what conda notes elsewhere."""
        site.on_hosts(f"rm -rf {_PREFIX} {_ASIDE} /opt/miniconda.sh /root/.conda /root/.cache")

    def choose(self, site: Site, which: str) -> None:
        """Let the specs be those of before or after the change."""
        shutil.copytree(site.folder / which, site.folder / "envs", dirs_exist_ok=True)

    def converge(self, site: Site, tool: Tool) -> None:
        """Bring the hosts to what this tool has made of the first specs; what another one has made is moved aside."""
        self.choose(site, "before")
        mine = f"{_ASIDE}/{tool.name}"
        site.on_hosts(
            f"mkdir -p {_ASIDE}; now=$(cat {_ASIDE}/now 2>/dev/null) || :; [ \"$now\" != {tool.name} ] || exit 0\n"
            f"if [ -n \"$now\" ]; then mv {_PREFIX} {_ASIDE}/$now; else rm -rf {_PREFIX}; fi\n"
            f"if [ -e {mine} ]; then mv {mine} {_PREFIX}; fi; echo {tool.name} >{_ASIDE}/now"
        )  # fmt: skip
        site.run(tool)

    def snapshot(self, host: NamespaceHost) -> str:
        """Return settings, the packages of base and of both environments, and what their Pythons import."""
        settings = yaml.safe_load(host.must_run(f"cat {_PREFIX}/.condarc"))
        records = host.must_run(
            f"cd {_PREFIX} && ls conda-meta/*.json envs/*/conda-meta/*.json\n"
            "for name in nlp vision; do\n"
            "  envs/$name/bin/python -c 'import fleet_tensor, numpy, PIL, pip; print(fleet_tensor.__version__)'\n"
            "done; bin/conda --version"
        )
        return f"{json.dumps(settings, sort_keys=True)}\n{records}"


class MainJobByLargeIndex(MainJob):
    """The same where a channel's index is as large as conda-forge's, and whole, as mirrors have it."""

    name = "W3-index"
    title = "main job, first run, with a simulated index of conda-forge's size"
    same_work_as = "W3"
    records = 1_000_000


class MainJobAgain(MainJob):
    """The same where all is as it should be."""

    name = "W3-again"
    title = "main job, re-run"
    same_work_as = "W3"
    changes = False

    def before(self, site: Site, tool: Tool) -> None:
        """Let the hosts be as this tool leaves them."""
        if tool.name in self.plays:
            self.converge(site, tool)


class MainJobByPaths(MainJobAgain):
    """The same, and the peers do not look into environments: what somebody changed there they would not see."""

    name = "W3-paths"
    title = "main job, re-run in which the peers do not look into environments"
    same_work_as = ""
    only_paths = True


class AddedPackage(MainJob):
    """One package more in one of the two specs."""

    name = "W4"
    title = "main job, one package added to one spec"
    same_work_as = "W3"

    def before(self, site: Site, tool: Tool) -> None:
        """Let the hosts be as this tool leaves them without that package, and the spec have it."""
        if tool.name in self.plays:
            self.converge(site, tool)
            self.choose(site, "after")


def _write_specs(folder: Path, specs: Mapping[str, Sequence[str]], channel: str) -> None:
    folder.mkdir()
    for name, wanted in specs.items():
        spec = {"name": name, "channels": [channel], "dependencies": list(wanted)}
        (folder / f"{name}.yml").write_text(yaml.safe_dump(spec, sort_keys=False))


def _on_controller(site: Site, *words: str) -> None:
    """Run Python with fleetenv as its runs on this site will."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(site.folder / "home"), "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, *words], cwd=site.folder, env=environment, check=True, stdout=subprocess.DEVNULL)
