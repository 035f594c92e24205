"""Seals of cached packages: broken by any change, and looked past where somebody has a reason to doubt."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fleetenv.errors import TaskFailed
from fleetenv.onhost import seals

from .machine import Machine, Project

LATER = 5_000_000_000  # ns: no clock is too coarse for that


@pytest.fixture
def packages(tmp_path: Path) -> dict[Path, str]:
    """Two packages, sealed some time ago."""
    found = {}
    for name in ("first-1.0-0", "second-2.0-0"):
        folder = tmp_path / name
        (folder / "info").mkdir(parents=True)
        (folder / "lib").mkdir()
        (folder / "lib/module.py").write_text("x = 1\n")
        found[folder] = name[0] * 64
    seals.seal(found)
    for path in sorted(tmp_path.rglob("*")):
        before = path.stat().st_mtime_ns - LATER
        os.utime(path, ns=(before, before))
    return found


def append(folder: Path) -> None:
    with (folder / "lib/module.py").open("a") as file:
        file.write("x = 2\n")


CHANGES: dict[str, Callable[[Path], object]] = {
    "a file changed": append,
    "a file removed": lambda folder: (folder / "lib/module.py").unlink(),
    "a file added": lambda folder: (folder / "lib/other.py").write_text(""),
    "a file renamed": lambda folder: (folder / "lib/module.py").rename(folder / "lib/other.py"),
    "the seal removed": lambda folder: (folder / "info/fleetenv-seal").unlink(),
    "the seal of another archive": lambda folder: (folder / "info/fleetenv-seal").write_text("0" * 64),
    "a seal that a power cut has emptied": lambda folder: os.truncate(folder / "info/fleetenv-seal", 0),
    "no seal but garbage": lambda folder: (folder / "info/fleetenv-seal").write_bytes(b"\xff\xfe"),
}


def test_what_nobody_touched_is_whole_also_when_sealed_at_different_times(packages: dict[Path, str]) -> None:
    assert seals.unbroken(packages)
    first = dict(list(packages.items())[:1])
    seals.seal(first)
    assert seals.unbroken(packages)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("which", [0, 1])
def test_any_change_breaks_a_seal(packages: dict[Path, str], which: int, change: Callable[[Path], object]) -> None:
    change(list(packages)[which])
    assert not seals.unbroken(packages)


@pytest.fixture
def generation(tmp_path: Path) -> Path:
    """A generation into which packages were linked some time ago."""
    generation = tmp_path / "generation"
    (generation / "bin").mkdir(parents=True)
    (generation / "conda-meta").mkdir()
    return generation


def test_what_a_build_has_linked_is_whole_for_those_that_it_starts(packages: dict[Path, str], generation: Path) -> None:
    (cache,) = {folder.parent for folder in packages}
    seals.break_all(cache)
    (generation / "conda-meta/last-1.0-0.json").touch()  # what is removed from packages after this makes them newer
    seals.remember(packages, generation)
    assert seals.unbroken(packages)
    assert not seals.unbroken(dict.fromkeys(packages, "0" * 64))
    (next(iter(packages)) / "lib/module.py").write_text("x = 2\n")
    os.utime(generation / "conda-meta", ns=(LATER, LATER))
    seals.remember(packages, generation)
    assert not seals.unbroken(packages)
    seals.break_all(cache)


def test_where_packages_have_scripts_nothing_is_known_of_what_was_linked(
    packages: dict[Path, str], generation: Path
) -> None:
    (generation / "bin/.second-post-link.sh").touch()
    (cache,) = {folder.parent for folder in packages}
    seals.break_all(cache)
    seals.remember(packages, generation)
    assert not seals.unbroken(packages)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_seal_that_another_user_has_set_counts_for_nothing(packages: dict[Path, str]) -> None:
    os.chown(next(iter(packages)) / "info/fleetenv-seal", 65534, 65534)
    assert not seals.unbroken(packages)


def test_without_find_nothing_is_taken_for_whole(packages: dict[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert not seals.unbroken(packages)


def damaged_in_secret(machine: Machine, package: str) -> Path:
    """Change a module of a cached package, and set its time back."""
    module = next(machine.prefix.glob(f"pkgs/{package}-*/site-packages/*/__init__.py"))
    before = module.stat().st_mtime_ns
    with module.open("a") as file:
        file.write("raise SystemExit('damaged')\n")
    os.utime(module, ns=(before, before))
    return module


def test_whoever_builds_an_environment_anew_does_not_trust_seals(machine: Machine, project: Project) -> None:
    project.lock("fleet-text")
    task = project.task(machine)
    machine.apply(task)
    damaged_in_secret(machine, "fleet-text")
    (machine.current() / "conda-meta/fleetenv").unlink()  # as after `verify --deep`
    machine.apply(task)
    assert machine.python("import fleet_text; print(fleet_text.__version__)") == "1.0"


def test_a_build_that_fails_has_the_next_one_look_at_every_file(machine: Machine, project: Project) -> None:
    project.lock("fleet-text", name="nlp_train")
    machine.apply(project.task(machine, spec="nlp_train.yml"))
    project.lock("fleet-text", name="cv_detect")
    damaged_in_secret(machine, "fleet-text")
    task = project.task(machine, spec="cv_detect.yml")
    with pytest.raises(TaskFailed, match=r"fleet_text/__init__\.py of fleet-text 1\.0 is changed"):
        machine.apply(task)
    machine.apply(task)
    assert machine.python("import fleet_text; print(fleet_text.__version__)", "cv_detect") == "1.0"
