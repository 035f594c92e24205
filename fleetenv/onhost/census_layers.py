"""What lies on top of environments in a census: virtualenvs, Jupyter kernels; and conda's settings."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_MOST = 200  # virtualenvs, kernels, settings
_MOST_PACKAGES = 2000
_LONGEST = 65536  # bytes of a file that are read
_ENTRIES = 2000  # of a folder that is searched
_SYSTEM_KERNELS = ("/usr/local/share/jupyter/kernels", "/usr/share/jupyter/kernels")
_HOME_VIRTUALENVS = ("", ".virtualenvs", "venvs", "envs", ".venvs")
_CONDARC = ("/etc/conda/.condarc", "/etc/conda/condarc", "/var/lib/conda/.condarc", "/var/lib/conda/condarc")
_DIST_INFO = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)\.dist-info")


@dataclass(frozen=True)
class Virtualenv:
    """One virtualenv."""

    base: str  # the folder of the interpreter that it was made with
    python: str = ""  # that one's version
    works: bool = True  # whether the interpreter is there
    managed: bool = False  # fleetenv built it
    packages: dict[str, str] = field(default_factory=dict)  # name -> version


@dataclass(frozen=True)
class Kernel:
    """One kernel of Jupyter."""

    program: str  # what is started
    title: str = ""
    gone: bool = False  # the program is not there any more


def virtualenvs(known: Sequence[str], homes: Iterable[Path]) -> dict[str, Virtualenv]:
    """Look at virtualenvs that are known, at others beside them, and at those at usual places in homes."""
    paths = [Path(os.path.expanduser(path)) for path in known]  # noqa: PTH111
    folders = [path.parent for path in paths] + [home / name for home in homes for name in _HOME_VIRTUALENVS]
    found: dict[str, Virtualenv] = {}
    for path in (*paths, *(each for folder in folders for each in _entries(folder))):
        if str(path) not in found and len(found) < _MOST and (config := _text(path / "pyvenv.cfg")):
            found[str(path)] = _virtualenv(path, config)
    return found


def _virtualenv(path: Path, config: str) -> Virtualenv:
    said = dict(re.findall(r"^(\w+)\s*=\s*(.*?)\s*$", config, re.MULTILINE))
    matches = (_DIST_INFO.fullmatch(each.name) for each in sorted(path.glob("lib/python3*/site-packages/*.dist-info")))
    packages = {re.sub(r"[-_.]+", "-", match["name"]).lower(): match["version"] for match in matches if match}
    return Virtualenv(
        base=str(said.get("home", "")),
        python=str(said.get("version", said.get("version_info", ""))),
        works=not _is_gone(path / "bin" / "python"),
        managed=(path / "fleetenv.json").is_file(),
        packages=dict(list(packages.items())[:_MOST_PACKAGES]),
    )


def kernels(known: Sequence[str], prefixes: Iterable[Path], homes: Iterable[Path]) -> dict[str, Kernel]:
    """Look at the kernels of Jupyter's folders: of all users, of base, of each home, and of those that are known."""
    folders = [*known, *_SYSTEM_KERNELS, *(str(prefix / "share/jupyter/kernels") for prefix in prefixes)]
    folders += [str(home / ".local/share/jupyter/kernels") for home in homes]
    found: dict[str, Kernel] = {}
    for folder in dict.fromkeys(os.path.expanduser(each) for each in folders):  # noqa: PTH111
        for path in _entries(Path(folder)):
            if len(found) < _MOST and (text := _text(path / "kernel.json")):
                found[str(path)] = _kernel(text)
    return found


def _kernel(text: str) -> Kernel:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        return Kernel("", "(not a kernel.json)")
    argv = document.get("argv")
    program = str(argv[0]) if isinstance(argv, list) and argv else ""
    return Kernel(program, str(document.get("display_name", "")), program.startswith("/") and _is_gone(Path(program)))


def condarc_files(prefixes: Iterable[Path], homes: Iterable[Path]) -> dict[str, str]:
    """Read conda's settings: of the host, of each Miniconda, of each home."""
    paths = [Path(path) for path in _CONDARC]
    paths += _entries(Path("/etc/conda/condarc.d"))
    paths += [prefix / ".condarc" for prefix in prefixes]
    paths += [home / place for home in homes for place in (".condarc", ".conda/.condarc", ".config/conda/.condarc")]
    texts = ((str(path), _text(path)) for path in dict.fromkeys(paths))
    return dict([(path, text) for path, text in texts if text is not None][:_MOST])


def _entries(folder: Path) -> Iterator[Path]:
    """Yield what is in a folder, sorted, as far as it may be read; nothing hidden."""
    names: list[str] = []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith("."):
                names.append(entry.name)
            if len(names) >= _ENTRIES:
                break
    return (folder / name for name in sorted(names))


def _text(path: Path) -> str | None:
    """Read the beginning of a plain file; None: there is none, or it may not be read. Pipes and devices are none."""
    with suppress(OSError):
        if path.is_file():
            with path.open("rb") as file:
                return file.read(_LONGEST).decode("utf-8", "replace")
    return None


def _is_gone(program: Path) -> bool:
    """Whether a program is not there, as far as that can be seen: the nearest folder above may be searched."""
    target = Path(os.path.realpath(program))
    try:
        if target.exists():
            return False
    except OSError:
        return False
    above = next((each for each in target.parents if os.path.lexists(each)), Path("/"))
    return os.access(above, os.X_OK)
