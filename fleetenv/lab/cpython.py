"""The Python that runs fleetenv, packed as the lab channel's `python` and `pip`.

Understood layouts: CPython as `make install` leaves it (pyenv, python-build-standalone, the docker images) and
Debian's, whose own patches for `dist-packages` are taken back, since a conda prefix has `site-packages`.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fleetenv.conda import elf
from fleetenv.errors import FleetenvError
from fleetenv.lab.package import BUILT_AT, PLACEHOLDER, File, Link, Package

SUBDIRS = {"x86_64": "linux-64", "aarch64": "linux-aarch64"}
_LIBRARY_PATH = "$ORIGIN/../lib"
_LEFT_OUT_FOLDERS = {"__pycache__", "site-packages", "dist-packages", "test", "tests", "idle_test"}
_LEFT_OUT_FOLDERS |= {"idlelib", "tkinter", "turtledemo", "lib2to3", "pydoc_data"}
_LEFT_OUT = _LEFT_OUT_FOLDERS | {"EXTERNALLY-MANAGED", "sitecustomize.py", "usercustomize.py"}
_LEFT_OUT_EXTENSION = re.compile(r"(_tkinter|_test\w*|_ctypes_test|_xx\w+|xx\w+|nis|ossaudiodev)\.")
_DEBIAN_VENV = re.compile(rb"sys\.base_prefix != sys\.prefix or hasattr\(sys, ['\"]real_prefix['\"]\)")
_DEBIAN_SITE = b'''"""Packages live in site-packages; Debian's frozen `site` knows only dist-packages."""
import site, sys

if sys.prefix == sys.base_prefix:
    _packages = f"{sys.prefix}/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    site.getsitepackages = lambda prefixes=None: [_packages]
    site.addsitedir(_packages)
