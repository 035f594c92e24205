"""virtualenv: a layer on top of a managed environment, by generation; jobs keep theirs."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetenv.errors import InputError, TaskFailed
from fleetenv.modules.virtualenv import PreparedVirtualenv, Virtualenv
from fleetenv.modules.virtualenvstate import VirtualenvState, parse
from fleetenv.remote import Completed, Run
from fleetenv.state import Diff

from .machine import Desk, Machine, Project, wait_for


def keys(diff: Diff[Any]) -> set[str]:
    return {each.key for each in diff.differences}


def task(
    machine: Machine, project: Project, text: str | None = "fleet-plots\n", **arguments: Any
) -> PreparedVirtualenv:
    if text is not None:
        (project.folder / "files").mkdir(exist_ok=True)
        (project.folder / "files" / "plots.txt").write_text(text)
        arguments["requirements"] = "plots.txt"
    named = {
        "path": str(machine.home / "venvs" / "plots"), "environment": "nlp_train", "prefix": str(machine.prefix),
        "pip_index": project.channel.simple,
    }  # fmt: skip
    module = Virtualenv.from_arguments(named | arguments)
    assert isinstance(module, Virtualenv)
    return module.resolve(Desk(project.folder))


@pytest.fixture
def based(machine: Machine, project: Project) -> Project:
    """A host with an environment to build upon."""
    project.lock("fleet-tensor=1.0")
    machine.apply(project.task(machine))
    shutil.rmtree(machine.home / "venvs", ignore_errors=True)
    return project


def run(machine: Machine, code: str, program: str = "venvs/plots/bin/python") -> str:
    done = subprocess.run([machine.home / program, "-c", code], capture_output=True, text=True, env=machine.environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def hashed(project: Project, *names: str) -> str:
    """Requirements with the hashes of the index's files."""
    lines = []
    for name in names:
        wheel = min((project.channel.simple_path / name).glob("*.whl"))
        version = wheel.name.split("-")[1]
        lines.append(f"{name}=={version} \\\n    --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    return "".join(lines)


def test_a_layer_follows_its_base_and_running_jobs_keep_theirs(machine: Machine, based: Project) -> None:
    layer = task(machine, based, system_site_packages=True, keep=1)
    first = machine.apply(layer)
    assert {"present", "base", "requirements"} <= keys(first)
    assert not machine.diff(layer)
    both = "import fleet_plots, fleet_tensor; print(fleet_tensor.__version__)"
    assert run(machine, both) == "1.0"
    activate = f". {machine.home}/venvs/plots/bin/activate"
    assert "#" in machine.sh(f"{activate}; fleet-plots").text
    assert str(machine.home / "venvs") in machine.sh(f"{activate}; python -m pip --version").text

    lazy = (
        "import sys; print('ready', flush=True); sys.stdin.readline(); import fleet_plots, fleet_metrics, subprocess;"
        "print(fleet_plots.__file__); print(sys.prefix);"
        "print(subprocess.run([sys.executable, '-c', 'import fleet_tensor; print(fleet_tensor.__version__)'],"
        " capture_output=True, text=True).stdout)"
    )
    ways = [
        [f"{machine.home}/venvs/plots/bin/python", "-c", lazy],
        ["sh", "-c", f'{activate}; exec python -c "$1"', "sh", lazy],
    ]
    jobs = [
        subprocess.Popen(way, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=machine.environment)
        for way in ways
    ]
    for job in jobs:
        assert job.stdout
        assert job.stdout.readline() == "ready\n"
    generation = (machine.home / "venvs" / "plots").resolve()

    based.lock("fleet-tensor=1.1")
    machine.apply(based.task(machine, keep=1))
    assert keys(machine.apply(layer)) == {"base"}
    assert run(machine, both) == "1.1"
    assert generation.is_dir()  # not to be kept, but in use
    for job in jobs:
        said = job.communicate("go\n", timeout=30)[0].split()
        site = next(generation.glob("lib/python3*/site-packages"))
        assert said == [f"{site}/fleet_plots/__init__.py", str(generation), "1.0"]
    gone = task(machine, based, state="absent")
    machine.apply(gone)
    assert not (machine.home / "venvs" / "plots").is_symlink()
    assert not generation.exists()
    assert not machine.diff(gone)


def test_what_differs_is_seen_and_a_failed_build_changes_nothing(machine: Machine, based: Project) -> None:
    wanted = hashed(based, "fleet-plots", "fleet-metrics")
    layer = task(machine, based, wanted)
    machine.apply(layer)
    pip = [str(machine.home / "venvs/plots/bin/pip"), "install", "-q", "--index-url", based.channel.simple]
    subprocess.run([*pip, "fleet-metrics==0.2", "fleet-tensor"], check=True, env=machine.environment)
    found = machine.diff(layer)
    assert {(each.key, each.wanted, each.found) for each in found.differences} == {
        ("packages.fleet-metrics", "0.1", "0.2"),
        ("packages.fleet-tensor", None, "1.5"),
    }
    before = (machine.home / "venvs" / "plots").readlink()
    wrong = task(machine, based, wanted[:-10] + "0" * 9 + "\n")
    with pytest.raises(TaskFailed, match=r"pip: .*HASH"):
        machine.apply(wrong)
    with pytest.raises(TaskFailed, match=r"pip: In --require-hashes mode.* These do not: fleet-metrics"):
        machine.apply(task(machine, based, hashed(based, "fleet-plots")))
    generations = machine.home / "venvs" / ".fleetenv" / "plots"
    assert (machine.home / "venvs" / "plots").readlink() == before
    assert [path.name for path in generations.iterdir()] == [before.name]
    again = task(machine, based, wanted)
    (step,) = again.converge(machine.diff(again))
    assert isinstance(step, Run)
    builder = subprocess.Popen(
        ["sh", "-c", step.script], stdin=subprocess.PIPE, env=machine.environment, start_new_session=True
    )
    assert builder.stdin
    builder.stdin.write(step.stdin)
    builder.stdin.close()
    wait_for(lambda: len(list(generations.iterdir())) == 2)
    os.killpg(builder.pid, signal.SIGKILL)
    builder.wait()
    assert (machine.home / "venvs" / "plots").readlink() == before
    assert keys(machine.apply(again)) == {"packages.fleet-metrics", "packages.fleet-tensor"}
    assert len(list(generations.iterdir())) == 2  # the one before is kept


def test_what_the_requirements_pin_may_lie_beneath(machine: Machine, based: Project) -> None:
    """pip installs nothing that the environment has already."""
    layer = task(machine, based, "fleet-plots\nfleet-tensor==1.0\n", system_site_packages=True)
    machine.apply(layer)
    assert not machine.diff(layer)
    assert not list((machine.home / "venvs" / "plots").glob("lib/python3*/site-packages/fleet_tensor*"))
    assert run(machine, "import fleet_tensor; print(fleet_tensor.__version__)") == "1.0"
    alone = task(machine, based, "fleet-plots\nfleet-tensor==1.0\n")
    assert "packages.fleet-tensor" in keys(machine.diff(alone))


def test_one_made_by_hand_is_kept_aside_and_a_new_base_only_told_when_asked(machine: Machine, based: Project) -> None:
    by_hand = machine.home / "venvs" / "plots"
    python = machine.prefix / "envs" / "nlp_train" / "bin" / "python"
    subprocess.run([python, "-m", "venv", "--without-pip", by_hand], check=True, env=machine.environment)
    owner = {"owner": "nobody"} if os.geteuid() == 0 else {}
    layer = task(machine, based, None, on_base_change="report", **owner)
    assert "managed" in keys(machine.apply(layer))
    if owner:
        assert {path.owner() for path in by_hand.resolve().rglob("*") if not path.is_symlink()} == {"nobody"}
    assert (by_hand.parent / ".fleetenv" / "plots" / "0001-by-hand" / "pyvenv.cfg").is_file()
    assert layer.returns(machine.observe(layer))["base_changed"] is False
    based.lock("fleet-tensor=2.0")
    machine.apply(based.task(machine))
    assert not machine.diff(layer)
    assert layer.returns(machine.observe(layer))["base_changed"] is True
    shutil.rmtree(machine.current().with_name(machine.generations()[0]))
    assert {"works", "base"} <= keys(machine.diff(layer))  # it could not be left as it is
    by_hand.unlink()
    by_hand.mkdir()
    for state in ("present", "absent"):
        with pytest.raises(TaskFailed, match="venvs/plots is there already, and is no virtualenv"):
            machine.diff(task(machine, based, None, state=state))


keys_said = st.sampled_from(["subject", "path", "link", "cfg", "mark", "owner", "package", "interpreter", "works", "x"])
values_said = st.text() | st.sampled_from(["home = /x", "version = 3.11.4.5", "[]", '{"packages": 1}', "a-1.dist-info"])


@given(st.lists(st.tuples(keys_said, values_said)))
def test_whatever_a_host_says_is_read_or_refused(said: list[tuple[str, str]]) -> None:
    words = [("subject", "/data/x|/p"), *said]
    try:
        found = parse(Completed(0, "".join(f"{key}\0{value}\0" for key, value in words).encode()))
    except ValueError:
        return
    assert all(isinstance(each, VirtualenvState) for each in found.values())


def test_without_its_base_it_is_not_built(machine: Machine, project: Project) -> None:
    with pytest.raises(TaskFailed, match=r"there is no working .*/envs/nlp_train/bin/python: a task before this one"):
        machine.diff(task(machine, project, None, path=str(machine.home / "venvs" / "other")))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"python": "/usr/bin/python3"}, "one of 'environment' and 'python' is needed, and only one"),
        ({"path": "venvs/x"}, "the path 'venvs/x' must be absolute"),
        ({"path": "/opt/miniconda3/venvs/x"}, "'path' must not be below /opt/miniconda3"),
        ({"owner": "a b"}, "'a b' cannot be the name of a user"),
    ],
)
def test_what_no_host_could_do_is_refused(arguments: dict[str, str], message: str) -> None:
    from fleetenv.modules import registry

    named: Any = {"path": "/data/venvs/x", "environment": "nlp_train", "prefix": "/opt/miniconda3"} | arguments
    with pytest.raises(InputError) as caught:
        registry.build("virtualenv", named)
    assert message in str(caught.value)
