"""One environment made on one host: by fleetenv from its lock, by conda from the same spec, and from a list of URLs.

The host is this machine, in a folder that is thrown away; neither root nor sshd is needed. conda is that of the
installer which FLEETENV_TEST_MINICONDA names, else a stand-in (simulated: py-rattler solves and installs), which
says nothing about conda. The channel has an index of conda-forge's size around a few real packages, and some that make
an environment as large as a lab's: all those are simulated. conda asks for the index whole, as mirrors have it, and in
shards, as conda-forge itself has it.

Examples:
  FLEETENV_TEST_MINICONDA=~/Miniconda3-latest-Linux-x86_64.sh python -m benchmarks.creation
  python -m benchmarks.creation --rounds 1 --records 0 --packages 0     # a small channel, a small environment
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
from benchmarks.conda import bulk, index, packages
from benchmarks.measure import Run, run
from benchmarks.serving import serve
from benchmarks.tools import ROOT
from fleetenv.lab.channel import LabChannel

_FOLDER = peers.FOLDER.parent / "creation"
_WISHES = ("python", "pip", "numpy", "matplotlib", "pillow", "fleet-text =1.0")
_NAME = "lab_bench_creation"
_IN_SHARDS = "lab_bench_shards"
_FLEETENV = "fleetenv apply"
_WHOLE, _SHARDS, _LIST = "conda env create", "conda env create, shards", "conda create --file"
_THREE = {
    "lab_bench_text": ("python", "pip", "numpy", "fleet-text =1.0"),
    "lab_bench_plots": ("python", "pip", "matplotlib"),
    "lab_bench_images": ("python", "pip", "pillow", "fonttools"),
}
_FRESH = 1200  # seconds; as the server of conda-forge says (mamba-org/mamba issue 1504): conda need not ask again
_EMPTY, _CACHED = "nothing", "packages, byte-code, index"


def main(words: Sequence[str] | None = None) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(
        "benchmarks.creation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=2, metavar="N", help="of each, interleaved (2)")
    parser.add_argument(
        "--records",
        type=int,
        default=1_000_000,
        metavar="N",
        help="in the index; simulated; 0: the channel's own (10^6)",
    )
    parser.add_argument(
        "--packages", type=int, default=120, metavar="N", help="simulated ones in the environment (120)"
    )
    options = parser.parse_args(words)
    peers.install()  # numpy and matplotlib are packed from there
    with tempfile.TemporaryDirectory() as folder:
        desk = _Desk(Path(folder).resolve(), options.records, options.packages)
        print(f"{desk.version}; index of {desk.records} records; {desk.size}")
        for state in (_EMPTY, _CACHED):
            runs: dict[str, list[Run]] = {tool: [] for tool in desk.commands}
            if state == _CACHED:
                desk.fill_caches()
            for _ in range(options.rounds):
                for tool in desk.commands:
                    runs[tool].append(desk.create(tool, emptied=state == _EMPTY))
            for tool, each in runs.items():
                ratio = _wall(each) / _wall(runs[_FLEETENV])
                print(f"cached: {state:<28} {tool:<26} {_told(each)}  {ratio:5.1f} x", flush=True)
        for emptied in (True, False):
            several = {"in one loop": "loop.yml", "one task each": "tasks.yml"}
            built: dict[str, list[Run]] = {how: [] for how in several}
            for _ in range(options.rounds):
                for how, playbook in several.items():
                    built[how].append(desk.create_three(playbook, emptied=emptied))
            for how, each in built.items():
                state = _EMPTY if emptied else _CACHED
                print(f"cached: {state:<28} {f'three, {how}':<26} {_told(each)}", flush=True)


def _wall(runs: Sequence[Run]) -> float:
    return median(each.wall for each in runs)


def _told(runs: Sequence[Run]) -> str:
    cpu = median(each.cpu for each in runs)
    return f"{_wall(runs):6.2f} s wall  {cpu:6.2f} s CPU  {cpu / _wall(runs):4.1f} cores"


def _channel(records: int, bulky: int) -> Path:
    """Build the channel that is served; kept for the next time."""
    small = packages.channel()
    large = LabChannel(_FOLDER / f"channel-{small.key[:12]}")
    if not large.path.is_dir():
        shutil.rmtree(_FOLDER, ignore_errors=True)
        shutil.copytree(small.path, large.path)
    lacking = [each for each in bulk.packages(bulky, small.subdir) if not list(large.path.glob(f"*/{each.stem}.conda"))]
    if lacking:
        large.add(*lacking)
    return index.build(large.path, records, _FOLDER / "index") if records else large.path


class _Desk:
    """Miniconda and a project in a folder, and the ways to make an environment there."""

    def __init__(self, folder: Path, records: int, bulky: int) -> None:
        self._folder = folder
        self._prefix = folder / "miniconda"
        self._environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
        channel = _channel(records, bulky)
        self.records = records or "a few"
        whole, shards = (serve(channel, "127.0.0.1", hidden=hidden, fresh=_FRESH) for hidden in ("shards", None))
        self._must("sh", str(packages.installer(packages.channel()).path), "-b", "-p", str(self._prefix))
        (folder / "envs").mkdir()
        wishes = (*_WISHES, *(f"simulated-{number:03d}" for number in range(bulky)))
        for name, wanted in {_NAME: wishes, _IN_SHARDS: wishes, **_THREE}.items():
            url = shards if name == _IN_SHARDS else whole
            spec = {"name": name, "channels": [url], "dependencies": list(wanted)}
            (folder / f"envs/{name}.yml").write_text(yaml.safe_dump(spec))
            self._write(f"{name}.yml", self._task(name))
        self._write("loop.yml", {**self._task("{{ item }}"), "loop": list(_THREE)})
        self._write("tasks.yml", *map(self._task, _THREE))
        (folder / "hosts").write_text("here ansible_connection=local\n")
        self._conda = str(self._prefix / "bin/conda")
        python = sys.executable
        self._must(python, "-m", "fleetenv", "lock", *(f"envs/{name}.yml" for name in (_NAME, *_THREE)))
        self._must(python, "-m", "fleetenv", "export", f"envs/{_NAME}.yml", "--to", "explicit", "-o", "list.txt")
        solver = self._must(self._conda, "config", "--show", "solver").strip()
        self.version = f"{self._must(self._conda, '--version').strip()}, {solver}"
        create = (self._conda, "env", "create", "--quiet", "--yes", "--file")
        self.commands = {
            _FLEETENV: (python, "-m", "fleetenv", "apply", f"{_NAME}.yml", "-i", "hosts"),
            _WHOLE: (*create, f"envs/{_NAME}.yml"),
            _SHARDS: (*create, f"envs/{_IN_SHARDS}.yml"),
            _LIST: (self._conda, "create", "--quiet", "--yes", "--name", _NAME, "--file", "list.txt"),
        }
        self._caches = {tool: folder / f"pkgs-{number}" for number, tool in enumerate(self.commands)}
        self._caches[_FLEETENV] = self._prefix / "pkgs"
        self.create(_FLEETENV, emptied=True)  # py-rattler is there from now on
        environment = (self._prefix / "envs" / _NAME).resolve()
        files = [path for path in environment.rglob("*") if path.is_file()]
        count = len(list(environment.glob("conda-meta/*.json")))
        size = sum(path.stat().st_size for path in files) / 1e6
        self.size = f"{count} packages ({bulky} of them simulated), {len(files)} files, {size:.0f} MB"

    def create(self, tool: str, *, emptied: bool) -> Run:
        """Make the environment where there is none."""
        name = _IN_SHARDS if tool == _SHARDS else _NAME
        self._clear(_NAME, _IN_SHARDS, emptied=emptied)
        cache = self._caches[tool]  # each has its own: conda unpacks anew what it had from another URL
        done = run(self.commands[tool], self._folder, {**self._environment, "CONDA_PKGS_DIRS": str(cache)})
        python = self._prefix / "envs" / name / "bin/python"
        works = [str(python), "-c", "import numpy, matplotlib, fleet_text"]
        if done.status or subprocess.run(works, check=False).returncode:
            raise SystemExit(f"{tool}: {done.printed[-2000:]}")
        return done

    def fill_caches(self) -> None:
        """Let each tool have what it keeps for the next time."""
        for tool in self.commands:
            self.create(tool, emptied=False)

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
        for cache in self._caches.values() if emptied else ():
            shutil.rmtree(cache, ignore_errors=True)
            cache.mkdir()
            (cache / "urls.txt").touch()  # by which conda knows its cache
        os.sync()  # what was there before is not waited for in the run

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
