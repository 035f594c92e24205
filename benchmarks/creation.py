"""One environment made on one host: by fleetenv from its lock, and by conda from the same spec. Then three at once.

The host is this machine, in a folder that is thrown away; neither root nor sshd is needed. conda is that of the
installer which FLEETENV_TEST_MINICONDA names, else a stand-in (simulated: py-rattler solves and installs), which
says nothing about conda. The channel is small, so conda has little to read and to solve.

Examples:
  FLEETENV_TEST_MINICONDA=~/Miniconda3-latest-Linux-x86_64.sh python -m benchmarks.creation
  python -m benchmarks.creation --rounds 1
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import yaml

from benchmarks import peers
from benchmarks.conda import packages
from benchmarks.measure import Run, run
from benchmarks.tools import ROOT
from benchmarks.workloads.main_job import serve

_WISHES = ("python", "pip", "numpy", "matplotlib", "pillow", "fleet-text =1.0")
_NAME, _OTHER = "lab_bench_creation", "lab_bench_other"
_FLEETENV, _CONDA = "fleetenv apply", "conda env create"
_THREE = {
    "lab_bench_text": ("python", "pip", "numpy", "fleet-text =1.0"),
    "lab_bench_plots": ("python", "pip", "matplotlib"),
    "lab_bench_images": ("python", "pip", "pillow", "fonttools"),
}
_STATES = ("an empty cache", "packages in conda's cache", "another environment has the packages")


def main(words: Sequence[str] | None = None) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(
        "benchmarks.creation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="of each, interleaved (3)")
    options = parser.parse_args(words)
    peers.install()  # numpy and matplotlib are packed from there
    with tempfile.TemporaryDirectory() as folder:
        desk = _Desk(Path(folder).resolve())
        print(f"conda: {desk.version}; {desk.count} packages")
        for state in _STATES:
            runs: dict[str, list[Run]] = {tool: [] for tool in desk.commands}
            desk.prepare(state)
            for tool in desk.commands:
                desk.create(tool)  # what each keeps for later is there: py-rattler, the index's copy
            for _ in range(options.rounds):
                for tool in desk.commands:
                    runs[tool].append(desk.create(tool))
            for tool, each in runs.items():
                ratio = _wall(each) / _wall(runs[_FLEETENV])
                print(f"{state:<36} {tool:<18} {_told(each)}  {ratio:5.1f} x", flush=True)
        for emptied in (True, False):
            several = {"in one loop": "loop.yml", "one task each": "tasks.yml"}
            built: dict[str, list[Run]] = {how: [] for how in several}
            for _ in range(options.rounds):
                for how, playbook in several.items():
                    built[how].append(desk.create_three(playbook, emptied=emptied))
            for how, each in built.items():
                state = _STATES[0 if emptied else 1]
                print(f"{state:<36} three, {how:<15} {_told(each)}", flush=True)


def _wall(runs: Sequence[Run]) -> float:
    return median(each.wall for each in runs)


def _told(runs: Sequence[Run]) -> str:
    cpu = median(each.cpu for each in runs)
    return f"{_wall(runs):6.2f} s wall  {cpu:6.2f} s CPU  {cpu / _wall(runs):4.1f} cores"


class _Desk:
    """Miniconda and a project in a folder, and the two ways to make an environment there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._prefix = folder / "miniconda"
        self._environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
        channel = packages.channel()
        url = f"{serve(channel.folder, '127.0.0.1')}/conda"
        self._must("sh", str(packages.installer(channel).path), "-b", "-p", str(self._prefix))
        (self._prefix / ".condarc").write_text(f"channels: [{url}]\n")
        (folder / "envs").mkdir()
        specs = {_NAME: _WISHES, _OTHER: _WISHES, **_THREE}
        for name, wishes in specs.items():
            spec = {"name": name, "channels": [url], "dependencies": list(wishes)}
            (folder / f"envs/{name}.yml").write_text(yaml.safe_dump(spec))
            self._write(f"{name}.yml", self._task(name))
        self._write("loop.yml", {**self._task("{{ item }}"), "loop": list(_THREE)})
        self._write("tasks.yml", *map(self._task, _THREE))
        (folder / "hosts").write_text("here ansible_connection=local\n")
        python, conda = sys.executable, str(self._prefix / "bin/conda")
        self._must(python, "-m", "fleetenv", "lock", *(f"envs/{name}.yml" for name in specs))
        self.version = self._must(conda, "--version").strip()
        self.commands = {
            _FLEETENV: (python, "-m", "fleetenv", "apply", f"{_NAME}.yml", "-i", "hosts"),
            _CONDA: (conda, "env", "create", "--quiet", "--yes", "--file", f"envs/{_NAME}.yml"),
        }
        self._emptied = False
        self.create(_FLEETENV)
        self.count = len(list((self._prefix / "envs" / _NAME / "conda-meta").glob("*.json")))

    def prepare(self, state: str) -> None:
        """Bring the host into one of the states."""
        self._emptied = state == _STATES[0]
        if state == _STATES[2]:
            self._must(sys.executable, "-m", "fleetenv", "apply", f"{_OTHER}.yml", "-i", "hosts")

    def create(self, tool: str) -> Run:
        """Make the environment where there is none."""
        self._clear(_NAME, emptied=self._emptied)
        done = run(self.commands[tool], self._folder, self._environment)
        python = self._prefix / "envs" / _NAME / "bin/python"
        if (
            done.status
            or subprocess.run([python, "-c", "import numpy, matplotlib, fleet_text"], check=False).returncode
        ):
            raise SystemExit(f"{tool}: {done.printed[-2000:]}")
        return done

    def create_three(self, playbook: str, *, emptied: bool) -> Run:
        """Make three environments where there are none of them."""
        self._clear(*_THREE, emptied=emptied)
        done = run(
            (sys.executable, "-m", "fleetenv", "apply", playbook, "-i", "hosts"), self._folder, self._environment
        )
        if done.status:
            raise SystemExit(f"{playbook}: {done.printed[-2000:]}")
        return done

    def _clear(self, *names: str, emptied: bool) -> None:
        for made in (*names, *(f".fleetenv/{name}" for name in names)):
            path = self._prefix / "envs" / made
            path.unlink() if path.is_symlink() else shutil.rmtree(path, ignore_errors=True)
        if emptied:
            shutil.rmtree(self._prefix / "pkgs", ignore_errors=True)
            (self._prefix / "pkgs").mkdir()
            (self._prefix / "pkgs/urls.txt").touch()  # by which conda knows its cache

    def _task(self, name: str) -> dict[str, object]:
        return {"conda_env": {"spec": f"{name}.yml", "prefix": str(self._prefix)}}

    def _write(self, name: str, *tasks: dict[str, object]) -> None:
        play = {"hosts": "all", "gather_facts": False, "tasks": list(tasks)}
        (self._folder / name).write_text(yaml.safe_dump([play]))

    def _must(self, *words: str) -> str:
        done = subprocess.run(
            words, cwd=self._folder, env=self._environment, capture_output=True, check=False, text=True
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(words)}: {done.stderr or done.stdout}")
        return done.stdout


if __name__ == "__main__":
    os.umask(0o022)
    main()
