"""The builder on a host when things go wrong: killed, alone in the dark, lied to, out of space, not alone."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from fleetenv.conda.relock import Wishes, relock
from fleetenv.conda.spec import read_spec
from fleetenv.errors import TaskFailed
from fleetenv.modules.conda_env import LockedEnv
from fleetenv.onhost.lock import Holder, Lock
from fleetenv.remote import Run

from .machine import Machine, Project, install, wait_for

LITTERED = (".fleetenv", "envs", "envs/.fleetenv", "envs/.fleetenv/*", "pkgs")
"""Where a build that was killed may leave something."""


def builder(machine: Machine, task: LockedEnv) -> Run:
    """Carry out all but the last step, and return that."""
    *before, last = task.converge(machine.diff(task))
    for step in before:
        machine.take(step)
    assert isinstance(last, Run)
    return last


def start(machine: Machine, step: Run, log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as file:
        process = subprocess.Popen(
            ["sh", "-c", f"exec {step.script}"], stdin=subprocess.PIPE, stdout=file, stderr=file,
            env=machine.environment, cwd=machine.home, start_new_session=True,
        )  # fmt: skip
    assert process.stdin
    process.stdin.write(step.stdin)
    process.stdin.close()
    return process


@pytest.fixture
def forge(project: Project, web: object, tmp_path: Path) -> Iterator[object]:
    """The lab's channel, served as a mirror serves conda-forge."""
    site = tmp_path / "site"
    (site / "anaconda" / "cloud").mkdir(parents=True)
    shutil.copytree(project.channel.path, site / "anaconda" / "cloud" / "conda-forge")
    return web(site)  # type: ignore[operator]


@pytest.fixture
def forge_task(project: Project, forge: object, machine: Machine) -> LockedEnv:
    """An environment of conda-forge, locked with canonical URLs; nothing of it is in the host's cache."""
    path = project.spec("fleet-text")
    path.write_text(path.read_text().replace(project.channel.url, "conda-forge"))
    lock = relock(read_spec(path), Wishes(mirror=forge.url("anaconda")))  # type: ignore[attr-defined]
    assert all(
        each.url.startswith("https://conda.anaconda.org/conda-forge/") for each in lock.platforms["linux-64"].conda
    )
    for cached in (machine.prefix / "pkgs").glob("fleet-*"):
        remove(cached)
    return project.task(machine)


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def test_killed_at_any_moment_it_leaves_the_present_environment_and_the_next_run_converges(
    machine: Machine, project: Project, tmp_path: Path
) -> None:
    project.lock("fleet-tensor=1.0", pip=("fleet-metrics",))
    machine.apply(project.task(machine))
    project.lock("fleet-tensor=2.0", pip=("fleet-metrics",))
    task = project.task(machine)
    dice = random.Random(7)
    for attempt in range(8):
        process = start(machine, builder(machine, task), tmp_path / "log")
        try:
            process.wait(dice.uniform(0.0, 1.5))
        except subprocess.TimeoutExpired:
            process.kill()  # the builder alone: what it started must not harm the next run
            process.wait()
        version = machine.python("import fleet_tensor; print(fleet_tensor.__version__)")
        assert version == ("2.0" if not machine.diff(task) else "1.0"), attempt
        if version == "2.0":
            project.lock(f"fleet-tensor={'1.0' if attempt % 2 else '1.1'}", pip=("fleet-metrics",))
            machine.apply(project.task(machine))
            project.lock("fleet-tensor=1.0", pip=("fleet-metrics",))
            machine.apply(project.task(machine))
            project.lock("fleet-tensor=2.0", pip=("fleet-metrics",))
            task = project.task(machine)
    machine.apply(task)
    assert machine.python("import fleet_tensor; print(fleet_tensor.__version__)") == "2.0"
    assert len(machine.generations()) == 2
    left = {path.relative_to(machine.prefix) for folder in LITTERED for path in machine.prefix.glob(f"{folder}/.*")}
    assert left <= {Path("pkgs/.cache.lock"), Path("envs/.fleetenv")}
    assert {path.name for path in (machine.prefix / "envs/.fleetenv").iterdir()} == {"lock", "nlp_train"}
    assert {path.name.partition("-")[0] for path in (machine.prefix / ".fleetenv").iterdir()} <= {"builder", "py"}


def test_two_builders_at_once_take_turns(machine: Machine, project: Project, tmp_path: Path) -> None:
    project.lock("fleet-tensor")
    task = project.task(machine)
    step = builder(machine, task)
    logs = [tmp_path / f"log{each}" for each in range(2)]
    folder = machine.prefix / "envs/.fleetenv"
    folder.mkdir(parents=True, exist_ok=True)
    with Lock(folder, Holder.this_process("ops@bastion", "tidying up")).held(0):
        both = [start(machine, step, log) for log in logs]
        wait_for(lambda: all("waiting for ops@bastion: tidying up" in log.read_text() for log in logs))
    assert [each.wait(60) for each in both] == [0, 0]
    assert not machine.diff(task)
    assert len(machine.generations()) == 1  # the second one saw that there was nothing left to do


def test_a_mirror_of_the_host_s_condarc_is_used_and_records_stay_canonical(
    machine: Machine, forge: object, forge_task: LockedEnv
) -> None:
    condarc = machine.prefix / ".condarc"
    condarc.write_text(f"custom_channels:\n  conda-forge: {forge.url('anaconda/cloud')}\n")  # type: ignore[attr-defined]
    try:
        machine.apply(forge_task)
    finally:
        condarc.unlink()
    record = json.loads(next((machine.current() / "conda-meta").glob("fleet-text-*.json")).read_text())
    assert record["url"].startswith("https://conda.anaconda.org/conda-forge/noarch/fleet-text")


