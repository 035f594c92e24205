"""The example's own site.yml on real OpenSSH hosts: the lab's channel served over HTTP, a Miniconda, two specs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fleetenv.lab.namespaces import NamespaceFleet
from tests.conftest import ROOT, CommandLine, Finished

PREFIX = "/opt/miniconda3"
SPEC = """\
name: {name}
channels: [{channel}]
dependencies:
{packages}
"""


@dataclass
class Site:
    """A project folder, and the fleet that it is for."""

    folder: Path
    cli: CommandLine
    fleet: NamespaceFleet
    channel: str
    index: str  # the pip index
    variables: dict[str, Any]
    report: dict[str, Any] = field(default_factory=dict)

    def write_spec(self, name: str, *packages: str) -> None:
        """Write a spec of Python and these packages, and its lock."""
        spec = self.folder / f"envs/{name}.yml"
        spec.parent.mkdir(exist_ok=True)
        listed = "\n".join(f"  - {package}" for package in ("python", *packages))
        spec.write_text(SPEC.format(name=name, channel=self.channel, packages=listed))
        locked = self.cli("lock", spec, "--platform", "linux-64", cwd=self.folder)
        assert locked.status == 0, locked.stderr

    def words(self, command: str, *more: str) -> list[str]:
        """Return the command line of `apply` or `drift` for this site."""
        return [
            command,
            str(ROOT / "playbooks/site.yml"),
            "-i",
            str(self.fleet.inventory),
            "-e",
            json.dumps(self.variables),
            *more,
        ]

    def apply(self, *more: str) -> Finished:
        """Apply the playbook; afterwards `report` holds the JSON's hosts."""
        path = self.folder / "report.json"
        path.unlink(missing_ok=True)
        done = self.cli(*self.words("apply", "--json", str(path), *more), cwd=self.folder, timeout=600)
        self.report = json.loads(path.read_text())["hosts"] if path.exists() else {}
        return done

    def drift(self) -> tuple[int, dict[str, Any]]:
        """Look for drift, and return the exit status and the JSON report."""
        done = self.cli(*self.words("drift", "--format", "json"), cwd=self.folder, timeout=600)
        return done.status, json.loads(done.stdout)

    def counts(self, what: str) -> dict[str, int]:
        """How many tasks ended so on each host, by the last report."""
        return {name: host[what] for name, host in self.report.items()}

    def environment(self, name: str) -> str:
        return f"{PREFIX}/envs/{name}"


@pytest.fixture
def site(tmp_path, fleetenv_cli, web, lab_channel, lab_installer):
    """`site(fleet)`: a project for a fleet, its specs locked."""

    def make(fleet: NamespaceFleet) -> Site:
        served = web(lab_channel.folder, address=fleet.gateway)
        channel, index = (served.url(part, fleet.gateway) for part in ("conda", "simple"))
        variables: dict[str, Any] = {
            "conda_envs": ["nlp", "vision"],
            "conda_installer": str(lab_installer.path),
            "conda_installer_sha256": lab_installer.sha256,
            "conda_channels": [channel],
            "gpu_model": "A100",
            "gpu_count": 8,
        }
        made = Site(tmp_path, fleetenv_cli, fleet, channel, index, variables)
        made.write_spec("nlp", "fleet-text =1.0")
        made.write_spec("vision", "pip", "fleet-data =1.2")
        return made

    return make
