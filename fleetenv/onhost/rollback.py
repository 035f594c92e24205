"""Going back to an earlier generation: the same switch that follows a build, without one."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from . import interpreter
from .generations import Generations
from .layers import Virtualenvs, registered, standing
from .report import Failure

_DONE = "rolled-back"  # in PREFIX/envs/.fleetenv: what was rolled back last, and in which run


@dataclass(frozen=True)
class Above:
    """A virtualenv that stands on another generation of the environment than the one that is current after it."""

    path: str
    base: str  # the generation that it stands on
    generation: str = ""  # of the virtualenv: the newest one that stands on the environment's current one; empty: none


@dataclass(frozen=True)
class Rollback:
    """What was done."""

    before: str  # the generation that was current; empty: none was
    after: str
    switched: bool  # or, in check mode, would be
    generations: list[str] = field(default_factory=list)  # that can be switched to, the newest first
    elsewhere: str = ""  # the host that had done it already, in the same run: it shares this prefix
    virtualenvs: list[Above] = field(default_factory=list)  # of an environment: which do not stand on it then


def answer(prefix: str, name: str, to: str, *, check: bool, run: str, who: str, wait: float) -> Rollback:
    """Switch an environment, or a virtualenv, to its previous generation, or to a certain one.

    Args:
        prefix: The Miniconda prefix.
        name: The environment; or the path of the virtualenv.
        to: The generation's name or number; empty: the one before the current one.
        check: Whether nothing is to be changed.
        run: The same on all hosts of one run: those that share a prefix go back one step together.
        who: user@controller.
        wait: Seconds to wait for another fleetenv.

    Raises:
        Failure: there is no such environment or generation, or it does not work.
    """
    generations = _generations(Path(prefix), name)
    if generations.link.exists() and not generations.link.is_symlink():
        raise Failure(f"{generations.link} was made by hand: there is nothing to go back from")
    if check:
        return _with_layers(_planned(generations, to, run)[0], Path(prefix), name)
    with generations.locked(who, f"rolling back {name}", wait) as lock:
        planned, target = _planned(generations, to, run)
        if planned.switched:
            lock.check()
            generations.switch(target)
            _remember(generations, run, planned)
        return _with_layers(planned, Path(prefix), name)


def _generations(prefix: Path, name: str) -> Generations:
    if not name.startswith("/"):
        generations = Generations(prefix, name)
        if not generations.numbered():
            raise Failure(f"fleetenv has built no environment '{name}' in {prefix}")
        return generations
    virtualenvs = Virtualenvs.at(Path(name))
    if not virtualenvs.numbered():
        raise Failure(f"fleetenv has built no virtualenv {name}")
    return virtualenvs


def _with_layers(planned: Rollback, prefix: Path, name: str) -> Rollback:
    """Add which virtualenvs will not stand on the environment's current generation."""
    above = []
    for layer in registered(prefix):
        said = standing(prefix, layer.path)
        if said and said.environment == name and said.generation not in (None, planned.after):
            fitting = [path.name for path in layer.generations.whole() if _base(prefix, path) == planned.after]
            above.append(Above(str(layer.path), said.generation or "", fitting[-1] if fitting else ""))
    return replace(planned, virtualenvs=above)


def _base(prefix: Path, generation: Path) -> str | None:
    said = standing(prefix, generation)
    return said.generation if said else None


def _planned(generations: Generations, to: str, run: str) -> tuple[Rollback, Path]:
    whole = generations.whole()
    pointed = generations.pointed()
    before = pointed.name if pointed else ""
    names = [path.name for path in reversed(whole)]
    done = _done(generations, run)
    if done is not None and done["after"] == before:
        return Rollback(done["before"], before, False, names, done["host"]), generations.folder / before
    target = _named(generations, whole, to) if to else _previous(generations, whole, before)
    if target.name != before:
        _works(generations, target)
    return Rollback(before, target.name, target.name != before, names), target


def _previous(generations: Generations, whole: list[Path], current: str) -> Path:
    older = [path for path in whole if not current or _number(path.name) < _number(current)]
    if not older:
        kept = ", ".join(path.name for path in whole if path.name != current)
        hint = f": --to takes you forward to {kept}" if kept else ""
        raise Failure(f"{generations.title} has no generation before {current or 'this'}{hint}")
    return older[-1]


def _named(generations: Generations, whole: list[Path], to: str) -> Path:
    for path in whole:
        if path.name == to or (to.isdecimal() and _number(path.name) == int(to)):
            return path
    kept = ", ".join(path.name for path in reversed(whole)) or "none"
    raise Failure(f"{generations.title} has no finished generation '{to}'; there are: {kept}")


def _works(generations: Generations, target: Path) -> None:
    if not (target / generations.stamp).is_file():
        return  # made by hand
    if isinstance(generations, Virtualenvs) and not (target / "bin" / "python").exists():
        beneath = (target / "bin" / "python").readlink().parent.parent
        raise Failure(f"{target.name} stands on {beneath}, which is gone: a task 'virtualenv' builds it anew")
    if isinstance(generations, Virtualenvs) or interpreter.library(target):
        interpreter.check(target)


def _number(name: str) -> int:
    return int(name.partition("-")[0])


def _done(generations: Generations, run: str) -> dict[str, str] | None:
    """Return what this very run has done already, from another host that shares this prefix."""
    with suppress(OSError, ValueError):
        said = json.loads((generations.folder.parent / _DONE).read_text(encoding="utf-8"))
        if isinstance(said, dict) and (said.get("run"), said.get("name")) == (run, generations.name):
            return {key: str(said.get(key)) for key in ("before", "after", "host")}
    return None


def _remember(generations: Generations, run: str, done: Rollback) -> None:
    path = generations.folder.parent / _DONE
    draft = path.with_name(f".{_DONE}-{os.getpid()}")
    told = {"run": run, "name": generations.name, "host": socket.gethostname()}
    draft.write_text(json.dumps(asdict(done) | told), encoding="utf-8")
    draft.replace(path)
