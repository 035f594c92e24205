"""Environments of a loop, or of tasks in a row: built at one time, and yet one after the other for all who look."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from fleetenv.errors import TaskFailed
from fleetenv.modules.conda_env import LockedEnv
from tests.conftest import CommandLine

from .machine import Machine, Project, wait_for

NAMES = ("nlp_train", "cv_detect", "rl_play")


def tasks(machine: Machine, project: Project, *packages: str, count: int = 2) -> list[LockedEnv]:
    """Return the tasks of a loop, each knowing what follows it."""
    for name in NAMES[:count]:
        project.lock(*packages, name=name)
    found = [project.task(machine, spec=f"{name}.yml") for name in NAMES[:count]]
    return [each.followed_by(found[number:]) for number, each in enumerate(found, 1)]


def waiting(machine: Machine) -> list[str]:
    """Name the environments that were built ahead, and wait for their turn."""
    return sorted(path.parts[-4] for path in machine.prefix.glob("envs/.fleetenv/*/*/conda-meta/.fleetenv-ahead"))


def test_those_that_follow_are_built_with_the_first_and_become_current_at_their_turn(
    machine: Machine, project: Project
) -> None:
    first, second, third = tasks(machine, project, "pip", "fleet-text", count=3)
    machine.apply(first)
    assert waiting(machine) == ["cv_detect", "rl_play"]
    assert not (machine.prefix / "envs/cv_detect").exists()
    for name, task in (("cv_detect", second), ("rl_play", third)):
        (before,) = machine.generations(name)
        machine.apply(task)
        assert machine.generations(name) == [before]
        assert machine.python("import fleet_text; print('fine')", name) == "fine"
    assert waiting(machine) == []
    assert not (machine.prefix / "pkgs/.fleetenv-partial").exists()


def test_of_a_long_loop_each_is_told_of_the_next_few_only(project: Project, machine: Machine) -> None:
    project.lock("pip", name="nlp_train")
    loop = [replace(project.task(machine, spec="nlp_train.yml"), environment=f"env{number}") for number in range(20)]
    coming = [[next_.title for next_ in each.followed_by(loop[place:]).coming] for place, each in enumerate(loop, 1)]
    assert coming[0] == ["env1", "env2", "env3"]
    assert sum(map(len, coming)) == 17 * 3 + 2 + 1


def test_pip_fills_two_environments_at_the_same_time(machine: Machine, project: Project) -> None:
    for name in NAMES[:2]:
        project.lock("pip", name=name, pip=("fleet-metrics",))
    first, second = (project.task(machine, spec=f"{name}.yml") for name in NAMES[:2])
    machine.apply(first.followed_by([second]))
    machine.apply(second)
    for name in NAMES[:2]:
        assert machine.python("import fleet_metrics; print('fine')", name) == "fine"


def test_nothing_is_built_ahead_that_is_there(machine: Machine, project: Project) -> None:
    first, second = tasks(machine, project, "fleet-tensor")
    machine.apply(second)
    machine.apply(first)
    assert waiting(machine) == []


def test_one_that_cannot_be_built_fails_at_its_own_turn(machine: Machine, project: Project) -> None:
    first, _ = tasks(machine, project, "fleet-tensor")
    spec = project.folder / "envs/cv_detect.yml"
    spec.write_text(spec.read_text() + "fleetenv: {owner: nobody-there}\n")
    second = project.task(machine, spec="cv_detect.yml")
    machine.apply(first.followed_by([second]))
    assert machine.python("print('fine')") == "fine"
    assert waiting(machine) == machine.generations("cv_detect") == []
    with pytest.raises(TaskFailed, match="this host has no such user"):
        machine.apply(second)
    assert not (machine.prefix / "envs/cv_detect").exists()


def test_each_is_tried_at_its_own_turn_and_only_once(machine: Machine, project: Project) -> None:
    first, _ = tasks(machine, project, "fleet-tensor")
    spec, tried = project.folder / "envs/cv_detect.yml", machine.home / "tried"
    spec.write_text(spec.read_text() + f"fleetenv: {{verify: ['echo once >>{tried}; echo no GPU here; exit 3']}}\n")
    second = project.task(machine, spec="cv_detect.yml")
    machine.apply(first.followed_by([second]))
    assert waiting(machine) == ["cv_detect"]
    assert not tried.exists()
    with pytest.raises(TaskFailed, match="exit status 3: no GPU here"):
        machine.apply(second)
    assert tried.read_text() == "once\n"
    assert machine.generations("cv_detect") == []
    assert not (machine.prefix / "envs/cv_detect").exists()


def test_another_lock_than_was_built_ahead_is_built_anew(machine: Machine, project: Project) -> None:
    first, *_ = tasks(machine, project, "fleet-tensor=2.0")
    machine.apply(first)
    project.lock("fleet-tensor=1.1", name="cv_detect")
    machine.apply(project.task(machine, spec="cv_detect.yml"))
    assert machine.python("import fleet_tensor; print(fleet_tensor.__version__)", "cv_detect") == "1.1"
    assert len(machine.generations("cv_detect")) == 1


@pytest.fixture
def index() -> Iterator[socket.socket]:
    """An index of packages that answers nobody."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        yield server


