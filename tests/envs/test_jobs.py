"""Jobs keep the generation in which they started, however they were started, and whatever they import later."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleetenv.lab.channel import LabChannel

from .machine import Machine, Project

SWITCHES = 50
NAME = "lazy_jobs"
VERSIONS = ("1.0", "2.0", "3.0")

JOB = """\
import importlib, sys


def main():
    print("ready", flush=True)
    for number, line in enumerate(sys.stdin):
        module = importlib.import_module(f"fleet_lazy.m{number:03}")
        print(module.VERSION, sys.prefix, sys.executable, flush=True)


if __name__ == "__main__":
    main()
"""


@pytest.fixture(scope="module")
def generations(shared_machine: Machine, lab_channel: LabChannel, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """Three generations of an environment; every module of its package differs between them. The third is current."""
    project = Project(tmp_path_factory.mktemp("project"), lab_channel)
    for version in VERSIONS:
        modules = {f"fleet_lazy/m{number:03}.py": f"VERSION = {version!r}\n" for number in range(SWITCHES + 2)}
        files = {"fleet_lazy/__init__.py": "", "fleet_lazy/job.py": JOB, **modules}
        lab_channel.add_package("fleet-lazy", version, files=files, scripts=("lazy-job = fleet_lazy.job:main",))
        project.lock(f"fleet-lazy={version}", name=NAME)
        shared_machine.apply(project.task(shared_machine, spec=f"{NAME}.yml", keep=3))
    return shared_machine


def by_interpreter(machine: Machine) -> list[str]:
    return [f"{machine.prefix}/envs/{NAME}/bin/python", "-m", "fleet_lazy.job"]


def by_conda_run(machine: Machine) -> list[str]:
    run = [f"{machine.prefix}/bin/conda", "run", "--no-capture-output", "-n", NAME]
    return [*run, "python", "-m", "fleet_lazy.job"]


def by_activation(machine: Machine) -> list[str]:
    """As in a shell in which `conda activate` was said: what that sets is all that counts. See test_conda, too."""
    place = f"{machine.prefix}/envs/{NAME}"
    activated = f"export CONDA_PREFIX={place} CONDA_DEFAULT_ENV={NAME} CONDA_SHLVL=1 PATH={place}/bin:$PATH"
    return ["sh", "-c", f"{activated}; python -m fleet_lazy.job"]


def by_script(machine: Machine) -> list[str]:
    return [f"{machine.prefix}/envs/{NAME}/bin/lazy-job"]


def by_jupyter(machine: Machine) -> list[str]:
    """As Jupyter starts a kernel: by what its kernel.json says."""
    kernel = machine.home / ".local/share/jupyter/kernels/lazy/kernel.json"
    kernel.parent.mkdir(parents=True, exist_ok=True)
    python = f"{machine.prefix}/envs/{NAME}/bin/python"
    argv = [python, "-m", "fleet_lazy.job", "-f", "{connection_file}"]
    kernel.write_text(json.dumps({"argv": argv, "display_name": "Lazy", "language": "python"}))
    said = json.loads(kernel.read_text())["argv"]
    return [word.replace("{connection_file}", "/nowhere/kernel.json") for word in said]


class Job:
    """A job that imports its next module when it is told to."""

    def __init__(self, machine: Machine, command: list[str]) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=machine.environment, cwd=machine.home
        )
        assert self.process.stdout
        assert self.process.stdout.readline() == "ready\n"

    def next(self) -> list[str]:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().split()

    def end(self) -> int:
        assert self.process.stdin
        self.process.stdin.close()
        return self.process.wait(20)


@pytest.fixture
def jobs(generations: Machine) -> Iterator[dict[str, Job]]:
    ways: list[Callable[[Machine], list[str]]] = [by_interpreter, by_conda_run, by_activation, by_script, by_jupyter]
    running = {way.__name__: Job(generations, way(generations)) for way in ways}
    yield running
    for job in running.values():
        job.process.kill()
        job.process.wait()


def test_jobs_survive_50_switches_and_a_rollback_however_they_were_started(
    generations: Machine, jobs: dict[str, Job]
) -> None:
    machine = generations
    own = machine.current(NAME)
    expected = ["3.0", str(own), f"{own}/bin/python"]
    seconds = []
    for number in range(SWITCHES):
        before = time.monotonic()
        done = machine.roll_back(NAME, to=str(number % 3 + 1))
        seconds.append(time.monotonic() - before)
        assert done.switched
        assert {way: job.next() for way, job in jobs.items()} == dict.fromkeys(jobs, expected)
        if number % 10 < 3:  # who starts now gets the new one
            assert machine.python("from fleet_lazy import m000; print(m000.VERSION)", NAME) == VERSIONS[number % 3]
    assert statistics.median(seconds) < 1.0

    assert machine.roll_back(NAME).after.startswith("0001-")
    assert {way: job.next() for way, job in jobs.items()} == dict.fromkeys(jobs, expected)

    machine.clean(keep=1)  # two generations are old now, and one of them is in use
    assert sorted(name[:4] for name in machine.generations(NAME)) == ["0001", "0003"]
    assert {way: job.end() for way, job in jobs.items()} == dict.fromkeys(jobs, 0)
    machine.clean(keep=1)
    assert [name[:4] for name in machine.generations(NAME)] == ["0001"]


def test_who_uses_an_environment_is_told(generations: Machine, jobs: dict[str, Job]) -> None:
    for job in jobs.values():
        assert job.next()
    environment = generations.environments()[NAME]
    numbers = {process.number for process in environment.processes}
    assert {job.process.pid for way, job in jobs.items() if way != "by_activation"} <= numbers
    assert len(numbers) == len(jobs)  # the shell in which an environment is active does not use it, its child does
    mine = Path(f"/proc/{os.getpid()}").owner()
    assert {(process.user, process.certain) for process in environment.processes} == {(mine, True)}
    assert any("fleet_lazy.job" in process.command for process in environment.processes)
