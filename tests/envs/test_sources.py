"""Where a host's packages come from: mirrors that fail, lie or crawl, a disk without room, a builder that is killed."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from fleetenv.conda.relock import Wishes, relock
from fleetenv.conda.spec import read_spec
from fleetenv.errors import TaskFailed
from fleetenv.modules.conda_env import LockedEnv

from .machine import Machine, Project, wait_for
from .test_builder import builder, remove, start
from .wayward import Wayward, serving

PACKAGE = "noarch/fleet-text-1.0-pyh_0.conda"
PATH = f"/anaconda/cloud/conda-forge/{PACKAGE}"


@pytest.fixture
def mirrors(project: Project, tmp_path: Path) -> Iterator[list[Wayward]]:
    """Two mirrors of a conda-forge that is the lab's channel."""
    (tmp_path / "site" / "anaconda" / "cloud").mkdir(parents=True)
    (tmp_path / "site" / "anaconda" / "cloud" / "conda-forge").symlink_to(project.channel.path)
    with ExitStack() as stack:
        yield [stack.enter_context(serving(tmp_path / "site")) for _ in range(2)]


@pytest.fixture
def task(project: Project, mirrors: list[Wayward], machine: Machine) -> LockedEnv:
    """An environment whose own package is in no cache."""
    path = project.spec("fleet-text")
    path.write_text(path.read_text().replace(project.channel.url, "conda-forge"))
    relock(read_spec(path), Wishes(mirror=f"{mirrors[1].url}/anaconda"))
    for each in mirrors:
        each.asked.clear()
    for cached in (machine.prefix / "pkgs").glob("fleet-text-*"):
        remove(cached)
    return project.task(machine, mirrors=[f"{each.url}/anaconda" for each in mirrors])


def pkgs(machine: Machine) -> list[str]:
    return [path.name for path in (machine.prefix / "pkgs").iterdir() if path.name.startswith((".fleet", "fleet-text"))]


def test_a_mirror_with_wrong_bytes_is_left_for_the_next_and_named(
    machine: Machine, mirrors: list[Wayward], task: LockedEnv
) -> None:
    mirrors[0].replaced[PATH] = b"something else"
    machine.apply(task)
    assert [path for path, _ in mirrors[1].asked if path == PATH] == [PATH]
    assert machine.notes == [
        f"{mirrors[0].url}: it has 14 bytes, not {(mirrors[0].folder / PATH[1:]).stat().st_size};"
        " 1 file came from elsewhere"
    ]
    assert ".fleetenv-partial" not in pkgs(machine)


def test_a_builder_killed_in_a_download_is_gone_on_with_where_it_was(
    machine: Machine, mirrors: list[Wayward], task: LockedEnv, tmp_path: Path
) -> None:
    mirrors[0].trickle = 0.001
    process = start(machine, builder(machine, task), tmp_path / "log")
    wait_for(lambda: mirrors[0].sent > 50)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert machine.generations() == [] or not (machine.prefix / "envs" / "nlp_train").exists()
    mirrors[0].trickle = None
    mirrors[0].asked.clear()
    (machine.prefix / "pkgs" / ".fleet-text-1.0-pyh_0TWQ3Ww").mkdir()  # as py-rattler leaves it, killed in unpacking
    machine.apply(task)
    ((_, first),) = [each for each in mirrors[0].asked if each[0] == PATH]
    assert first > 0
    assert machine.python("import fleet_text; print(fleet_text.__version__)") == "1.0"
    assert len(machine.generations()) == 1
    assert not [name for name in pkgs(machine) if name.startswith(".")]


def test_a_package_damaged_in_the_cache_is_fetched_anew_from_a_mirror_that_works(
    machine: Machine, mirrors: list[Wayward], task: LockedEnv
) -> None:
    machine.apply(task)
    module = next(machine.prefix.glob("pkgs/fleet-text-1.0-*/site-packages/fleet_text/__init__.py"))
    with module.open("a") as file:
        file.write("damaged\n")
    mirrors[0].status = 503
    machine.apply(task)
    assert machine.python("import fleet_text; print(fleet_text.__version__)") == "1.0"
    assert machine.notes[0].startswith(f"{mirrors[0].url}: HTTP 503 ")


def test_without_room_nothing_is_downloaded(
    machine: Machine, mirrors: list[Wayward], task: LockedEnv, project: Project
) -> None:
    lock = project.folder / "envs" / "nlp_train.lock"
    size = (mirrors[0].folder / PATH[1:]).stat().st_size
    free = shutil.disk_usage(machine.prefix).free
    assert f"size: {size}\n" in lock.read_text()
    lock.write_text(lock.read_text().replace(f"size: {size}\n", f"size: {free}\n"))
    told = (
        rf"^there is no room on the disk of {machine.prefix}/pkgs: \d packages? needs? about \d+ MB, \d+ MB are free$"
    )
    with pytest.raises(TaskFailed, match=told):
        machine.apply(project.task(machine, mirrors=[f"{each.url}/anaconda" for each in mirrors]))
    assert [each.asked for each in mirrors] == [[], []]
    assert machine.generations() == []
    assert pkgs(machine) == []