def test_a_dead_mirror_is_left_for_the_next(
    machine: Machine, project: Project, forge: object, forge_task: LockedEnv
) -> None:
    alive = forge.url("anaconda")  # type: ignore[attr-defined]
    machine.apply(project.task(machine, mirrors=["http://127.0.0.1:9/anaconda", alive]))
    assert machine.python("import fleet_text") == ""


def test_no_mirror_alive_is_one_clear_line(machine: Machine, project: Project, forge_task: LockedEnv) -> None:
    with pytest.raises(TaskFailed) as caught:
        machine.apply(project.task(machine, mirrors=["http://secret:word@127.0.0.1:9/anaconda"]))
    line = str(caught.value)
    assert line.startswith("cannot download http://127.0.0.1:9/anaconda/cloud/conda-forge/")
    assert re.search(r": Connection refused(?: \(and \d+ more\))?$", line)
    assert "\n" not in line
    assert machine.generations() == []


def test_wrong_bytes_are_refused_by_their_hash(
    machine: Machine, project: Project, forge: object, forge_task: LockedEnv
) -> None:
    served = forge.folder / "anaconda" / "cloud" / "conda-forge" / "noarch" / "fleet-text-1.0-pyh_0.conda"  # type: ignore[attr-defined]
    shutil.copy(served.with_name("fleet-tensor-1.1-pyh_0.conda"), served)
    told = r"^cannot download \S*/fleet-text-1.0-pyh_0.conda: it has \d+ bytes, not \d+$"
    with pytest.raises(TaskFailed, match=told):
        machine.apply(project.task(machine, mirrors=[forge.url("anaconda")]))  # type: ignore[attr-defined]
    assert machine.generations() == []


def test_a_wheel_with_another_hash_is_refused(machine: Machine, project: Project) -> None:
    project.lock("pip", pip=("fleet-metrics",))
    lock = project.folder / "envs" / "nlp_train.lock"
    text = lock.read_text()
    good = text.rpartition("sha256: ")[2].strip()
    lock.write_text(text.replace(good, "0" * 64))
    with pytest.raises(TaskFailed, match=r"^pip: [^\n]*(HASH|hash)[^\n]*$"):
        machine.apply(project.task(machine))
    assert machine.generations() == []


def test_a_damaged_runtime_is_noticed(miniconda: Path, project: Project, tmp_path: Path) -> None:
    machine = install(miniconda, tmp_path / "fresh")
    project.lock("fleet-tensor")
    task = project.task(machine)
    step = builder(machine, task)
    archive = next((machine.prefix / ".fleetenv").glob("py-rattler-*.tar.*"))
    archive.write_bytes(archive.read_bytes()[:-100])
    with pytest.raises(TaskFailed, match=r"has sha256 .*; apply again"):
        machine.take(step)
    machine.apply(task)


def test_a_miniconda_that_reads_zstd_is_sent_less(miniconda: Path, project: Project, tmp_path: Path) -> None:
    machine = install(miniconda, tmp_path / "fresh")
    site_packages = next(machine.prefix.glob("lib/python3.*/site-packages"))
    shutil.copytree(Path(zstandard.__file__).parent, site_packages / "zstandard", dirs_exist_ok=True)
    (machine.prefix / "conda-meta/zstandard-0.25.0-0.json").write_text("{}")
    project.lock("fleet-tensor")
    step = builder(machine, project.task(machine))
    (archive,) = (machine.prefix / ".fleetenv").glob("py-rattler-*")
    assert archive.suffix == ".zst"
    machine.take(step)
    assert machine.python("import fleet_tensor; print(fleet_tensor.__name__)") == "fleet_tensor"


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="its Python reads zstd itself")
def test_a_miniconda_that_only_claims_to_read_zstd_is_called_broken(
    miniconda: Path, project: Project, tmp_path: Path
) -> None:
    machine = install(miniconda, tmp_path / "fresh")
    (machine.prefix / "conda-meta/zstandard-0.25.0-0.json").write_text("{}")
    project.lock("fleet-tensor")
    with pytest.raises(TaskFailed, match=r"^this Miniconda is broken: [^\n]*zstandard[^\n]*$"):
        machine.apply(project.task(machine))


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
def test_a_full_disk_is_one_clear_line_and_nothing_is_left(miniconda: Path, project: Project, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=260m", "tmpfs", disk], check=True)
    try:
        machine = install(miniconda, disk / "host")
        project.lock("fleet-tensor=1.0")
        machine.apply(project.task(machine))
        ballast = disk / "ballast"
        project.lock("fleet-tensor=2.0", "pip")
        free = shutil.disk_usage(disk).free
        ballast.write_bytes(b"x" * (free - 3_000_000))
        with pytest.raises(TaskFailed, match=r"^the disk of [^\n]* is full \(\d+ MB free\)$"):
            machine.apply(project.task(machine))
        assert machine.python("import fleet_tensor; print(fleet_tensor.__version__)") == "1.0"
        assert len(machine.generations()) == 1
        assert not list((machine.prefix / "pkgs").glob(".fleetenv*"))
        ballast.unlink()
        machine.apply(project.task(machine))
    finally:
        subprocess.run(["umount", "-l", disk], check=True)
