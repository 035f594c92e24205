"""conda_env on one host: built, left alone, mended, switched, removed."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from fleetenv.errors import InputError, TaskFailed
from fleetenv.modules.conda_env import CondaEnv
from fleetenv.state import Diff

from .machine import Machine, Project, wait_for


def keys(diff: Diff) -> set[str]:
    return {each.key for each in diff.differences}


def site_packages(machine: Machine) -> Path:
    return next(machine.current().glob("lib/python3.*/site-packages"))


def test_an_environment_is_built_and_then_left_alone(machine: Machine, project: Project) -> None:
    project.lock("fleet-text", "pip", pip=("fleet-plots",), TOKENIZERS_PARALLELISM="false")
    task = project.task(machine)

    first = machine.apply(task)

    assert {"present", "managed", "packages.fleet-text", "packages.python", "pip.fleet-plots"} <= keys(first)
    assert machine.python("import fleet_text, fleet_plots; print(fleet_text.__version__)") == "1.0"
    assert not machine.apply(task)
    assert [each[:5] for each in machine.generations()] == ["0001-"]
    assert machine.said[-1].split()[1] == machine.said[-1].split()[2]  # progress ended at its total


def test_using_an_environment_is_no_difference(machine: Machine, project: Project) -> None:
    project.lock("fleet-text", "pip", pip=("fleet-plots",))
    task = project.task(machine)
    machine.apply(task)
    machine.python("import fleet_text, fleet_plots, json, asyncio, unittest, pip")
    subprocess.run([machine.current() / "bin" / "pip", "list"], check=True, capture_output=True)
    assert not machine.diff(task)


def test_check_mode_says_what_would_be_built_before_miniconda_is_there(machine: Machine, project: Project) -> None:
    project.lock("fleet-text")
    nowhere = replace(machine, prefix=machine.home / "not-yet")
    checking = project.task(nowhere, check=True)
    diff = nowhere.diff(checking)
    assert "packages.fleet-text" in keys(diff)
    assert list(checking.converge(diff))
    with pytest.raises(TaskFailed, match=r"there is no Miniconda in .*not-yet: a task 'miniconda: {prefix: "):
        nowhere.diff(project.task(nowhere))


def test_a_change_of_the_spec_builds_a_new_generation_and_keeps_two(machine: Machine, project: Project) -> None:
    seen = []
    for version in ("1.0", "1.1", "2.0"):
        project.lock(f"fleet-tensor={version}")
        machine.apply(project.task(machine))
        seen.append(machine.python("import fleet_tensor; print(fleet_tensor.__version__)"))
    assert seen == ["1.0", "1.1", "2.0"]
    assert [each[:4] for each in machine.generations()] == ["0002", "0003"]
    assert not machine.diff(project.task(machine))


def test_variables_are_conda_s_and_change_without_a_new_lock(machine: Machine, project: Project) -> None:
    project.lock("fleet-tensor", A="1")
    machine.apply(project.task(machine))
    project.spec("fleet-tensor", A="2", B="x y")
    diff = machine.apply(project.task(machine))
    assert keys(diff) == {"variables.A", "variables.B"}


def test_a_file_overwritten_through_its_hard_link_is_fetched_anew(machine: Machine, project: Project) -> None:
    project.lock("fleet-text")
    task = project.task(machine)
    machine.apply(task)
    victim = site_packages(machine) / "fleet_text" / "__init__.py"
    assert victim.stat().st_nlink > 1
    with victim.open("a") as file:  # the package cache's file is the same one
        file.write("\nraise SystemExit('damaged')\n")
    machine.apply(task)
    assert machine.python("import fleet_text; print(fleet_text.__version__)") == "1.0"


def test_a_running_job_keeps_its_generation_through_switches(machine: Machine, project: Project) -> None:
    project.lock("fleet-tensor=1.0")
    machine.apply(project.task(machine))
    code = (
        "import sys; print('ready', flush=True); sys.stdin.readline(); import fleet_tensor, subprocess;"
        "print(fleet_tensor.__version__);"
        "print(subprocess.run([sys.executable, '-c', 'import fleet_tensor; print(fleet_tensor.__version__)'],"
        " capture_output=True, text=True).stdout)"
    )
    names = ("python", "python3", next(site_packages(machine).parents[0].glob("os.py")).parent.name)
    jobs = [
        subprocess.Popen(
            [machine.prefix / "envs" / "nlp_train" / "bin" / name, "-c", code],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=machine.environment,
        )
        for name in names
    ]  # fmt: skip
    for job in jobs:
        assert job.stdout
        assert job.stdout.readline() == "ready\n"
    first = machine.current()
    for version in ("1.1", "2.0", "1.1"):
        project.lock(f"fleet-tensor={version}")
        machine.apply(project.task(machine))
    assert first.is_dir()  # three generations ago, but in use
    for job in jobs:
        assert job.communicate("go\n", timeout=20)[0].split() == ["1.0", "1.0"]
    project.lock("fleet-tensor=2.0")
    machine.apply(project.task(machine))
    assert not first.exists()


def test_an_environment_made_by_hand_is_kept_until_the_new_one_works(machine: Machine, project: Project) -> None:
    by_hand = machine.prefix / "envs" / "nlp_train"
    (by_hand / "conda-meta").mkdir(parents=True)
    (by_hand / "conda-meta" / "history").touch()
    (by_hand / "precious").write_text("mine")
    project.lock("fleet-text")
    diff = machine.apply(project.task(machine))
    assert "managed" in keys(diff)
    assert by_hand.is_symlink()
    assert [each[:5] for each in machine.generations()] == ["0001-", "0002-"]
    assert machine.generations()[0].endswith("-by-hand")
    folder = by_hand.parent / ".fleetenv" / "nlp_train"
    assert (folder / machine.generations()[0] / "precious").read_text() == "mine"


def test_absent_removes_the_environment_and_spares_what_runs(machine: Machine, project: Project) -> None:
    project.lock("fleet-text")
    machine.apply(project.task(machine))
    job = subprocess.Popen(
        [machine.prefix / "envs" / "nlp_train" / "bin" / "python", "-c", "input(); import fleet_text"],
        stdin=subprocess.PIPE, env=machine.environment,
    )  # fmt: skip
    wait_for(lambda: Path(f"/proc/{job.pid}/exe").readlink().is_relative_to(machine.prefix))
    gone = project.task(machine, state="absent")
    machine.apply(gone)
    assert not (machine.prefix / "envs" / "nlp_train").exists()
    assert machine.generations()
    job.communicate(b"\n", timeout=20)
    assert job.returncode == 0
    assert not machine.diff(gone)
    project.lock("fleet-text")
    machine.apply(project.task(machine))
    machine.apply(gone)
    assert machine.generations() == []


def test_without_pip_among_its_packages_miniconda_s_pip_installs_the_pip_section(
    machine: Machine, project: Project
) -> None:
    project.lock("fleet-tensor=1.1", pip=("fleet-plots",))
    machine.apply(project.task(machine))
    assert machine.python("import fleet_plots, fleet_tensor; print(fleet_tensor.__version__)") == "1.1"
    assert not (site_packages(machine) / "pip").exists()


def test_apply_can_lock_at_once(machine: Machine, project: Project) -> None:
    project.spec("fleet-tensor")
    machine.apply(project.task(machine, relock=True))
    assert not machine.diff(project.task(machine))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mirrors": ["tunna"]}, "'mirrors': there is no mirror 'tunna'; did you mean 'tuna'?"),
        ({"spec": None}, "'spec' is needed"),
        ({"spec": None, "state": "absent"}, "'environment' or 'spec' is needed"),
        ({"environment": "../base"}, "'environment' is a name of letters, digits"),
        ({"prefix": "miniconda3"}, "'prefix' must be where Miniconda is, such as /opt/miniconda3"),
    ],
)
def test_what_no_host_could_do_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        CondaEnv.from_arguments({"spec": "nlp_train.yml", "prefix": "/opt/miniconda3"} | arguments)


def test_absent_needs_only_a_name(machine: Machine, project: Project) -> None:
    assert not machine.apply(project.task(machine, spec=None, environment="never_there", state="absent"))


def test_a_missing_or_stale_lock_says_which_command_mends_it(machine: Machine, project: Project) -> None:
    path = project.spec("fleet-text")
    with pytest.raises(InputError, match=r"nlp_train\.yml:1:1: nlp_train\.yml has no lock; run 'fleetenv lock .*yml'"):
        project.task(machine)
    project.lock("fleet-text")
    path.write_text(path.read_text() + "# a comment changes nothing\n")
    project.task(machine)
    project.spec("fleet-text", "pip")
    with pytest.raises(InputError, match=r"nlp_train.lock is stale.*; run 'fleetenv lock"):
        project.task(machine)


def test_a_host_whose_driver_is_too_old_is_refused_before_anything_is_downloaded(
    machine: Machine, project: Project, tmp_path: Path
) -> None:
    project.lock("fleet-cuda=12.4")
    smi = tmp_path / "bin" / "nvidia-smi"
    smi.parent.mkdir()
    smi.write_text(
        "#!/bin/sh\necho '<driver_version>470.82.01</driver_version>'\necho '<cuda_version>11.4</cuda_version>'\n"
    )
    smi.chmod(0o755)
    old = replace(machine, environment=machine.environment | {"PATH": f"{smi.parent}:{machine.environment['PATH']}"})
    reason = (
        r"driver 470\.82\.01 supports CUDA 11\.4; nlp_train needs __cuda >=12\.4 \(fleet-cuda\): install driver 550"
    )
    with pytest.raises(TaskFailed, match=reason):
        old.diff(project.task(old))
    with pytest.raises(TaskFailed, match=r"this host has no working NVIDIA driver; nlp_train needs __cuda >=12.4"):
        machine.diff(project.task(machine))
    assert not (machine.prefix / "envs").exists() or not machine.generations()


def test_conda_s_own_files_are_as_conda_expects_them(machine: Machine, project: Project) -> None:
    project.lock("fleet-text", A="1")
    machine.apply(project.task(machine))
    env = machine.prefix / "envs" / "nlp_train"
    assert str(env) in (machine.home / ".conda" / "environments.txt").read_text().splitlines()
    assert "nlp_train.yml" in (env / "conda-meta" / "frozen").read_text()
    assert "# update specs: [" in (env / "conda-meta" / "history").read_text()
    assert all(path.read_text().startswith("{") for path in (env / "conda-meta").glob("*.json"))
