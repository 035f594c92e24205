"""What was changed by hand is named: the file, the package that owns it, and how."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fleetenv.lab.channel import LabChannel
from fleetenv.onhost.contents import Finding, check
from fleetenv.onhost.report import Failure

from .machine import Machine, Project

SITE = "lib/python{v}/site-packages"


@pytest.fixture(scope="module")
def built(shared_machine: Machine, lab_channel: LabChannel, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    project = Project(tmp_path_factory.mktemp("project"), lab_channel)
    project.lock("fleet-text", "fleet-data", "pip", pip=("fleet-plots",))
    shared_machine.apply(project.task(shared_machine))
    return shared_machine


@pytest.fixture
def machine(built: Machine, project: Project) -> Machine:
    """The host with its environment as it was built."""
    project.lock("fleet-text", "fleet-data", "pip", pip=("fleet-plots",))
    built.apply(project.task(built))
    return built


def site(machine: Machine) -> Path:
    return next(machine.current().glob("lib/python3.*/site-packages"))


def found(machine: Machine, *, deep: bool) -> set[tuple[str, str, str]]:
    """Kind, path and package; the path without what comes before site-packages."""
    findings = machine.verify("nlp_train", deep=deep)["nlp_train"].findings
    return {(each.kind, each.path.rpartition("site-packages/")[2], each.package) for each in findings}


def test_an_environment_as_it_was_built_has_nothing(machine: Machine) -> None:
    machine.python("import fleet_text, fleet_plots, json, asyncio, unittest, pip")
    for deep in (False, True):
        (seen,) = machine.verify(deep=deep).values()
        assert seen.findings == []
        assert (seen.name, seen.generation) == ("nlp_train", machine.current().name)
        assert seen.files > 500
    assert machine.verify("base", deep=True)["base"].findings == []


def test_a_change_whose_time_was_set_back_is_seen_by_its_content(machine: Machine, project: Project) -> None:
    module = site(machine) / "fleet_text" / "__init__.py"
    before, text = module.stat(), module.read_bytes()
    module.write_bytes(text.replace(b"text", b"TEXT", 1))  # the same size
    os.utime(module, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert found(machine, deep=False) == set()
    assert found(machine, deep=True) == {("changed", "fleet_text/__init__.py", "fleet-text 1.0")}
    (machine.current() / "conda-meta" / "fleetenv").unlink()  # so that apply, which sees only times, builds anew
    machine.apply(project.task(machine))
    assert found(machine, deep=True) == set()


def test_what_is_missing_and_what_was_added(machine: Machine) -> None:
    (site(machine) / "fleet_text" / "__init__.py").unlink()
    (site(machine) / "fleet_plots" / "__init__.py").unlink()
    added = site(machine) / "sitecustomize.py"
    added.write_text("print('surprise')\n")
    os.utime(added, (1, 1))
    strange = os.fsencode(site(machine)) + b"/m\xfcll\x1b[31m.py"
    os.close(os.open(strange, os.O_CREAT))
    missing = {
        ("added", "m?ll\x1b[31m.py", ""),
        ("missing", "fleet_text/__init__.py", "fleet-text 1.0"),
        ("missing", "fleet_plots/__init__.py", "fleet_plots 1.0 (pip)"),
    }
    assert found(machine, deep=False) == missing
    assert found(machine, deep=True) == missing | {("added", "sitecustomize.py", "")}


def test_a_build_whose_files_are_not_right_does_not_become_current(machine: Machine) -> None:
    """The check that comes before a switch, on an environment that was spoilt."""
    generation, lib = machine.current(), site(machine).parent
    assert check(generation, lib, full=True) == check(generation, lib, full=False) == []
    module = site(machine) / "fleet_text" / "__init__.py"
    text = module.read_bytes()
    module.write_bytes(text.replace(b"text", b"TEXT", 1))
    spoilt = r"after building, lib/.*/fleet_text/__init__.py of fleet-text 1.0 is changed"
    with pytest.raises(Failure, match=spoilt):
        check(generation, lib, full=True)
    module.write_bytes(text[:-1])  # sizes are always looked at
    with pytest.raises(Failure, match=spoilt):
        check(generation, lib, full=False)
    module.unlink()
    with pytest.raises(Failure, match="is missing"):
        check(generation, lib, full=False)


def test_conda_files_that_pip_wrote_over_name_both(machine: Machine, lab_channel: LabChannel) -> None:
    wheel = next(lab_channel.simple_path.glob("fleet-tensor/*.whl"))
    done = machine.sh(f"{machine.prefix}/envs/nlp_train/bin/python -m pip install -q --no-index --no-deps {wheel}")
    assert done.status == 0, done.error_text
    findings = machine.verify(deep=True)["nlp_train"].findings
    (over,) = [each for each in findings if each.path.endswith("fleet_tensor/__init__.py")]
    assert (over.kind, over.package, over.detail) == ("overwritten", "fleet-tensor 2.0", "by fleet_tensor 1.5 (pip)")
    removed = [each for each in findings if "fleet_tensor-2.0.dist-info" in each.path]
    assert {(each.kind, each.detail) for each in removed} == {
        ("overwritten", "removed when fleet_tensor 1.5 (pip) was installed")
    }
    (added,) = [each for each in findings if each.kind == "added"]
    assert added.package == "fleet_tensor 1.5 (pip)"
    assert added.detail == "installed by pip after the build"


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")
def test_files_of_another_user_are_named(machine: Machine) -> None:
    left = site(machine) / "fleet_plots" / "__init__.py"  # as 'sudo pip' leaves them, seen from the other side
    os.chown(left, 12345, -1)
    (finding,) = machine.verify(deep=True)["nlp_train"].findings
    os.chown(left, 0, -1)
    path = str(left.relative_to(machine.current()))
    assert finding == Finding("owner", path, "fleet_plots 1.0 (pip)", "belongs to 12345, not to root")


def test_what_keeps_jobs_in_their_generation_is_looked_at_too(machine: Machine) -> None:
    pth = site(machine) / "fleetenv.pth"
    before = pth.stat()
    pth.write_text("import os\n")
    os.utime(pth, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert ("changed", "fleetenv.pth", "fleetenv") in found(machine, deep=False)


def test_two_packages_with_the_same_file_are_both_right(built: Machine, project: Project) -> None:
    for name in ("fleet-left", "fleet-right"):
        files = {f"{name.replace('-', '_')}.py": "", "fleet_clash/__init__.py": f"FROM = {name!r}\n"}
        project.channel.add_package(name, "1.0", files=files)
    project.lock("fleet-left", "fleet-right", name="clashing")
    built.apply(project.task(built, spec="clashing.yml", check="full"))
    assert built.verify("clashing", deep=True)["clashing"].findings == []
    assert built.python("import fleet_clash; print(fleet_clash.FROM[:6])", "clashing") == "fleet-"
