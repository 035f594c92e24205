"""Going back to an earlier generation."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from fleetenv.errors import TaskFailed
from fleetenv.lab.channel import LabChannel

from .machine import Machine, Project


def version(machine: Machine) -> str:
    return machine.python("import fleet_tensor; print(fleet_tensor.__version__)")


@pytest.fixture(scope="module")
def built(shared_machine: Machine, lab_channel: LabChannel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What lies in `envs` after three builds, to be put there again."""
    project = Project(tmp_path_factory.mktemp("project"), lab_channel)
    for each in ("1.0", "1.1", "2.0"):
        project.lock(f"fleet-tensor={each}")
        shared_machine.apply(project.task(shared_machine, keep=3))
    copy = shared_machine.prefix / "built"
    (shared_machine.prefix / "envs").rename(copy)
    return copy


@pytest.fixture
def three(machine: Machine, built: Path, project: Project) -> Machine:
    """A host with generations 1 to 3, of fleet-tensor 1.0, 1.1 and 2.0."""
    subprocess.run(["cp", "--archive", "--link", built, machine.prefix / "envs"], check=True)
    project.lock("fleet-tensor=2.0")
    return machine


def test_back_and_back_again_and_to_a_certain_one(three: Machine) -> None:
    back = three.roll_back()
    assert (back.before[:4], back.after[:4], back.switched) == ("0003", "0002", True)
    assert version(three) == "1.1"
    three.roll_back()
    assert version(three) == "1.0"
    with pytest.raises(TaskFailed, match=r"no generation before 0001-\w+: --to takes you forward to 0002-\w+, 0003-"):
        three.roll_back()
    name = next(each for each in three.generations() if each.startswith("0003"))
    assert three.roll_back(to=name).switched
    assert version(three) == "2.0"
    assert not three.roll_back(to="3").switched
    with pytest.raises(TaskFailed, match=r"nlp_train has no finished generation '7'; there are: 0003-\w+, 0002-"):
        three.roll_back(to="7")


def test_it_works_when_the_current_generation_is_broken_or_gone(three: Machine) -> None:
    shutil.rmtree(three.current() / "lib")
    assert three.roll_back().switched
    assert version(three) == "1.1"
    shutil.rmtree(three.current())
    assert three.roll_back().switched
    assert version(three) == "1.0"


def test_what_does_not_work_is_not_switched_to(three: Machine) -> None:
    older = next(each for each in three.generations() if each.startswith("0002"))
    encodings = next((three.current().parent / older).glob("lib/python3.*/encodings"))
    shutil.rmtree(encodings)
    with pytest.raises(TaskFailed, match=r"^the Python of 0002-\w+ does not work: Fatal Python error: "):
        three.roll_back()
    assert version(three) == "2.0"


def test_apply_switches_to_what_the_lock_says_and_builds_nothing(three: Machine, project: Project) -> None:
    before = three.generations()
    three.roll_back()
    task = project.task(three, keep=3)
    assert three.diff(task)
    three.apply(task)
    assert version(three) == "2.0"
    assert not three.diff(task)
    assert three.generations() == before
    assert three.notes == [f"{before[-1]} was there already, and works"]
    assert three.roll_back().after == before[1]


@pytest.mark.parametrize("harm", ["changed", "missing", "record"])
def test_a_generation_that_was_harmed_meanwhile_is_built_anew(three: Machine, project: Project, harm: str) -> None:
    newest = three.current()
    three.roll_back()
    (module,) = newest.glob("lib/python3.*/site-packages/fleet_tensor/__init__.py")
    folder, stamp = module.parent, newest / "conda-meta" / "fleetenv"
    match harm:
        case "changed":
            text = module.read_text()
            module.unlink()  # it is a hard link
            module.write_text(text + "# by hand\n")
            os.utime(folder, (0, 0))
        case "missing":
            module.unlink()
            os.utime(folder, (0, 0))
        case _:
            (newest / "conda-meta" / "extra-1.0-0.json").write_text("{}")
            os.utime(newest / "conda-meta" / "extra-1.0-0.json", (0, 0))
    assert stamp.exists()
    three.apply(project.task(three, keep=3))
    assert version(three) == "2.0"
    assert three.current().name[:4] == "0004"


def test_check_mode_changes_nothing(three: Machine) -> None:
    told = three.roll_back(check=True)
    assert told.switched
    assert told.after.startswith("0002-")
    assert version(three) == "2.0"


def test_a_folder_made_by_hand_can_be_gone_back_to(machine: Machine, project: Project) -> None:
    by_hand = machine.prefix / "envs" / "nlp_train"
    (by_hand / "conda-meta").mkdir(parents=True)
    (by_hand / "conda-meta" / "history").touch()
    (by_hand / "precious").write_text("mine")
    project.lock("fleet-tensor")
    machine.apply(project.task(machine))
    assert machine.roll_back().after == "0001-by-hand"
    assert (by_hand / "precious").read_text() == "mine"
    machine.apply(project.task(machine))
    assert not (by_hand / "precious").exists()


def test_hosts_that_share_a_prefix_go_back_one_step_together(three: Machine) -> None:
    first, second = (three.roll_back(run="the same") for _ in range(2))
    assert first.switched
    assert (second.switched, second.before, second.after) == (False, first.before, first.after)
    assert second.elsewhere
    assert version(three) == "1.1"
    assert three.roll_back(run="the next").switched


@pytest.mark.parametrize("name", ["never_there", "by_hand"])
def test_what_fleetenv_has_not_built_has_nothing_to_go_back_to(machine: Machine, name: str) -> None:
    (machine.prefix / "envs" / "by_hand" / "conda-meta").mkdir(parents=True)
    with pytest.raises(TaskFailed, match=f"fleetenv has built no environment '{name}' in {machine.prefix}"):
        machine.roll_back(name)
    assert not (machine.prefix / "envs" / ".fleetenv" / name).exists()


def test_without_miniconda_it_says_where_it_looked(machine: Machine, tmp_path: Path) -> None:
    nowhere = Machine(tmp_path, machine.home, machine.environment)
    with pytest.raises(TaskFailed, match=f"there is no Miniconda in {tmp_path}: --prefix, or the host's variable"):
        nowhere.roll_back()
