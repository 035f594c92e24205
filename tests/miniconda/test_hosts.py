"""The module miniconda on real SSH hosts, each with a file system of its own."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from fleetenv.lab.installer import Installer
from tests.conftest import CommandLine, NamespaceFactory, WebFactory

pytestmark = [pytest.mark.root, pytest.mark.sshd]


def write_site(folder: Path, **arguments: object) -> Path:
    task = {"miniconda": {"prefix": "/opt/miniconda3", **arguments}}
    site = folder / "site.yml"
    site.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [task]}]))
    return site


def test_a_fleet_is_provisioned_from_its_mirrors(
    namespace_fleet: NamespaceFactory, fleetenv_cli: CommandLine, installer: Installer, web: WebFactory, tmp_path: Path
) -> None:
    fleet = namespace_fleet(3)
    served = web(installer.path.parent, address=fleet.gateway)
    dead = f"http://{fleet.gateway}:9/miniconda"
    mirrors = [dead, served.url(address=fleet.gateway)]
    site = write_site(tmp_path, installer=installer.version, mirrors=mirrors, sha256=installer.sha256)
    first = fleetenv_cli("apply", site, "-i", fleet.inventory)
    assert first.status == 0, first.stdout + first.stderr
    for host in fleet.hosts:
        assert host.run("/opt/miniconda3/bin/conda --version").text == f"conda {installer.conda_version}\n"
    again = fleetenv_cli("apply", site, "-i", fleet.inventory)
    assert "3 hosts converged, 0 changed" in again.stdout


def test_killing_the_controller_at_any_moment_leaves_nothing_that_the_next_run_does_not_mend(
    namespace_fleet: NamespaceFactory, fleetenv_cli: CommandLine, installer: Installer, tmp_path: Path
) -> None:
    moments = (0.5, 0.8, 1.1, 1.5, 2.0)
    fleet = namespace_fleet(len(moments))
    site = write_site(tmp_path, installer=str(installer.path), sha256=installer.sha256)
    for host, moment in zip(fleet.hosts, moments, strict=True):
        words = ("apply", site, "-i", fleet.inventory, "-l", host.name)
        run = fleetenv_cli.start(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            run.wait(moment)
        except subprocess.TimeoutExpired:
            run.send_signal(signal.SIGKILL)
            run.wait()
    mended = fleetenv_cli("apply", site, "-i", fleet.inventory)
    assert mended.status == 0, mended.stdout + mended.stderr
    for host in fleet.hosts:
        assert host.run("/opt/miniconda3/bin/conda --version").text == f"conda {installer.conda_version}\n"
    assert "0 changed" in fleetenv_cli("apply", site, "-i", fleet.inventory).stdout
