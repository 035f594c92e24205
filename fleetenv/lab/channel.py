"""The lab's own conda channel and pip index, built offline from the Python that runs fleetenv.

Both are real: conda, mamba, pixi, py-rattler, pip and uv can install from them. Only the packages are small.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fleetenv.conda import elf
from fleetenv.lab import cpython, samples
from fleetenv.lab.package import Package
from fleetenv.lab.project import Project
from fleetenv.lab.wheels import add_wheel

_RECIPES = ["channel.py", "cpython.py", "installer.py", "installer_header.sh", "link_base.py", "package.py"]
_RECIPES += ["project.py", "samples.py", "standin_conda.py", "wheels.py"]
_TAR_BZ2 = frozenset({"fleet-tensor-1.0-pyh_0", "fleet-text-0.9-pyh_0", "fleet-data-1.0-pyh_0"})  # the old format lives


@dataclass(frozen=True, slots=True)
class LabChannel:
    """A built channel: `folder/conda` and beside it the pip index `folder/simple`."""

    folder: Path

    @property
    def path(self) -> Path:
        """The conda channel's folder."""
        return self.folder / "conda"

    @property
    def url(self) -> str:
        """The conda channel's URL (`file://`); serve [`path`][] to have another."""
        return self.path.as_uri()

    @property
    def simple_path(self) -> Path:
        """The pip index's folder."""
        return self.folder / "simple"

    @property
    def simple(self) -> str:
        """The pip index's URL, as `--index-url` takes it."""
        return self.simple_path.as_uri()

    @property
    def key(self) -> str:
        """What the channel was built from, as one hash: the Python, its pip, and the recipes."""
        return (self.folder / "built").read_text().partition("\n")[0]

    @property
    def subdir(self) -> str:
        """What conda calls this machine's platform, for which there is a `python`."""
        return cpython.SUBDIRS[platform.machine()]

    def add_package(
        self,
        name: str,
        version: str,
        depends: tuple[str, ...] = (),
        files: Mapping[str, str] | None = None,
        scripts: tuple[str, ...] = (),
    ) -> Path:
        """Add one noarch Python package and index the channel again.

        Args:
            name: The package's name; without `files` it is imported by it, with `_` for `-`.
            version: Its version.
            depends: What it needs beside Python, in conda's words (`fleet-tensor >=1.1`, `__cuda >=12.4`).
            files: Paths below site-packages, and the text of each; otherwise one module with `__version__`.
            scripts: Entry points, `tool = module:function`.

        Returns:
            The package's file.
        """
        (path,) = self.add(_project(name, version, depends, files, scripts).conda_package())
        return path

    def add(self, *packages: Package) -> list[Path]:
        """Add packages of any kind, and index the channel again."""
        with _locked(self.folder):
            paths = [each.write(self.path / each.subdir, ".conda") for each in packages]
            _index(self.path)
        return paths

    def add_wheel(
        self, name: str, version: str, requires: tuple[str, ...] = (), files: Mapping[str, str] | None = None
    ) -> Path:
        """Add one wheel to the pip index; arguments as for [`add_package`][], `requires` in pip's words."""
        with _locked(self.folder):
            return add_wheel(self.simple_path, _project(name, version, requires, files, ()))


def build_channel(folder: Path) -> LabChannel:
    """Build the channel in `folder`, or return at once when the same one is there already.

    The same Python and the same fleetenv give the same bytes. Packages that were added stay until it is built anew.

    Raises:
        FleetenvError: this Python cannot be packed.
    """
    channel = LabChannel(folder.resolve())
    channel.folder.mkdir(parents=True, exist_ok=True)
    interpreter = cpython.Interpreter.running()
    with _locked(channel.folder):
        key = channel.folder / "built"
        wanted = _key(interpreter)
        if not (key.is_file() and _intact(channel.folder, key.read_text(), wanted)):
            key.unlink(missing_ok=True)
            _build(channel, interpreter)
            key.write_text("\n".join((wanted, *_sizes(channel.folder))))
    return channel


def _build(channel: LabChannel, interpreter: cpython.Interpreter) -> None:
    for old in (channel.path, channel.simple_path):
        shutil.rmtree(old, ignore_errors=True)
    for subdir in (channel.subdir, "noarch"):
        (channel.path / subdir).mkdir(parents=True)
    packages: list[Package] = [cpython.python_package(interpreter), cpython.pip_package()]
    packages += [project.conda_package() for project in samples.CONDA]
    for package in packages:
        package.write(channel.path / package.subdir, ".tar.bz2" if package.stem in _TAR_BZ2 else ".conda")
    _index(channel.path)
    for project in samples.PIP:
        add_wheel(channel.simple_path, project)


def _index(channel: Path) -> None:
    """Write repodata.json as a channel's server does; in a thread, since a caller may have an event loop running."""
    from rattler.index import index_fs

    async def index() -> None:
        await index_fs(channel, write_shards=False, force=True)

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, index()).result()


def _project(
    name: str, version: str, requires: tuple[str, ...], files: Mapping[str, str] | None, scripts: tuple[str, ...]
) -> Project:
    module = name.replace("-", "_")
    return Project(name, version, files or {f"{module}/__init__.py": f'__version__ = "{version}"\n'}, requires, scripts)


def _key(interpreter: cpython.Interpreter) -> str:
    """What the channel is made of: this Python, its pip, and the recipes, which are this package's own files."""
    digest = hashlib.sha256(sys.version.encode())
    recipes = [Path(elf.__file__), *(Path(__file__).with_name(name) for name in _RECIPES)]
    for path in (interpreter.executable, cpython.pip_wheel(), *recipes):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _sizes(folder: Path) -> list[str]:
    files = sorted(path for part in ("conda", "simple") for path in (folder / part).rglob("*") if path.is_file())
    packages = [path for path in files if path.suffix in (".conda", ".bz2", ".whl")]
    return [f"{path.stat().st_size} {path.relative_to(folder).as_posix()}" for path in packages]


def _intact(folder: Path, built: str, wanted: str) -> bool:
    key, *sizes = built.splitlines()
    return key == wanted and set(sizes) <= set(_sizes(folder)) and (folder / "conda/noarch/repodata.json").is_file()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes (parallel tests) out of the folder."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
