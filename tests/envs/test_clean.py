"""What is removed, and what never is."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fleetenv.errors import TaskFailed
from fleetenv.lab.channel import LabChannel
from fleetenv.onhost.cleaning import Cleaning
from fleetenv.onhost.disk import network_file_system

from .machine import Machine, Project, install, wait_for


def going(cleaning: Cleaning) -> dict[str, str]:
    return {item.name: item.kind for item in cleaning.items if not item.stays}


@pytest.fixture(scope="module")
def shared_machine(miniconda: Path, lab_channel: LabChannel, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    for version in ("1.0", "1.1", "1.2"):  # a package that no environment of this machine's own users can have
        lab_channel.add_package("fleet-cleaned", version)
    return install(miniconda, tmp_path_factory.mktemp("cleaned"))


@pytest.fixture
def machine(shared_machine: Machine) -> Iterator[Machine]:
    """A host with Miniconda, no environments, and of its package cache what base needs."""
    yield shared_machine
    shutil.rmtree(shared_machine.prefix / "envs")
    age(shared_machine)
    shared_machine.clean()


def age(machine: Machine) -> None:
    """Let an hour pass for the package cache: what is younger might be about to be linked by somebody."""
    for path in (machine.prefix / "pkgs").iterdir():
        os.utime(path, (time.time() - 7200,) * 2)


def used(folder: Path) -> int:
    """What `du` says: hard links once."""
    return int(subprocess.run(["du", "-s", "-B1", folder], capture_output=True, check=True).stdout.split()[0])


def test_old_generations_and_the_packages_that_only_they_have(machine: Machine, project: Project) -> None:
    for version in ("1.0", "1.1", "1.2"):
        project.lock(f"fleet-cleaned={version}")
        machine.apply(project.task(machine, keep=3))
    age(machine)
    generations = machine.generations()

    checked = machine.clean(keep=1, check=True)

    assert machine.generations() == generations
    expected = {f"nlp_train/{name}": "generation" for name in generations[:2]}
    packages = {"fleet-cleaned-1.0-pyh_0": "package", "fleet-cleaned-1.1-pyh_0": "package"}
    assert going(checked) == expected | packages
    before = used(machine.prefix)
    assert machine.clean(keep=1) == checked
    freed = sum(item.size for item in checked.items)
    assert abs(before - used(machine.prefix) - freed) < 64_000  # lock files, and folders that shrank
    assert machine.generations() == generations[2:]
    assert machine.python("import fleet_cleaned; print(fleet_cleaned.__version__)") == "1.2"
    assert not machine.diff(project.task(machine))
    assert not list((machine.prefix / "pkgs").glob("fleet-cleaned-1.[01]*"))
    assert machine.clean(keep=1).items == []


def test_the_current_generation_stays_also_after_a_rollback(machine: Machine, project: Project) -> None:
    for version in ("1.0", "1.1"):
        project.lock(f"fleet-cleaned={version}")
        machine.apply(project.task(machine))
    current = machine.roll_back().after
    machine.clean(keep=1)
    assert machine.generations() == [current]
    assert machine.current().name == current


def test_a_package_stays_while_anything_knows_it(machine: Machine, project: Project, tmp_path: Path) -> None:
    project.lock("fleet-cleaned=1.0")
    machine.apply(project.task(machine))
    elsewhere = tmp_path / "elsewhere"  # a copy, as conda makes across file systems: it has no hard links
    shutil.copytree(machine.current(), elsewhere, symlinks=True)
    listed = machine.home / ".conda" / "environments.txt"
    listed.write_text(f"{listed.read_text()}{elsewhere}\n")
    age(machine)
    assert going(machine.clean("nlp_train", keep=1)) == {"nlp_train": "environment"}
    shutil.rmtree(elsewhere)
    link = tmp_path / "linked.py"
    package = machine.prefix / "pkgs" / "fleet-cleaned-1.0-pyh_0"
    os.link(package / "site-packages" / "fleet_cleaned" / "__init__.py", link)
    assert going(machine.clean()) == {}
    link.unlink()
    os.utime(package)  # only just unpacked
    assert going(machine.clean()) == {}
    age(machine)
    assert going(machine.clean()) == {"fleet-cleaned-1.0-pyh_0": "package"}
    assert not list((machine.prefix / "pkgs").glob("fleet-cleaned-1.0*"))
    assert list((machine.prefix / "pkgs").glob("python-*"))  # base has it


def test_environments_go_only_when_they_are_named(machine: Machine, project: Project) -> None:
    by_hand = machine.prefix / "envs" / "old_by_hand"
    (by_hand / "conda-meta").mkdir(parents=True)
    (by_hand / "conda-meta" / "history").touch()
    project.lock("fleet-cleaned")
    machine.apply(project.task(machine))
    assert going(machine.clean()) == {}
    cleaned = machine.clean("old_by_hand", "nlp_train", "never_there", "base")
    assert going(cleaned) == {"old_by_hand": "environment", "nlp_train": "environment"}
    assert cleaned.notes == ["there is no environment 'never_there'", "base is Miniconda's own, and stays"]
    assert sorted(path.name for path in by_hand.parent.iterdir()) == [".fleetenv"]
    assert machine.generations() == []
    assert str(by_hand.parent / "nlp_train") not in (machine.home / ".conda" / "environments.txt").read_text()


def test_an_environment_made_by_hand_stays_while_it_is_used(machine: Machine, project: Project) -> None:
    by_hand = machine.prefix / "envs" / "old_by_hand"
    (by_hand / "conda-meta").mkdir(parents=True)
    (by_hand / "conda-meta" / "history").touch()
    me = f"in use by process {os.getpid()} of {Path('/proc/self').owner()}"
    project.spec("fleet-cleaned")
    absent = project.task(machine, spec=None, environment="old_by_hand", state="absent")
    with (by_hand / "conda-meta" / "history").open():
        assert [each.stays for each in machine.clean("old_by_hand").items] == [me]
        with pytest.raises(TaskFailed, match=f"old_by_hand is {me}"):
            machine.apply(absent)
    machine.apply(absent)
    assert not by_hand.exists()


def test_a_link_to_an_environment_elsewhere_stays_while_that_is_used(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "moved" / "conda-meta").mkdir(parents=True)
    history = tmp_path / "moved" / "conda-meta" / "history"
    history.touch()
    link = machine.prefix / "envs" / "moved"
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(tmp_path / "moved")
    with history.open():
        assert [process.number for process in machine.environments()["moved"].processes] == [os.getpid()]
        assert [each.stays.partition(" process")[0] for each in machine.clean("moved").items] == ["in use by"]
    assert going(machine.clean("moved")) == {"moved": "environment"}
    assert history.exists()
    assert not link.is_symlink()


def test_what_a_process_has_open_stays(machine: Machine, project: Project) -> None:
    for version in ("1.0", "1.1"):
        project.lock(f"fleet-cleaned={version}")
        machine.apply(project.task(machine))
    old = machine.generations()[0]
    readme = machine.current().parent / old / "conda-meta" / "history"
    package = machine.prefix / "pkgs" / "fleet-cleaned-1.0-pyh_0" / "info" / "index.json"
    held = [readme.open(), package.open()]  # this process is not the one that cleans
    age(machine)
    stays = {item.name: item.stays for item in machine.clean("nlp_train", keep=1).items}
    me = f"in use by process {os.getpid()} of {Path('/proc/self').owner()}"
    assert stays == {"nlp_train": me}
    assert {item.name: item.stays for item in machine.clean(keep=1).items} == {f"nlp_train/{old}": me}
    held[0].close()
    cleaned = {item.name: item.stays for item in machine.clean(keep=1).items}
    assert cleaned == {f"nlp_train/{old}": "", "fleet-cleaned-1.0-pyh_0": me}
    held[1].close()
    assert going(machine.clean(keep=1)) == {"fleet-cleaned-1.0-pyh_0": "package"}


def test_leftovers_go_unless_somebody_is_building(machine: Machine, project: Project) -> None:
    project.lock("fleet-cleaned")
    machine.apply(project.task(machine))
    folder = machine.current().parent
    for name in ("0007-aaaaaaaaaaaa", ".removed-0001-bbbbbbbbbbbb"):
        (folder / name / "lib").mkdir(parents=True)
    removed = folder.parent / "gone_env" / "0002-cccccccccccc"
    (removed / "conda-meta").mkdir(parents=True)
    (removed / "conda-meta" / "fleetenv").touch()
    builder = subprocess.Popen(
        ["flock", folder.parent / "lock", "sleep", "60"], stdin=subprocess.DEVNULL, start_new_session=True
    )
    holder = (
        '{"who": "bob@ctl02", "what": "building x", "host": "h", "process": 1, "boot": "%s", "since": 0, "token": "t"}'
    )
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    (folder.parent / "lock.held").write_text(holder % boot)
    try:
        wait_for(lambda: subprocess.run(["flock", "-n", folder.parent / "lock", "true"]).returncode)
        checked = machine.clean(check=True)
        assert going(checked) == {"gone_env/0002-cccccccccccc": "generation"}
        assert checked.notes[0].startswith("what bob@ctl02: building x, since ")
    finally:
        os.killpg(builder.pid, 9)
        builder.wait()
    part = machine.prefix / "pkgs" / ".fleetenv-partial" / "0123.part"
    part.parent.mkdir(exist_ok=True)
    part.touch()
    sent = machine.prefix / ".fleetenv" / ".py-rattler.tar.gz.fleetenv-0123"
    sent.touch()
    os.utime(sent, (1, 1))
    leftovers = {str(sent.relative_to(machine.prefix)): "unfinished"}
    leftovers |= {f"nlp_train/{name}": "unfinished" for name in ("0007-aaaaaaaaaaaa", ".removed-0001-bbbbbbbbbbbb")}
    assert going(machine.clean()) == {"gone_env/0002-cccccccccccc": "generation", **leftovers}
    assert machine.generations() == [machine.current().name]
    assert not removed.parent.exists()
    assert part.exists()  # somebody may be about to go on with it


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/opt/miniconda3", ""),
        ("/shared/opt/miniconda3", "nfs4"),
        ("/shared/local disk/miniconda3", ""),
        ("/shared2/miniconda3", ""),
        ("/home/alice/miniconda3", "fuse.sshfs"),
    ],
)
def test_a_network_file_system_is_known_by_its_mount(path: str, kind: str) -> None:
    mounts = (
        "/dev/sda1 / ext4 rw 0 0\nnas:/export /shared nfs4 rw 0 0\n/dev/sdb1 /shared/local\\040disk xfs rw 0 0\n"
        "autofs /home autofs rw 0 0\nalice@nas: /home fuse.sshfs rw 0 0\nbroken\n"
    )
    assert network_file_system(mounts, path) == kind


def test_a_prefix_that_is_reached_through_a_link_is_the_same(
    machine: Machine, project: Project, tmp_path: Path
) -> None:
    """The kernel tells of open files by their real paths."""
    alias = replace(machine, prefix=tmp_path / "opt")
    alias.prefix.symlink_to(machine.prefix)
    for version in ("1.0", "1.1"):
        project.lock(f"fleet-cleaned={version}")
        alias.apply(project.task(alias))
    old = alias.generations()[0]
    with (alias.current().parent / old / "conda-meta" / "history").open():
        (item,) = alias.clean(keep=1).items
    assert (item.name, item.stays.partition(" process")[0]) == (f"nlp_train/{old}", "in use by")
