"""Two hosts with one prefix, as on NFS: over SSH, with the whole of fleetenv."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from .machine import Project

PLAYBOOK = """\
- hosts: all
  gather_facts: false
  tasks:
    - conda_env: {{spec: nlp_train.yml, prefix: {prefix}}}
"""


def test_an_environment_is_built_once_and_rolled_back_once(
    embedded_fleet: Any, project: Project, miniconda: Path, fleetenv_cli: Any, tmp_path: Path
) -> None:
    fleet = embedded_fleet(3)
    prefix = tmp_path / "nfs" / "miniconda3"
    prefix.parent.mkdir()
    subprocess.run(["sh", miniconda, "-b", "-p", prefix], check=True, capture_output=True)
    site = project.folder / "site.yml"
    site.write_text(PLAYBOOK.format(prefix=prefix))
    for version in ("1.0", "1.1", "2.0"):
        project.lock(f"fleet-tensor={version}")
        done = fleetenv_cli("apply", site, "-i", fleet.inventory, "--json", "-")
        assert done.status == 0, done.stdout + done.stderr
    generations = prefix / "envs" / ".fleetenv" / "nlp_train"
    assert sorted(path.name[:4] for path in generations.iterdir()) == ["0002", "0003"]
    assert not [path.name for path in (prefix / ".fleetenv").iterdir() if "stripped" in path.name]

    done = fleetenv_cli("rollback", "nlp_train", "-i", fleet.inventory, "--prefix", prefix)
    assert done.status == 0, done.stdout
    assert sum("which shares this prefix" in line for line in done.stdout.splitlines()) == 2
    assert (prefix / "envs" / "nlp_train").resolve().name.startswith("0002")
