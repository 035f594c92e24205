"""fleetenv lock: what it writes, when it refuses, what it says."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from rattler import LockFile

from fleetenv.conda.channels import OFFICIAL_ALIAS
from fleetenv.conda.lock import changes, fresh_lock, read_lock
from fleetenv.conda.relock import Wishes, relock, stale
from fleetenv.conda.spec import read_spec
from fleetenv.errors import InputError

from .machine import Project


def lock(project: Project, *packages: str, wishes: Wishes | None = None, **more: Any) -> Path:
    path = project.spec(*packages, **more)
    relock(read_spec(path), wishes or Wishes(pip_index=project.channel.simple))
    return path.with_suffix(".lock")


def test_py_rattler_reads_every_package_with_its_hash(project: Project) -> None:
    path = lock(project, "fleet-text", "pip", pip=("fleet-plots",))
    environment = LockFile.from_path(path).default_environment()
    assert environment
    platform = environment.platforms()[0]
    packages = environment.packages(platform) or []
    assert {each.name for each in packages} == {
        "python", "fleet-text", "fleet-tensor", "pip", "fleet-plots", "fleet-metrics",
    }  # fmt: skip
    for each in packages:
        file = each.location.removeprefix("file://")
        assert each.hashes
        assert each.hashes.sha256 == hashlib.sha256(Path(file).read_bytes()).digest()
    assert "__glibc=2.28" in platform.virtual_packages


def test_locking_again_gives_the_same_bytes(project: Project) -> None:
    path = lock(project, "fleet-text", "pip", pip=("fleet-plots",))
    before = path.read_bytes()
    assert lock(project, "fleet-text", "pip", pip=("fleet-plots",)).read_bytes() == before


def test_pip_takes_nothing_that_conda_provides(project: Project) -> None:
    # The index has a fleet-tensor 1.5, and fleet-plots wants one: conda's 1.1 is what it gets.
    path = lock(project, "fleet-tensor=1.1", "pip", pip=("fleet-plots",))
    locked = read_lock(path).platforms["linux-64"]
    assert {each.name for each in locked.pip} == {"fleet-plots", "fleet-metrics"}
    assert "fleet-tensor" in {each.name for each in locked.conda}


def test_a_pip_requirement_that_conda_s_version_does_not_meet_is_refused(project: Project) -> None:
    with pytest.raises(InputError) as caught:
        lock(project, "fleet-tensor=1.0", "pip", pip=("fleet-tensor>=1.5",))
    assert "nlp_train.yml:9:9: the pip section cannot be resolved for linux-64: " in str(caught.value)
    assert "fleet-tensor" in str(caught.value)


@pytest.mark.parametrize(
    ("package", "message"),
    [
        (
            "fleet-tensor=9",
            "nlp_train.yml:6:5: cannot be solved for linux-64: No candidates were found for fleet-tensor",
        ),
        ("fleet-tensor=>1", "nlp_train.yml:6:5: 'fleet-tensor=>1' is not written as conda understands it"),
        ("fleet-cuda=12.4", "; say which CUDA every host's driver supports: --cuda 12.4"),
    ],
)
def test_an_unsolvable_spec_is_told_where_and_why(project: Project, package: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        lock(project, package)
    assert message in str(caught.value)
    assert not (project.folder / "envs" / "nlp_train.lock").exists()


def test_what_is_not_said_stays_as_the_lock_has_it(project: Project) -> None:
    path = lock(project, "fleet-cuda=12.4", wishes=Wishes(cuda="12.8", glibc="2.31"))
    spec = read_spec(path.with_suffix(".yml"))
    relock(spec)
    locked = read_lock(path).platforms["linux-64"]
    assert {"__cuda=12.8", "__glibc=2.31"} <= set(locked.virtual_packages)
    assert stale(spec) is None
    assert stale(spec, Wishes(cuda="12.9")) == "it was made for other platforms or other hosts"


def test_a_lock_by_hand_or_by_pixi_is_stale_until_locked(project: Project) -> None:
    path = lock(project, "fleet-tensor")
    path.write_text("\n".join(line for line in path.read_text().splitlines() if not line.startswith("#")))
    with pytest.raises(InputError, match="is stale"):
        fresh_lock(read_spec(path.with_suffix(".yml")))


def test_a_mirror_is_nowhere_in_the_lock(project: Project, web: Any, tmp_path: Path) -> None:
    site = tmp_path / "site" / "anaconda" / "cloud"
    site.mkdir(parents=True)
    (site / "conda-forge").symlink_to(project.channel.path)
    mirror = web(tmp_path / "site").url("anaconda").replace("//", "//user:secret@")
    path = project.spec("fleet-text", "pip", pip=("fleet-plots",))
    path.write_text(path.read_text().replace(project.channel.url, "conda-forge"))
    relock(read_spec(path), Wishes(mirror=mirror, pip_index=project.channel.simple))
    text = path.with_suffix(".lock").read_text()
    assert "secret" not in text
    assert "127.0.0.1" not in text
    assert f"{OFFICIAL_ALIAS}/conda-forge/noarch/fleet-text-1.0-pyh_0.conda" in text


def test_changes_name_old_and_new(project: Project) -> None:
    path = lock(project, "fleet-tensor=1.0")
    old = read_lock(path)
    lock(project, "fleet-tensor=2.0", "pip")
    conda = read_lock(path).platforms["linux-64"].conda
    assert [
        (each.package, each.old and each.old[:3], each.new and each.new[:3]) for each in changes(old, read_lock(path))
    ] == [
        ("fleet-tensor", "1.0", "2.0"),
        ("pip", None, next(each.version[:3] for each in conda if each.name == "pip")),
    ]


def test_the_command(project: Project, fleetenv_cli: Any) -> None:
    path = project.spec("fleet-tensor=1.0")
    assert fleetenv_cli("lock", "--check", path).stdout == f"{path.with_suffix('.lock')}: there is no lock\n"
    assert fleetenv_cli("lock", "--check", path).status == 1
    assert fleetenv_cli("lock", path).status == 0
    assert (fleetenv_cli("lock", "--check", path).status) == 0
    project.spec("fleet-tensor=2.0")
    done = fleetenv_cli("lock", "--check", path)
    assert (done.status, done.stdout) == (1, f"{path.with_suffix('.lock')}: the spec was changed after it was locked\n")
    done = fleetenv_cli("lock", path)
    assert "  linux-64  fleet-tensor  1.0 pyh_0 (conda) -> 2.0 pyh_0 (conda)" in done.stdout.splitlines()
    broken = project.spec("fleet-tensor=9", name="other")
    done = fleetenv_cli("lock", broken, path)
    assert done.status == 1
    assert done.stderr.startswith(f"fleetenv: {broken}:6:5: cannot be solved for linux-64: ")
    assert "Traceback" not in done.stderr
    assert "nlp_train.lock: linux-64: " in done.stdout
