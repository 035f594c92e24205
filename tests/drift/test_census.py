"""How the census travels: one message after the playbook's, over the same connection, under the plays' account."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from fleetenv.drift.assessment import Scene, assessed
from fleetenv.drift.report import DriftReport
from fleetenv.drift.survey import Survey
from fleetenv.drift.taker import CensusTaker
from fleetenv.engine import Fleet, Options
from fleetenv.events import Event, RunFinished
from fleetenv.inventory import load
from fleetenv.lab.nvidia_smi import A100, programs
from fleetenv.shell import Defaults, connect

HOSTS = """
all:
  vars: {ansible_connection: local, drift_homes: own, conda_prefix: "FOLDER/miniconda3"}
  hosts: {here: {}}
"""
FILES = ("__init__.py", "gone.py")
SMI = "#!/bin/sh\necho asked >>FOLDER/asked\nexit 9\n"


class Look:
    """One look at this machine, as a host."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trips: dict[str, int] = {}

    def take(self, tasks: str, *, census: bool = True) -> DriftReport:
        playbook = self.folder / "site.yml"
        playbook.write_text(f"- hosts: all\n  gather_facts: false\n  tasks:\n{tasks}")
        survey, taker = Survey(), CensusTaker(deep=False)

        def sink(event: Event) -> None:
            survey(event)
            taker(event)
            if isinstance(event, RunFinished):
                self.trips = dict(event.round_trips)

        options = Options(check_mode=True, survey=True, folder=self.folder)
        inventory = load([str(self.folder / "hosts.yml")], playbook_folder=self.folder)
        inquire = taker.questions if census else None
        fleet = Fleet(playbook, inventory, options, Defaults(), connect, sink, inquire)
        fleet.prepare()
        asyncio.run(fleet.run())
        report = survey.report()
        return assessed(report, Scene(seen=taker.taken, states=survey.states(report)))


@pytest.fixture
def look(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/nvidia-smi").write_text(SMI.replace("FOLDER", str(tmp_path)))
    (tmp_path / "bin/nvidia-smi").chmod(0o755)
    (tmp_path / "home").mkdir()
    (tmp_path / "hosts.yml").write_text(HOSTS.replace("FOLDER", str(tmp_path)))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    monkeypatch.setenv("HOME", f"{tmp_path}/home")
    return Look(tmp_path)


def environment(folder: Path, name: str) -> None:
    meta = folder / f"miniconda3/envs/{name}/conda-meta"
    meta.mkdir(parents=True)
    (meta / "history").touch()
    record = '{"name": "numpy", "version": "1.26.4", "build": "0", "url": "https://u:pw@c.org/main/noarch/numpy.conda"}'
    (meta / "numpy-1.26.4-0.json").write_text(record)


def test_a_look_is_two_messages_and_the_playbooks_part_alone_one(look):
    file = f"    - file: {{path: {look.folder}/data, state: directory}}\n"
    look.take(file)
    assert look.trips == {"here": 2}
    look.take(file, census=False)
    assert look.trips == {"here": 1}


def test_gpus_are_asked_about_once_though_a_task_asks_too(look):
    report = look.take("    - gpu_driver: {required: false}\n")
    assert (look.folder / "asked").read_text() == "asked\n"
    assert report.snapshots["here"]["gpus"]["count"] == 0


def test_what_a_playbook_wants_of_gpus_is_no_finding(look):
    for name, program in programs(replace(A100, count=1, persistence=False)).items():
        (look.folder / "bin" / name).write_text(program)
        (look.folder / "bin" / name).chmod(0o755)

    def codes(task: str) -> list[str]:
        return [each.code for each in look.take(task).findings if each.code.startswith("gpu-")]

    assert codes("    - debug: {msg: nothing}\n") == ["gpu-persistence-off"]
    assert codes("    - gpu_settings: {power_limit: 400}\n") == ["gpu-persistence-off"]
    assert codes("    - gpu_settings: {persistence: false}\n") == []


def test_a_snapshot_holds_what_is_there_without_passwords(look):
    environment(look.folder, "nlp")
    report = look.take(f"    - copy: {{dest: {look.folder}/motd, content: hello}}\n")
    snapshot = report.snapshots["here"]
    assert snapshot["environments"]["nlp"]["packages"] == {"numpy": "1.26.4 0 main"}
    assert {"facts", "gpus", "miniconda", "condarc", "environments", "virtualenvs", "kernels", "tasks"} <= set(snapshot)
    assert "pw" not in str(snapshot)
    again = look.take(f"    - copy: {{dest: {look.folder}/motd, content: hello}}\n")
    assert again.snapshots == report.snapshots


def test_where_the_playbook_was_not_looked_at_to_its_end_nobody_knows_what_is_extra(look):
    environment(look.folder, "nlp")
    codes = {each.code for each in look.take("    - debug: {msg: x}\n").findings}
    assert "extra-environment" in codes
    failed = look.take("    - assert: {that: false}\n    - debug: {msg: x}\n")
    assert "failed" in {each.code for each in failed.findings}
    assert "extra-environment" not in {each.code for each in failed.findings}
    assert "environments" in failed.snapshots["here"]  # and yet it was looked at
    assert "tasks" not in failed.snapshots["here"]


def test_files_of_a_noarch_package_are_where_conda_has_put_them(look):
    """conda notes them as they are in the package, and only in `files` as they are in the environment."""
    environment(look.folder, "nlp")
    here = look.folder / "miniconda3/envs/nlp"
    (here / "lib/python3.11/site-packages/seg").mkdir(parents=True)
    (here / "lib/python3.11/site-packages/seg/__init__.py").write_text("x = 1\n")
    paths = [{"_path": f"site-packages/seg/{name}", "path_type": "hardlink", "size_in_bytes": 6} for name in FILES]
    record = {
        "name": "seg", "version": "1", "build": "0", "noarch": "python",
        "files": [f"lib/python3.11/site-packages/seg/{name}" for name in FILES], "paths_data": {"paths": paths},
    }  # fmt: skip
    (here / "conda-meta/seg-1-0.json").write_text(json.dumps(record))
    (missing,) = (each for each in look.take("    - debug: {msg: x}\n").findings if each.code == "files-missing")
    assert missing.text == "missing: lib/python3.11/site-packages/seg/gone.py (seg 1)"
