"""Going back to an earlier generation: the same switch that follows a build, without one."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from . import interpreter
from .generations import STAMP, Generations
from .report import Failure

_DONE = "rolled-back"  # in PREFIX/envs/.fleetenv: what was rolled back last, and in which run


@dataclass(frozen=True)
class Rollback:
    """What was done."""

    before: str  # the generation that was current; empty: none was
    after: str
    switched: bool  # or, in check mode, would be
    generations: list[str] = field(default_factory=list)  # that can be switched to, the newest first
    elsewhere: str = ""  # the host that had done it already, in the same run: it shares this prefix


def answer(prefix: str, name: str, to: str, *, check: bool, run: str, who: str, wait: float) -> Rollback:
    """Switch an environment to its previous generation, or to a certain one.

    Args:
        prefix: The Miniconda prefix.
        name: The environment.
        to: The generation's name or number; empty: the one before the current one.
        check: Whether nothing is to be changed.
        run: The same on all hosts of one run: those that share a prefix go back one step together.
        who: user@controller.
        wait: Seconds to wait for another fleetenv.

    Raises:
        Failure: there is no such environment or generation, or it does not work.
    """
    generations = Generations(Path(prefix), name)
    if not generations.numbered():
        raise Failure(f"fleetenv has built no environment '{name}' in {prefix}")
    if generations.link.exists() and not generations.link.is_symlink():
        raise Failure(f"{generations.link} was made by hand: there is nothing to go back from")
    if check:
        return _planned(generations, to, run)[0]
    with generations.locked(who, f"rolling back {name}", wait) as lock:
        planned, target = _planned(generations, to, run)
        if planned.switched:
            lock.check()
            generations.switch(target)
            _remember(generations, run, planned)
        return planned


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
        _works(target)
    return Rollback(before, target.name, target.name != before, names), target


def _previous(generations: Generations, whole: list[Path], current: str) -> Path:
    older = [path for path in whole if not current or _number(path.name) < _number(current)]
    if not older:
        kept = ", ".join(path.name for path in whole if path.name != current)
        hint = f": --to takes you forward to {kept}" if kept else ""
        raise Failure(f"{generations.name} has no generation before {current or 'this'}{hint}")
    return older[-1]


def _named(generations: Generations, whole: list[Path], to: str) -> Path:
    for path in whole:
        if path.name == to or (to.isdecimal() and _number(path.name) == int(to)):
            return path
    kept = ", ".join(path.name for path in reversed(whole)) or "none"
    raise Failure(f"{generations.name} has no finished generation '{to}'; there are: {kept}")


def _works(target: Path) -> None:
    lib = interpreter.library(target)
    if lib and (target / STAMP).is_file():
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
