"""Byte-code of a generation: all there, compiled once on a host, and never what somebody else has written since."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from fleetenv.lab.channel import LabChannel

from .machine import Machine, Project

FAILS = (
    "import fleet_tensor\ntry: fleet_tensor.dot([1], [])\nexcept ValueError as error: tb = error.__traceback__.tb_next"
)


def compiled(environment: Path, module: str) -> Path:
    """Return the byte-code of a module of an environment's site-packages."""
    (found,) = environment.glob(f"lib/python3.*/site-packages/{module}/__pycache__/__init__.*.pyc")
    return found


def build(machine: Machine, project: Project, name: str, *packages: str) -> Path:
    project.lock(*packages, name=name)
    machine.apply(project.task(machine, spec=f"{name}.yml"))
    return machine.current(name)


def test_no_module_is_left_for_users_to_compile(machine: Machine, project: Project) -> None:
    current = build(machine, project, "nlp_train", "pip", "fleet-text")
    modules = [path for path in current.glob("lib/python3.*/**/*.py") if "__pycache__" not in path.parts]
    without = [path for path in modules if not list(path.parent.glob(f"__pycache__/{path.stem}.*.pyc"))]
    assert len(modules) > 500
    assert without == []


def test_two_environments_share_the_byte_code_of_the_same_package(machine: Machine, project: Project) -> None:
    first = build(machine, project, "nlp_train", "fleet-tensor=2.0")
    second = build(machine, project, "cv_detect", "fleet-tensor=2.0")
    assert compiled(first, "fleet_tensor").samefile(compiled(second, "fleet_tensor"))


def test_a_traceback_names_the_files_of_its_own_environment(machine: Machine, project: Project) -> None:
    build(machine, project, "nlp_train", "fleet-tensor=2.0")
    second = build(machine, project, "cv_detect", "fleet-tensor=2.0")
    file = machine.python(f"{FAILS}\nprint(tb.tb_frame.f_code.co_filename)", "cv_detect")
    assert Path(file).resolve() == next(second.glob("lib/python3.*/site-packages/fleet_tensor/__init__.py"))


def test_another_version_of_a_package_is_compiled_anew(machine: Machine, project: Project) -> None:
    build(machine, project, "nlp_train", "fleet-tensor=1.1")
    build(machine, project, "cv_detect", "fleet-tensor=2.0")
    assert machine.python("import fleet_tensor; print(fleet_tensor.__version__)", "cv_detect") == "2.0"
    assert machine.python("import fleet_tensor; print(fleet_tensor.__version__)", "nlp_train") == "1.1"


def test_byte_code_outlives_its_environment_beside_the_cached_package(machine: Machine, project: Project) -> None:
    first = build(machine, project, "nlp_train", "fleet-tensor=2.0")
    compiled_once = compiled(first, "fleet_tensor").stat()
    machine.apply(project.task(machine, spec="nlp_train.yml", state="absent"))
    second = build(machine, project, "cv_detect", "fleet-tensor=2.0")
    found = compiled(second, "fleet_tensor").stat()
    assert (found.st_ino, found.st_mtime_ns) == (compiled_once.st_ino, compiled_once.st_mtime_ns)


def test_cached_byte_code_that_others_may_have_written_is_not_used(
    machine: Machine, project: Project, lab_channel: LabChannel
) -> None:
    modules = ["fleet_later", "fleet_open", "fleet_link", *(["fleet_stranger"] if os.geteuid() == 0 else [])]
    lab_channel.add_package("fleet-touched", "1.0", files={f"{each}/__init__.py": "fine = True\n" for each in modules})
    first = build(machine, project, "nlp_train", "fleet-touched")
    cached = next(machine.prefix.glob("pkgs/fleet-touched-1.0-*/site-packages"))
    theirs = {each: cached / each / "__pycache__" / compiled(first, each).name for each in modules}
    for each, path in theirs.items():
        header = path.read_bytes()[:16]
        size = path.stat().st_size
        path.unlink()
        path.write_bytes(header.ljust(size, b"\0"))  # no code behind it
        os.utime(path, (0, 0))
        if each == "fleet_later":
            os.utime(path, (time.time() + 1,) * 2)
        if each == "fleet_open":
            path.chmod(0o666)
        if each == "fleet_link":
            path.rename(path.with_suffix(".elsewhere"))
            path.symlink_to(path.with_suffix(".elsewhere").name)
        if each == "fleet_stranger":
            os.chown(path, 65534, -1)
    build(machine, project, "cv_detect", "fleet-touched")
    for each in modules:
        assert machine.python(f"import {each}; print({each}.fine)", "cv_detect") == "True"


def test_cached_byte_code_that_a_power_cut_has_shortened_is_not_used(
    machine: Machine, project: Project, lab_channel: LabChannel
) -> None:
    lab_channel.add_package("fleet-short", "1.0", files={"fleet_short/__init__.py": "fine = True\n"})
    build(machine, project, "nlp_train", "fleet-short")
    (theirs,) = machine.prefix.glob("pkgs/fleet-short-1.0-*/site-packages/fleet_short/__pycache__/*.pyc")
    before = theirs.stat()
    header = theirs.read_bytes()[:16]
    theirs.unlink()
    theirs.write_bytes(header)
    os.utime(theirs, ns=(before.st_atime_ns, before.st_mtime_ns))
    build(machine, project, "cv_detect", "fleet-short")
    assert machine.python("import fleet_short; print(fleet_short.fine)", "cv_detect") == "True"


def test_what_lies_beside_a_cached_package_leaves_it_whole_for_conda(machine: Machine, project: Project) -> None:
    build(machine, project, "nlp_train", "fleet-tensor=2.0")
    (unpacked,) = machine.prefix.glob("pkgs/fleet-tensor-2.0-*/")
    brought = {entry["_path"] for entry in json.loads((unpacked / "info/paths.json").read_bytes())["paths"]}
    there = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    ours = {path for path in there - brought if not path.startswith("info/")}
    assert ours
    assert all("/__pycache__/" in path for path in ours)


def test_a_module_that_does_not_compile_disturbs_nothing(
    machine: Machine, project: Project, lab_channel: LabChannel
) -> None:
    files = {"fleet_odd/__init__.py": "fine = True\n", "fleet_odd/template.py": "def {{ name }}():\n"}
    lab_channel.add_package("fleet-odd", "1.0", files=files)
    build(machine, project, "nlp_train", "fleet-odd")
    assert machine.python("import fleet_odd; print(fleet_odd.fine)") == "True"


def test_the_builder_keeps_its_own_byte_code(machine: Machine, project: Project) -> None:
    build(machine, project, "nlp_train", "fleet-tensor=2.0")
    (unpacked,) = (path for path in (machine.prefix / ".fleetenv").glob("builder-*") if path.is_dir())
    assert list(unpacked.glob("fleetenv/onhost/__pycache__/*.pyc"))
