"""The demo: the whole story of a small fleet, told with fleetenv's own commands on simulated hosts."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fleetenv.errors import FleetenvError
from fleetenv.example import DEMO_PARTS, write_example
from fleetenv.lab import damage
from fleetenv.lab.channel import LabChannel, build_channel
from fleetenv.lab.embedded import EmbeddedFleet, EmbeddedHost
from fleetenv.lab.installer import build_installer
from fleetenv.lab.job import Job
from fleetenv.lab.nvidia_smi import A100

HOSTS = 4
_SPECS = {
    "nlp_train": """\
name: nlp_train
channels: [{channel}]
dependencies:
  - python ={python}
  - pip
  - fleet-text =1.0
  - fleet-tensor =1.1
  - pip:
      - --index-url {index}
      - fleet-plots ==1.0
""",
    "cv_detect": """\
name: cv_detect
channels: [{channel}]
dependencies:
  - python ={python}
  - fleet-data =1.2
""",
}
_VARIABLES = """\
conda_installer: {installer}
conda_installer_sha256: {sha256}
conda_channels: [{channel}]
conda_envs: [nlp_train, cv_detect]
"""


class DemoFailed(FleetenvError):
    """A chapter did not end as it should."""


@dataclass(frozen=True, slots=True)
class Story:
    """A folder in which the story is told; what was there of an earlier telling goes."""

    folder: Path
    say: Callable[[str], None]  # prints one line at once

    def tell(self) -> None:
        """Tell it.

        Raises:
            DemoFailed: a command did not end as the story says.
        """
        self._tells("A small conda channel and an installer, built from this Python (kept for the next time).")
        channel = build_channel(self.folder / "channel")
        installer = build_installer(channel, self.folder / "installer")
        for name in ("project", "lab"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        write_example(self._project, DEMO_PARTS)
        with EmbeddedFleet(HOSTS, folder=self._lab, gpus=A100) as fleet:
            self._tells(f"{HOSTS} disposable SSH hosts are up on this machine. They and their GPUs are simulated;")
            self._tells("SSH, packages, interpreters and files are real.")
            variables = {"installer": installer.path, "sha256": installer.sha256, "channel": channel.url}
            (self._project / "inventories/demo/group_vars/demo.yml").write_text(_VARIABLES.format(**variables))
            self._tell(channel, fleet.hosts)

    @property
    def report(self) -> Path:
        """The drift report, a page for the browser."""
        return self._project / "drift.html"

    @property
    def history(self) -> Path:
        """The demo's own history: the user's stays as it is."""
        return self._project / "history.db"

    @property
    def _project(self) -> Path:
        return self.folder / "project"

    @property
    def _lab(self) -> Path:
        return self.folder / "lab"

    def _tell(self, channel: LabChannel, hosts: list[EmbeddedHost]) -> None:
        self.say("\n== 1. Specs are solved once, here, into locks with exact packages and hashes")
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        envs = self._project / "envs"
        envs.mkdir(exist_ok=True)
        (envs / "fleetenv.toml").write_text("[lint]\nnames = '[a-z]+_[a-z]+'\n")
        for name, text in _SPECS.items():
            self._spec(name).write_text(text.format(channel=channel.url, index=channel.simple, python=python))
        self._fleetenv("lock", *(f"envs/{name}.yml" for name in _SPECS))

        self.say("\n== 2. The fleet is brought to the state that the playbook describes")
        self._apply()
        self._fleetenv("gpu", *self._inventories)

        self.say("\n== 3. The same again: every host is asked once, nothing is changed")
        self._apply()

        self.say(
            "\n== 4. A spec is edited while a job runs: only that environment is rebuilt, the job goes on undisturbed"
        )
        self._edit_under_a_job(hosts[0])

        self.say("\n== 5. Three hosts are changed by hand")
        prefix = f"{hosts[1].variables['lab_root']}/miniconda3"
        self._tells(damage.edit_module(hosts[1], f"{prefix}/envs/nlp_train", "fleet_text"))
        self._tells(damage.edit_condarc(hosts[2], f"{hosts[2].variables['lab_root']}/miniconda3/.condarc"))
        environment = f"{hosts[3].variables['lab_root']}/miniconda3/envs/nlp_train"
        self._tells(damage.pip_install(hosts[3], environment, "fleet-metrics==0.1", channel.simple))

        self.say("\n== 6. Drift finds exactly those, and changes nothing")
        self._fleetenv("drift", "playbooks/site.yml", *self._inventories, expected=2)
        self._fleetenv("drift", "playbooks/site.yml", *self._inventories, "-o", self.report.name, expected=2)

        self.say("\n== 7. Applying the playbook mends them")
        self._apply()
        self._fleetenv("drift", "playbooks/site.yml", *self._inventories)

        self.say("\n== 8. All of it is in the history")
        self._fleetenv("history")

    def _edit_under_a_job(self, host: EmbeddedHost) -> None:
        environment = f"{host.variables['lab_root']}/miniconda3/envs/nlp_train"
        job = Job.start(host, environment, "fleet-tensor")
        try:
            first = job.beats()[0]
            self._tells(f"A job on {host.name} runs in nlp_train, with fleet-tensor {first.version}.")
            spec = self._spec("nlp_train")
            spec.write_text(spec.read_text().replace("fleet-tensor =1.1", "fleet-tensor =2.0"))
            self._tells("envs/nlp_train.yml: fleet-tensor =1.1 becomes =2.0")
            self._fleetenv("lock", "envs/nlp_train.yml")
            self._apply()
            last = job.next_beat()
            if (last.prefix, last.version) != (first.prefix, first.version):
                raise DemoFailed(f"the job was disturbed: it now has {last.version} in {last.prefix}")
            python = Path(environment) / "bin/python"
            tell = "import importlib.metadata; print(importlib.metadata.version('fleet-tensor'))"
            new = subprocess.run([python, "-c", tell], capture_output=True, text=True, check=True).stdout.strip()
            self._tells(
                f"The job is at beat {last.number}, still with fleet-tensor {last.version}; new ones get {new}."
            )
        finally:
            job.stop()

    def _spec(self, name: str) -> Path:
        return self._project / f"envs/{name}.yml"

    @property
    def _inventories(self) -> tuple[str, ...]:
        return ("-i", "inventories/demo", "-i", f"{Path('..') / self._lab.name / 'inventory.yml'}")

    def _apply(self) -> None:
        self._fleetenv("apply", "playbooks/site.yml", *self._inventories)

    def _tells(self, text: str) -> None:
        self.say(f"   {text}")

    def _fleetenv(self, *words: str, expected: int = 0) -> None:
        """Run a fleetenv command as a user would, in the project's folder."""
        self.say(f"\n$ fleetenv {shlex.join(words)}")
        package = Path(__file__).parents[2]
        path = os.pathsep.join(filter(None, [str(package), os.environ.get("PYTHONPATH")]))
        done = subprocess.run(
            [sys.executable, "-m", "fleetenv", *words],
            cwd=self._project,
            env=os.environ | {"PYTHONPATH": path, "FLEETENV_HISTORY": str(self.history)},
        )
        if done.returncode != expected:
            raise DemoFailed(f"'fleetenv {words[0]}' ended with status {done.returncode}, not {expected}")