def filled_by_pip(machine: Machine, project: Project, index: socket.socket) -> LockedEnv:
    """Return the task of an environment whose pip waits for an answer as long as it lives."""
    project.lock("pip", name="cv_detect", pip=("fleet-metrics",))
    return project.task(machine, spec="cv_detect.yml", pip_index=f"http://127.0.0.1:{index.getsockname()[1]}/simple")


def test_with_a_builder_that_is_killed_those_end_that_it_has_begun(
    machine: Machine, project: Project, index: socket.socket
) -> None:
    project.lock("fleet-tensor")
    first, second = project.task(machine), filled_by_pip(machine, project, index)
    thread = threading.Thread(target=_until_killed, args=(machine, first.followed_by([second])), daemon=True)
    thread.start()
    pip, _ = index.accept()
    os.kill(_builders(machine)[0], signal.SIGKILL)
    thread.join()
    _wait_for_end(pip)
    wait_for(lambda: not _builders(machine))
    assert machine.generations("cv_detect") == []
    project.lock("fleet-tensor", name="cv_detect")
    machine.apply(project.task(machine, spec="cv_detect.yml"))
    assert len(machine.generations("cv_detect")) == 1


def test_a_builder_that_is_ended_ends_what_it_tries(machine: Machine, project: Project) -> None:
    project.lock("fleet-tensor")
    hanging = machine.home / "hanging"
    spec = project.folder / "envs/nlp_train.yml"
    spec.write_text(spec.read_text() + f"fleetenv: {{verify: ['echo $$ >{hanging}; sleep 100']}}\n")
    task = project.task(machine)
    thread = threading.Thread(target=_until_killed, args=(machine, task), daemon=True)
    thread.start()
    wait_for(lambda: hanging.is_file() and hanging.read_text().strip(), 60)
    os.kill(_builders(machine)[0], signal.SIGTERM)
    thread.join()
    assert not Path(f"/proc/{hanging.read_text().strip()}").exists()
    assert machine.generations() == []
    assert not (machine.prefix / "envs/.fleetenv/lock.held").exists()


def test_when_the_first_fails_those_end_that_it_has_begun(
    machine: Machine, project: Project, index: socket.socket
) -> None:
    project.lock("fleet-tensor")
    begun = machine.home / "begun"
    os.mkfifo(begun)
    spec = project.folder / "envs/nlp_train.yml"
    spec.write_text(spec.read_text() + f"fleetenv: {{verify: ['read word <{begun}; exit 3']}}\n")
    first, second = project.task(machine), filled_by_pip(machine, project, index)
    thread = threading.Thread(target=_until_killed, args=(machine, first.followed_by([second])), daemon=True)
    thread.start()
    pip, _ = index.accept()
    begun.write_text("now\n")
    thread.join()
    _wait_for_end(pip)
    assert not _builders(machine)
    assert machine.generations("nlp_train") == machine.generations("cv_detect") == []


