"""Virtualenvs in `envs`, `clean` and `rollback`: what they stand on is known, and never taken away from them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from fleetenv.errors import TaskFailed
from fleetenv.modules.virtualenv import PreparedVirtualenv, Virtualenv
from fleetenv.onhost.cleaning import Cleaning

from .machine import Desk, Machine, Project


@pytest.fixture
def venvs(machine: Machine) -> Path:
    shutil.rmtree(machine.home / "venvs", ignore_errors=True)
    shutil.rmtree(machine.prefix / ".fleetenv", ignore_errors=True)
    return machine.home / "venvs"


def layer(machine: Machine, project: Project, name: str = "plots", **arguments: Any) -> PreparedVirtualenv:
    named = {
        "path": str(machine.home / "venvs" / name),
        "environment": "nlp_train",
        "prefix": str(machine.prefix),
    }
    module = Virtualenv.from_arguments(named | arguments)
    assert isinstance(module, Virtualenv)
    return module.resolve(Desk(project.folder))


def base(machine: Machine, project: Project, version: str, **arguments: Any) -> str:
    """Put a version of the environment on the host; returns its generation."""
    project.lock(f"fleet-tensor={version}")
    machine.apply(project.task(machine, **arguments))
    return machine.current().name


def items(cleaning: Cleaning) -> dict[str, tuple[str, str]]:
    return {item.name: (item.kind, item.stays) for item in cleaning.items}


def test_what_a_virtualenv_stands_on_is_known_and_stays(machine: Machine, project: Project, venvs: Path) -> None:
    first = base(machine, project, "1.0")
    plots, by_hand = str(venvs / "plots"), str(venvs / "by_hand")
    machine.apply(layer(machine, project, system_site_packages=True))
    subprocess.run([machine.current() / "bin/python", "-m", "venv", "--without-pip", by_hand], check=True)
    older = (venvs / "plots").resolve().name

    def version() -> str:
        code = "import fleet_tensor; print(fleet_tensor.__version__)"
        return subprocess.run([f"{plots}/bin/python", "-c", code], capture_output=True, text=True).stdout.strip()

    # a new generation of the environment: listed as stale, and holding the old one
    second = base(machine, project, "1.1")
    with (venvs / "plots" / "pyvenv.cfg").open() as used:
        listed = machine.virtualenvs()
        me = f"in use by process {os.getpid()} of {Path('/proc/self').owner()}"
        assert items(machine.clean(plots, check=True)) == {plots: ("virtualenv", me)}
        assert used.read()
    assert set(listed) == {plots, by_hand}
    mine = listed[plots]
    assert (mine.managed, mine.environment, mine.base, mine.stale, mine.works) == (True, "nlp_train", first, True, True)
    assert mine.generation == older
    assert [process.number for process in mine.processes] == [os.getpid()]
    du = subprocess.run(["du", "-s", "-B1", (venvs / "plots").resolve()], capture_output=True, check=True)
    assert mine.size == mine.generations[0].size == int(du.stdout.split()[0])
    assert (listed[by_hand].managed, listed[by_hand].base) == (False, first)
    held = {f"nlp_train/{first}": ("generation", f"{by_hand}, {plots} stand on it")}
    assert items(machine.clean(keep=1, check=True)) == items(machine.clean(keep=1)) == held
    assert items(machine.clean("nlp_train")) == {"nlp_train": ("environment", f"{by_hand}, {plots} stand on it")}
    assert version() == "1.0"

    # back: the environment names those above it, each of which has a way back of its own
    machine.apply(layer(machine, project, system_site_packages=True))
    newer = (venvs / "plots").resolve().name
    assert version() == "1.1"
    back = machine.roll_back()
    assert (back.before, back.after) == (second, first)
    assert [(each.path, each.base, each.generation) for each in back.virtualenvs] == [(plots, second, older)]
    assert version() == "1.1"
    checked = machine.roll_back(plots, check=True)
    assert (checked.before, checked.after, checked.switched) == (newer, older, True)
    assert version() == "1.1"
    machine.roll_back(plots, to=older)
    assert version() == "1.0"
    machine.roll_back(plots, to="2")
    assert machine.roll_back(to=second).virtualenvs == []

    # what cannot be gone back to goes; what is named goes, with what it stands on when both are
    assert items(machine.clean(by_hand, keep=1, check=True)) == {
        by_hand: ("virtualenv", ""),
        f"{plots}/{older}": ("generation", ""),
        f"nlp_train/{first}": ("generation", ""),
    }
    shutil.rmtree(machine.current().with_name(first))
    with pytest.raises(TaskFailed, match=rf"{older} stands on .*/{first}, which is gone: a task 'virtualenv' builds"):
        machine.roll_back(plots)
    assert not machine.virtualenvs()[by_hand].works
    assert items(machine.clean(by_hand)) == {by_hand: ("virtualenv", ""), f"{plots}/{older}": ("generation", "")}
    assert version() == "1.1"
    both = machine.clean(plots, "nlp_train", f"{venvs}/never")
    assert {name: kind for name, (kind, _) in items(both).items()} == {plots: "virtualenv", "nlp_train": "environment"}
    assert both.notes == [f"there is no virtualenv {venvs}/never on this Miniconda"]
    assert [each.name for each in venvs.iterdir()] == [".fleetenv"]
    assert machine.virtualenvs() == {}
    with pytest.raises(TaskFailed, match=f"fleetenv has built no virtualenv {plots}"):
        machine.roll_back(plots)
