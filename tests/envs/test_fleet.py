"""conda_env over SSH, with the whole of fleetenv, as users run it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .machine import Project

PLAYBOOK = """\
- hosts: all
  gather_facts: false
  tasks:
    - command: sh {installer} -b -p {{{{ lab_root }}}}/miniconda3
      args: {{creates: "{{{{ lab_root }}}}/miniconda3/conda-meta/history"}}
    - conda_env: {{spec: "{{{{ item }}}}.yml", prefix: "{{{{ lab_root }}}}/miniconda3", pip_index: "{index}"}}
      loop: [nlp_train, cv_detect]
"""


def test_two_hosts_get_the_same_and_only_the_damaged_one_is_mended(
    embedded_fleet: Any, project: Project, miniconda: Path, fleetenv_cli: Any
) -> None:
    fleet = embedded_fleet(2)
    site = project.folder / "site.yml"
    site.write_text(PLAYBOOK.format(installer=miniconda, index=project.channel.simple))
    project.spec("fleet-text", "pip", pip=("fleet-plots",))
    project.spec("fleet-tensor", name="cv_detect")

    def apply(*words: str) -> dict[str, Any]:
        done = fleetenv_cli("apply", site, "-i", fleet.inventory, "--json", "-", *words)
        assert done.status == 0, done.stdout + done.stderr
        hosts: dict[str, Any] = json.loads(done.stdout)["hosts"]
        return hosts

    refused = fleetenv_cli("apply", site, "-i", fleet.inventory)
    assert refused.status == 1
    assert "nlp_train.yml has no lock; run 'fleetenv lock " in refused.stderr
    locked = fleetenv_cli(
        "lock", project.folder / "envs" / "nlp_train.yml", project.folder / "envs" / "cv_detect.yml",
        "--pip-index", project.channel.simple,
    )  # fmt: skip
    assert locked.status == 0, locked.stderr

    first = apply()
    assert {host["changed"] for host in first.values()} == {2}  # the installer and the loop
    again = apply()
    assert {host["changed"] for host in again.values()} == {0}

    damaged, sound = fleet.hosts
    found = damaged.run(
        "for file in $lab_root/miniconda3/envs/nlp_train/lib/python3.*/site-packages/fleet_text/__init__.py; do"
        " echo 'x = 1' >> $file; done".replace("$lab_root", damaged.variables["lab_root"])
    )
    assert found.status == 0, found.stderr
    checked = apply("--check")
    assert (checked[damaged.name]["changed"], checked[sound.name]["changed"]) == (1, 0)
    mended = apply()
    assert (mended[damaged.name]["changed"], mended[sound.name]["changed"]) == (1, 0)
    assert {host["changed"] for host in apply().values()} == {0}