def test_one_that_was_rolled_back_is_not_built_again(machine: Machine, project: Project) -> None:
    for version in ("1.0", "1.1", "2.0"):
        project.lock(f"fleet-tensor={version}", name="cv_detect")
        machine.apply(project.task(machine, spec="cv_detect.yml", keep=3))
    machine.roll_back("cv_detect")
    before = machine.generations("cv_detect")
    project.lock("fleet-tensor")
    first, second = (project.task(machine, spec=f"{name}.yml", keep=3) for name in NAMES[:2])
    machine.apply(first.followed_by([second]))
    machine.apply(second)
    assert machine.generations("cv_detect") == before
    assert machine.python("import fleet_tensor; print(fleet_tensor.__version__)", "cv_detect") == "2.0"


def test_with_a_timeout_each_has_its_own_time(machine: Machine, project: Project, fleetenv_cli: CommandLine) -> None:
    tasks(machine, project, "fleet-tensor")
    spec = project.folder / "envs/nlp_train.yml"
    alone = f"test ! -e {machine.prefix}/envs/.fleetenv/cv_detect"
    spec.write_text(spec.read_text() + f"fleetenv: {{verify: ['{alone}']}}\n")
    (project.folder / "hosts.yml").write_text("all: {hosts: {a: {ansible_connection: local}}}\n")
    (project.folder / "site.yml").write_text(f"""\
- hosts: a
  gather_facts: false
  tasks:
    - conda_env: {{spec: "{{{{ item }}}}.yml", prefix: {machine.prefix}, pip_index: {project.channel.simple}}}
      loop: [nlp_train, cv_detect]
      timeout: 600
""")
    done = fleetenv_cli("apply", "site.yml", "-i", "hosts.yml", cwd=project.folder)
    assert done.status == 0, done.stdout + done.stderr


def test_tasks_that_follow_each_other_are_begun_as_a_loop_is(
    machine: Machine, project: Project, fleetenv_cli: CommandLine
) -> None:
    tasks(machine, project, "fleet-tensor", count=3)
    for name, told in (("cv_detect", "-e"), ("rl_play", "! -e")):  # whether it was built ahead of its turn
        spec = project.folder / f"envs/{name}.yml"
        verify = f"test {told} $CONDA_PREFIX/conda-meta/.fleetenv-ahead"
        spec.write_text(spec.read_text() + f"fleetenv: {{verify: ['{verify}']}}\n")
    (project.folder / "hosts.yml").write_text("all: {hosts: {a: {ansible_connection: local, wanted: true}}}\n")
    common = f"prefix: {machine.prefix}, pip_index: {project.channel.simple}"
    (project.folder / "site.yml").write_text(f"""\
- hosts: a
  gather_facts: false
  tasks:
    - conda_env: {{spec: nlp_train.yml, {common}}}
    - conda_env: {{spec: cv_detect.yml, {common}}}
      when: wanted
      register: second
    - conda_env: {{spec: rl_play.yml, {common}}}
      when: second is changed
""")
    done = fleetenv_cli("apply", "site.yml", "-i", "hosts.yml", cwd=project.folder)
    assert done.status == 0, done.stdout + done.stderr
    assert [machine.current(name).is_dir() for name in NAMES] == [True] * 3


def _until_killed(machine: Machine, task: LockedEnv) -> None:
    with pytest.raises(TaskFailed):
        machine.apply(task)


def _wait_for_end(pip: socket.socket) -> None:
    """Wait until the other end of a connection is gone."""
    with pip, suppress(ConnectionResetError):
        pip.settimeout(60)
        while pip.recv(65536):
            pass


def _builders(machine: Machine) -> list[int]:
    """Find the builders that run on this machine, the one that has started the others first."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if words[0] == os.fsencode(machine.prefix / "bin" / "python"):
                found.append(int(folder.name))
    return sorted(found)
