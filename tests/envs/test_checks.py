"""What is looked at before a new generation becomes current, and who may use it then."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

from fleetenv.errors import TaskFailed
from fleetenv.lab.channel import LabChannel

from .machine import Machine, Project


def with_block(project: Project, **block: object) -> None:
    """Say more in the spec's `fleetenv:` block; the lock stays fresh."""
    path = project.folder / "envs" / "nlp_train.yml"
    path.write_text(path.read_text() + "fleetenv:\n" + "".join(f"  {key}: {value}\n" for key, value in block.items()))


def test_verify_commands_run_in_the_new_generation_before_the_switch(machine: Machine, project: Project) -> None:
    project.lock("fleet-tensor=1.0", FLEET_MODE="train")
    machine.apply(project.task(machine))
    first = machine.current()
    project.lock("fleet-tensor=2.0", FLEET_MODE="train")
    command = """\
    - python -c "import fleet_tensor, os, sys; assert fleet_tensor.__version__ == '2.0' and os.environ['FLEET_MODE']"
    - test $CONDA_DEFAULT_ENV = nlp_train && test $CONDA_PREFIX = "$(python -c 'import sys; print(sys.prefix)')"
    - test "$(readlink -f {link})" = {first} && ls -A | wc -l | grep -qx 0
"""
    with_block(project, verify="\n" + command.format(link=machine.prefix / "envs" / "nlp_train", first=first))
    machine.apply(project.task(machine))
    assert machine.current() != first


def test_a_failing_one_leaves_the_current_environment(machine: Machine, project: Project) -> None:
    project.lock("fleet-tensor=1.0")
    machine.apply(project.task(machine))
    project.lock("fleet-tensor=2.0")
    with_block(project, verify="['true', 'echo one; echo two; echo three >&2; echo four; exit 3']")
    with pytest.raises(TaskFailed) as caught:
        machine.apply(project.task(machine))
    assert str(caught.value) == (
        "verify: 'echo one; echo two; echo three >&2; echo four; exit 3' ended with exit status 3: two | three | four"
    )
    assert machine.python("import fleet_tensor; print(fleet_tensor.__version__)") == "1.0"
    assert len(machine.generations()) == 1


def test_one_that_does_not_end_is_ended_with_all_that_it_started(machine: Machine, project: Project) -> None:
    project.lock("fleet-tensor=1.0")
    with_block(project, verify="['sleep 4242 & echo waiting; wait']")
    with pytest.raises(TaskFailed, match=r"^verify: 'sleep 4242 & echo waiting; wait' took longer than 0.5 s: waiting"):
        machine.apply(project.task(machine, verify_timeout=0.5))
    assert subprocess.run(["pgrep", "-f", "^sleep 4242"], capture_output=True).returncode == 1
    assert machine.generations() == []


def test_wheels_that_write_over_conda_s_files_are_told_of(
    machine: Machine, project: Project, lab_channel: LabChannel
) -> None:
    lab_channel.add_wheel("fleet-careless", "1.0", files={"fleet_text/__init__.py": "", "fleet_careless.py": ""})
    project.lock("fleet-text", pip=("fleet-careless",))
    task = project.task(machine, check="full")
    *_, build = task.converge(machine.diff(task))
    for step in list(task.converge(machine.diff(task)))[:-1]:
        machine.take(step)
    done = machine.sh(build.script, stdin=build.stdin)
    assert done.status == 0, done.error_text
    assert "1 file of fleet-text 1.0 overwritten by fleet_careless 1.0 (pip)" in done.text


def test_everybody_can_read_what_conda_reads(machine: Machine, project: Project) -> None:
    project.lock("fleet-text")
    machine.apply(project.task(machine))
    records = list((machine.current() / "conda-meta").iterdir())
    assert records
    assert {stat.S_IMODE(path.stat().st_mode) for path in records} == {0o644}


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="gives folders to another user")
def test_owner_group_and_mode_are_of_the_folders_and_the_cache_keeps_its_own(
    machine: Machine, project: Project
) -> None:
    project.lock("fleet-text")
    with_block(project, owner="nobody", group="users", mode="'2750'")
    task = project.task(machine)
    assert {"owner", "group", "mode"} <= {each.key for each in machine.apply(task).differences}

    environment = machine.current()
    folders = [Path(folder) for folder, _, _ in os.walk(environment)]
    assert {(each.owner(), each.group(), stat.S_IMODE(each.stat().st_mode)) for each in folders} == {
        ("nobody", "users", 0o2750)
    }
    shared = [path for path in environment.rglob("*") if path.is_file() and path.stat().st_nlink > 1]
    assert {(path.owner(), path.group()) for path in shared} == {("root", "root")}
    assert machine.verify(deep=True)["nlp_train"].findings == []
    assert not machine.diff(task)

    environment.chmod(0o777)
    assert {each.key for each in machine.apply(task).differences} == {"mode"}
    assert stat.S_IMODE(machine.current().stat().st_mode) == 0o2750


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        ({"owner": "nobody_knows"}, "the environment is to belong to 'nobody_knows': this host has no such user"),
        ({"group": "nobody_knows"}, "to the group 'nobody_knows': this host has no such group"),
        ({"mode": "'0555'"}, "with mode 555 the environment's owner could not keep it: it must have 7 for the owner"),
    ],
)
def test_what_this_host_cannot_do_is_refused_before_anything_is_built(
    machine: Machine, project: Project, block: dict[str, str], reason: str
) -> None:
    project.lock("fleet-text")
    with_block(project, **block)
    with pytest.raises(TaskFailed, match=re.escape(reason)):
        machine.apply(project.task(machine))
    assert machine.generations() == []


def test_a_spec_can_leave_its_environment_open_to_conda(machine: Machine, project: Project) -> None:
    project.lock("fleet-text")
    with_block(project, freeze="false")
    machine.apply(project.task(machine))
    assert not (machine.current() / "conda-meta" / "frozen").exists()
    assert {each.key for each in machine.apply(project.task(machine, frozen=True)).differences} == {"frozen"}
