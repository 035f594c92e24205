"""The virtualenvs of this host that lie on a Miniconda's environments: where they are, and what each stands on.

FOLDER/NAME                                symbolic link to the current generation: where users find the virtualenv
FOLDER/.fleetenv/NAME/0003-9f2c41aa        a generation: number, and what the digest of its requirements begins with
PREFIX/.fleetenv/virtualenvs               the paths of those that were built with this Miniconda, a line each
~/.local/state/fleetenv/virtualenvs        the same, of builders who may not write there
"""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .generations import Generations
from .places import BASE, homes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MARK = "fleetenv.json"
"""The last file of a build: which requirements, on which interpreter, with which Miniconda, and what they came to."""

ARRIVALS = ".arrivals"
"""In FOLDER/.fleetenv: files that have come from the controller, or of which a part has, under their sha256."""

_REGISTER = Path(".fleetenv") / "virtualenvs"  # below a Miniconda prefix
_OWN_REGISTER = Path(".local") / "state" / "fleetenv" / "virtualenvs"  # below a home
_LONGEST = 1 << 20  # bytes of a file that are read


@dataclass(frozen=True)
class Virtualenvs(Generations):
    """The generations of the virtualenv `name` in the folder `prefix`."""

    stamp = MARK

    @classmethod
    def at(cls, path: Path) -> Virtualenvs:
        """Return those of the virtualenv that users find at `path`; a generation's own path has no links in it."""
        return cls(Path(os.path.realpath(path.parent)), path.name)

    @property
    def link(self) -> Path:
        """Where users find the virtualenv."""
        return self.prefix / self.name

    @property
    def folder(self) -> Path:
        """Where the generations lie."""
        return self.prefix / ".fleetenv" / self.name

    @property
    def title(self) -> str:
        """What people call it: its path."""
        return str(self.link)


@dataclass(frozen=True)
class Standing:
    """What a virtualenv, or a generation of one, stands on."""

    environment: str  # of this Miniconda, by name; otherwise the folder of another interpreter
    generation: str | None  # of that environment; None: it has none
    stale: bool  # that environment has another generation by now
    works: bool  # its interpreter is there


@dataclass(frozen=True)
class Layer:
    """One virtualenv."""

    generations: Virtualenvs
    managed: bool  # fleetenv built it
    own: bool  # who asks may change it, and it was built with this Miniconda, or is known to be that one's

    @property
    def path(self) -> Path:
        """Where users find it."""
        return self.generations.link

    @property
    def copies(self) -> list[Path]:
        """Its generations, oldest first; of one that was made by hand itself."""
        numbered = [path for _, path in self.generations.numbered()]
        return numbered if self.managed else [*numbered, self.path]


def standing(prefix: Path, virtualenv: Path) -> Standing | None:
    """Say what a virtualenv stands on; None: it is none."""
    home = _home(virtualenv)
    if home is None:
        return None
    root, folder = os.path.realpath(prefix), os.path.normpath(home.parent)
    works = (virtualenv / "bin" / "python").exists()
    for above in (root, str(prefix)):
        if folder == above:
            return Standing(BASE, None, stale=False, works=works)
        if folder.startswith(f"{above}/envs/"):
            name, *rest = folder.removeprefix(f"{above}/envs/").removeprefix(".fleetenv/").split("/")
            if not rest:  # through the environment's link: it is moved with each switch
                return Standing(name, None, stale=False, works=works)
            current = Generations(Path(root), name).current()
            stale = current is None or current.name != rest[0]
            return Standing(name, rest[0], stale=stale, works=works)
    return Standing(folder, None, stale=False, works=works)


def registered(prefix: Path) -> list[Layer]:
    """List the virtualenvs that were built with a Miniconda, by path."""
    own = {*_lines(prefix / _REGISTER), *_of_prefix(prefix, _lines(Path.home() / _OWN_REGISTER))}
    others = {path for home in homes() for path in _of_prefix(prefix, _lines(home / _OWN_REGISTER))}
    layers = [_layer(path, own=path in own) for path in sorted(own | others)]
    return [each for each in layers if each is not None]


def found(prefix: Path) -> list[Layer]:
    """List those that are registered, others that lie beside them, and those at usual places in homes, by path."""
    from .census_layers import virtualenvs  # which a rollback does without

    layers = {layer.path: layer for layer in registered(prefix)}
    for place in virtualenvs([str(path) for path in layers], homes()):
        path = Path(os.path.realpath(Path(place).parent), Path(place).name)
        if path not in layers and _of_prefix(prefix, [path]):
            with suppress(OSError):
                if layer := _layer(path, own=path.lstat().st_uid == os.geteuid()):
                    layers[path] = layer
    return [layers[path] for path in sorted(layers)]


def register(prefix: Path, path: Path, *, registered: bool) -> None:
    """Keep the list of virtualenvs; a mere convenience: failures do not count."""
    for place in (prefix / _REGISTER, Path.home() / _OWN_REGISTER):
        with suppress(OSError):
            known = [str(each) for each in _lines(place)]
            wanted = [each for each in known if each != str(path)] + ([str(path)] if registered else [])
            if wanted != known:
                place.parent.mkdir(parents=True, exist_ok=True)
                draft = place.with_name(f".{place.name}-{os.getpid()}")
                draft.write_text("".join(f"{each}\n" for each in wanted), encoding="utf-8")
                draft.replace(place)
            if registered:
                return


def _layer(path: Path, *, own: bool) -> Layer | None:
    generations = Virtualenvs.at(path)
    own = own and os.access(generations.folder.parent, os.W_OK)
    with suppress(OSError):
        if generations.pointed() is None and (path / "pyvenv.cfg").is_file():
            return Layer(generations, managed=False, own=own)
        if generations.pointed() is not None or generations.numbered():
            return Layer(generations, managed=True, own=own)
    return None


def _of_prefix(prefix: Path, paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the virtualenvs that were built with a Miniconda, or stand on it."""
    root = os.path.realpath(prefix)
    for path in paths:
        said = standing(prefix, path)
        if said and (not said.environment.startswith("/") or os.path.realpath(_mark(path).get("prefix", "")) == root):
            yield path


def _mark(virtualenv: Path) -> dict[str, str]:
    with suppress(ValueError, RecursionError):
        said = json.loads(_read(virtualenv / MARK))
        if isinstance(said, dict):
            return {key: value for key, value in said.items() if isinstance(value, str)}
    return {}


def _home(virtualenv: Path) -> Path | None:
    """Return the folder of the interpreter that a virtualenv was made with."""
    match = re.search(r"^home\s*=\s*(/.*?)\s*$", _read(virtualenv / "pyvenv.cfg"), re.MULTILINE)
    return Path(match[1]) if match else None


def _lines(register: Path) -> list[Path]:
    return [Path(os.path.normpath(line)) for line in _read(register).splitlines() if line.startswith("/")]


def _read(path: Path) -> str:
    """Read the beginning of a plain file; empty text for none."""
    with suppress(OSError):
        if path.is_file():
            with path.open("rb") as file:
                return file.read(_LONGEST).decode("utf-8", "replace")
    return ""