'''
_WHERE_PACKAGES_GO = (
    "import site, sys, sysconfig; where = site.getsitepackages()[0]; "
    "print(sys.prefix, where in sys.path and where, sysconfig.get_path('purelib'))"
)


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The running CPython: what there is to pack."""

    executable: Path
    base: str  # the prefix that it was built for
    stdlib: Path
    extensions: Path  # lib-dynload
    library: Path | None  # libpythonX.Y.so, where the executable is linked to it

    @classmethod
    def running(cls) -> Interpreter:
        """Find the interpreter behind this process, outside of any virtual environment.

        Raises:
            FleetenvError: its layout is not known.
        """
        if sys.implementation.name != "cpython" or platform.machine() not in SUBDIRS or sys.platlibdir != "lib":
            raise FleetenvError(
                "the lab packs the Python that runs it: a CPython on x86_64 or aarch64 with its library in lib/, "
                f"not {sys.implementation.name} on {platform.machine()} with {sys.platlibdir}/"
            )
        base = sys.base_prefix
        executable = Path(os.path.realpath(Path(base, "bin", _python())))
        if not executable.is_file():
            raise FleetenvError(f"there is no {executable}, from which the lab would pack Python")
        stdlib = Path(sysconfig.get_path("stdlib", vars={"installed_base": base}))
        extensions = Path(sysconfig.get_config_var("DESTSHARED") or stdlib / "lib-dynload")
        if not extensions.is_dir():  # python-build-standalone remembers where it was built, not where it is
            extensions = stdlib / "lib-dynload"
        return cls(executable, base, stdlib, extensions, _library(executable, base))


def python_package(interpreter: Interpreter) -> Package:
    """Pack the interpreter as `python` for this platform, stripped of tests and of what linkers need, byte-compiled.

    Raises:
        FleetenvError: it would not work from another prefix.
    """
    files = {**_executables(interpreter), **_library_files(interpreter)}
    files |= _compiled(files)
    return Package(
        name="python",
        version=platform.python_version(),
        files=files,
        build="0_fleetenvlab",
        subdir=SUBDIRS[platform.machine()],
        noarch=None,
        license="Python-2.0",
        summary="The CPython that runs fleetenv, packed by its lab",
    )


def pip_package() -> Package:
    """Pack `pip` from the wheel that comes with Python.

    Raises:
        FleetenvError: there is no wheel (Debian keeps it in a package of its own).
    """
    wheel = pip_wheel()
    version = wheel.name.split("-")[1]
    with zipfile.ZipFile(wheel) as archive:
        files: dict[str, File | Link] = {
            f"site-packages/{name}": File(archive.read(name)) for name in archive.namelist() if not name.endswith("/")
        }
    files[f"site-packages/pip-{version}.dist-info/INSTALLER"] = File(b"conda\n")
    main = "pip._internal.cli.main:main"
    return Package(
        name="pip",
        version=version,
        files=files,
        depends=("python >=3.10",),
        build="pyh_0",
        entry_points=(f"pip = {main}", f"pip3 = {main}"),
        license="MIT",
        summary="pip, from the wheel that comes with Python",
    )


def pip_wheel() -> Path:
    """Find the wheel of pip that `ensurepip` would install."""
    places = [Path(sysconfig.get_path("stdlib"), "ensurepip", "_bundled"), Path("/usr/share/python-wheels")]
    if special := sysconfig.get_config_var("WHEEL_PKG_DIR"):
        places.insert(0, Path(special))
    for place in places:
        if wheels := sorted(place.glob("pip-*.whl")):
            return wheels[-1]
    raise FleetenvError(f"this Python comes without pip's wheel; on Debian and Ubuntu: apt install {_python()}-venv")


def _python() -> str:
    return f"python{sys.version_info.major}.{sys.version_info.minor}"


def _library(executable: Path, base: str) -> Path | None:
    """The shared libpython that the executable is linked to."""
    needed = [name for name in elf.read_dynamic(executable.read_bytes()).needed if name.startswith("libpython")]
    if not needed:
        return None
    for folder in (Path(base, "lib"), Path(str(sysconfig.get_config_var("LIBDIR")))):
        if (folder / needed[0]).is_file():
            return folder / needed[0]
    raise FleetenvError(f"{executable} needs {needed[0]}, which is not in {base}/lib")


def _executables(interpreter: Interpreter) -> dict[str, File | Link]:
    program = interpreter.executable.read_bytes()
    files: dict[str, File | Link] = {"bin/python": Link(_python()), "bin/python3": Link(_python())}
    if interpreter.library is not None:
        if elf.read_dynamic(program).runpath != _LIBRARY_PATH:
            try:
                program = elf.with_runpath(program, _LIBRARY_PATH)
            except ValueError as error:
                raise FleetenvError(f"{interpreter.executable} cannot be moved: {error}") from error
        library = elf.without_sections(interpreter.library.read_bytes())
        files[f"lib/{interpreter.library.name}"] = File(library, 0o755)
    files[f"bin/{_python()}"] = File(elf.without_sections(program), 0o755)
    return files


def _library_files(interpreter: Interpreter) -> dict[str, File | Link]:
    lib = f"lib/{_python()}"
    note = b"Packages of this environment; conda and pip put them here.\n"
    files: dict[str, File | Link] = {f"{lib}/site-packages/README.txt": File(note)}
    for path in _walk(interpreter.stdlib):
        name = path.relative_to(interpreter.stdlib).as_posix()
        files[f"{lib}/{name}"] = File(_relocated(name, path.read_bytes(), interpreter.base))
    if "posix_local" in sysconfig.get_scheme_names():
        files[f"{lib}/sitecustomize.py"] = File(_DEBIAN_SITE)
    for path in sorted(interpreter.extensions.glob("*.so")):
        if not _LEFT_OUT_EXTENSION.match(path.name):
            files[f"{lib}/lib-dynload/{path.name}"] = File(elf.without_sections(path.read_bytes()), 0o755)
    return files


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name in _LEFT_OUT or path.name.startswith(("config-", "lib-dynload")):
            continue
        if path.is_dir():
            yield from _walk(path)
        elif path.is_file() and path.suffix not in (".pyc", ".a"):
            yield path


def _relocated(name: str, data: bytes, base: str) -> bytes:
    """The file without the place where this Python happens to be, and without Debian's places for packages."""
    if name in ("sysconfig.py", "sysconfig/__init__.py"):
        return _DEBIAN_VENV.sub(b"True", data)
    if name.startswith("_sysconfigdata") and base not in ("/usr", "/usr/local"):  # those are parts of other words
        return data.replace(base.encode(), PLACEHOLDER.encode())
    return data


def _compiled(files: Mapping[str, File | Link]) -> dict[str, File | Link]:
    """Byte-compile the standard library, as conda's own python comes, after seeing that the package works."""
    with tempfile.TemporaryDirectory(prefix="fleetenv-lab-") as name:
        stage = Path(name).resolve()
        _unpack(files, stage)
        _check(stage)
        library = stage / "lib" / _python()
        # In one process: what marshal writes depends on what the process has compiled before.
        skipped = "|".join(re.escape(path) for path, file in files.items() if _has_placeholder(file)) or "$^"
        program = [str(stage / "bin" / _python()), "-B", "-P", "-s", "-m", "compileall"]
        subprocess.run(
            [*program, "-q", "-x", skipped, "-s", str(stage), str(library)],
            check=False,  # the library holds a few files that are not meant to compile
            stdout=subprocess.DEVNULL,
            env={"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"},
        )
        found = sorted(library.rglob("*.pyc"))
        return {path.relative_to(stage).as_posix(): File(path.read_bytes()) for path in found}


def _has_placeholder(file: File | Link) -> bool:
    return isinstance(file, File) and PLACEHOLDER.encode() in file.data


def _unpack(files: Mapping[str, File | Link], stage: Path) -> None:
    for name, entry in files.items():
        path = stage / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(entry, Link):
            path.symlink_to(entry.target)
        else:
            path.write_bytes(entry.data)
            path.chmod(entry.mode)
            os.utime(path, (BUILT_AT, BUILT_AT))  # what compiled files compare with


def _check(stage: Path) -> None:
    """See that the package runs from any place and takes packages where conda puts them."""
    command = [str(stage / "bin" / "python"), "-I", "-B", "-c", _WHERE_PACKAGES_GO]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"LC_ALL": "C.UTF-8"})
    packages = stage / "lib" / _python() / "site-packages"
    wanted = f"{stage} {packages} {packages}"
    if done.stdout.strip() != wanted:
        said = done.stdout.strip() or done.stderr.strip().splitlines()[-1:]
        raise FleetenvError(f"the lab cannot pack {sys.executable}: in another prefix it says {said}, not {wanted}")
