"""Builds a virtualenv on this host, as a new generation beside the present one, and switches to it when it works.

Where it lies: see layers.py. It is tied to one generation of the environment beneath it: `bin/python` leads there,
whatever is current later. Sent to Miniconda's own Python with each request; leaves nothing beside what is asked for.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import interpreter, pip
from .generations import flush, remove
from .layers import ARRIVALS, MARK, Virtualenvs, register
from .report import Failure, Progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .supply import Supply
    from .wheels import Wheel

LOCK_TIMEOUT = 1800.0
"""Seconds to wait while another fleetenv changes virtualenvs of the same folder."""

# Python takes the path that it was called by for the virtualenv's, and through the link that would be the link. This
# makes it the generation, before anything is imported; and keeps a file of it mapped, so that /proc tells who uses it.
_PIN = '''\
"""Keep this process in the generation of the virtualenv that it was started in. Written by fleetenv."""

import mmap
import os
import sys

_link = sys.prefix
_generation = os.path.realpath(_link)


def _pinned(path):
    return _generation + path[len(_link) :] if path.startswith(_link + os.sep) else path


if _generation != _link:
    sys.path[:] = [_pinned(path) for path in sys.path]
    sys.prefix = sys.exec_prefix = _generation
    sys.executable = _pinned(sys.executable or "")
try:
    with open(os.path.join(_generation, "fleetenv.json"), "rb") as _file:
        _mapped = mmap.mmap(_file.fileno(), 0, access=mmap.ACCESS_READ)
except (OSError, ValueError):
    pass  # it is just being built
'''
_DIST_INFO = re.compile(r"(?P<name>[^-]+)-(?P<version>.+)\.dist-info")


@dataclass(frozen=True)
class Request:
    """What is to be done. Made by fleetenv.modules.virtualenv, sent as JSON."""

    action: str  # build | remove
    path: str
    seen: str = ""  # the generation that was current when the controller decided to build
    keep: int = 2
    python: str = ""  # the interpreter beneath, in a folder that is no link
    digest: str = ""  # of all that decides what comes of it: a generation's name ends in it
    wishes_digest: str = ""  # of the requirements alone
    requirements: Sequence[str] = ()
    constraints: Sequence[str] = ()
    hashed: bool = False
    system_site_packages: bool = False
    pinned: Sequence[str] = ()  # normalised names: what lies beneath may be the version that they ask for
    via: str = "host"  # host | controller: who downloads
    wheels: Sequence[Mapping[str, object]] = ()  # instead of the requirements, when the controller does
    owner: str = ""
    who: str = ""  # user@controller, for whoever has to wait


@dataclass(frozen=True)
class Outcome:
    """What is worth telling of a build or a removal."""

    notes: list[str]


def answer(prefix: str, **request: object) -> Outcome:
    """Do what a [`Request`][] asks for; `prefix` is where Miniconda is, whose Python this runs on.

    Raises:
        Failure: it cannot be done.
    """
    asked = Request(**request)  # type: ignore[arg-type]  # fields checked by the sender
    root = Path(prefix)
    notes = build(asked, root) if asked.action == "build" else remove_virtualenv(asked, root)
    for note in notes:
        sys.stdout.write(f"fleetenv-note {note}\n")
    return Outcome(notes)


def build(request: Request, prefix: Path) -> list[str]:
    """Build a generation and switch to it; returns what is worth telling."""
    generations = _generations(request)
    with generations.locked(request.who, f"building {generations.name}", LOCK_TIMEOUT):
        generations.clean_unfinished()
        present = generations.current()
        if present and present.name != request.seen and present.name.endswith(f"-{request.digest[:12]}"):
            return [f"another fleetenv has built {present.name} meanwhile"]
        arrived = _arrived(request, generations)
        generation = generations.begin(request.digest)
        try:
            _fill(request, generation, prefix, arrived)
        except BaseException:
            with suppress(OSError):
                remove(generation)
            raise
        generations.switch(generation)
        register(prefix, generations.link, registered=True)
        return generations.remove_old(request.keep)


def remove_virtualenv(request: Request, prefix: Path) -> list[str]:
    """Remove a virtualenv; returns what is worth telling."""
    generations = _generations(request)
    with generations.locked(request.who, f"removing {generations.name}", LOCK_TIMEOUT):
        notes = generations.remove_all()
        if not generations.numbered():
            register(prefix, generations.link, registered=False)
        return notes


def _generations(request: Request) -> Virtualenvs:
    path = Path(request.path)
    if path.exists() and not path.is_symlink() and not (path / "pyvenv.cfg").is_file():
        raise Failure(f"{path} is there already, and is no virtualenv")
    path.parent.mkdir(parents=True, exist_ok=True)
    return Virtualenvs.at(path)


@dataclass(frozen=True)
class _Arrived:
    """Wheels that the controller has, and how they are fetched."""

    wheels: list[Wheel]
    supply: Supply

    def install(self, program: Sequence[str], generation: Path, progress: Progress) -> None:
        """Fetch them, and install them; nothing of them stays beside what is installed."""
        from .wheels import fetch, install_with

        with self.supply:
            folder = fetch(self.wheels, self.supply, generation)
            install_with(program, self.wheels, [], generation, folder, progress)


def _arrived(request: Request, generations: Virtualenvs) -> _Arrived | None:
    """Prepare to fetch what the controller has; None: pip asks an index.

    Raises:
        Wanted: the controller has to send it first.
    """
    if request.via != "controller":
        return None
    from .arrivals import offered  # these are sent along only then
    from .supply import Supply
    from .wheels import Wheel

    wheels = [Wheel(**wheel) for wheel in request.wheels]  # type: ignore[arg-type]  # fields checked by the sender
    folder = generations.folder.parent / ARRIVALS
    folder.mkdir(exist_ok=True)
    supply = Supply.open(folder, [], offered(request.via), Progress(len(wheels)))
    supply.check([], wheels)
    return _Arrived(wheels, supply)


def _fill(request: Request, generation: Path, prefix: Path, arrived: _Arrived | None) -> None:
    """Make the virtualenv, install into it, check it, and mark it finished."""
    wishes = [line for line in request.requirements if not line.startswith("-")]
    progress = Progress(len(wishes) + 2)
    program = _create(request, generation)
    progress.step("made the virtualenv")
    site = next(generation.glob("lib/python3*/site-packages"))
    (site / "_fleetenv_generation.py").write_text(_PIN)
    (site / "zz-fleetenv.pth").write_text("import _fleetenv_generation\n")  # after those that add to sys.path
    before = _installed(site)
    if arrived:
        arrived.install(program, generation, progress)
    elif wishes:
        _install(request, program, generation, progress)
    interpreter.check(generation)
    packages = _installed(site)
    pip.check(program, packages.keys() - before.keys(), generation)
    mark = {
        "base": str(Path(request.python).parent),
        "prefix": str(prefix),
        "requirements": request.wishes_digest,
        "packages": packages,
        "lent": _lent(request, packages),
    }
    draft = generation / f".{MARK}"
    draft.write_text(json.dumps(mark, indent=1, sort_keys=True))
    if request.owner:
        owner = request.owner if ":" in request.owner else f"{request.owner}:"  # with that user's own group
        _run(["chown", "-R", "-h", owner, str(generation)], f"cannot give it to {request.owner}")
    flush(generation)
    draft.rename(generation / MARK)
    progress.step("built")


def _create(request: Request, generation: Path) -> list[str]:
    """Make an empty virtualenv, with pip in it where the interpreter brings one; returns how pip is run for it.

    That is a pip made for this Python: the environment's own, or the one in the interpreter's library; at last
    Miniconda's, which may be too new for an old Python. `python -m venv` alone would take four times as long.
    """
    command = [request.python, "-I", "-m", "venv", "--without-pip", "--prompt", Path(request.path).name]
    command += ["--system-site-packages"] if request.system_site_packages else []
    _run([*command, str(generation)], "cannot make a virtualenv")
    own = str(generation / "bin" / "python")
    library = Path(request.python).parent.parent / "lib"
    bundled = next(iter(sorted(library.glob("python3*/ensurepip/_bundled/pip-*.whl"))), None)
    program = [sys.executable, "-I", "-m", "pip", "--python", own]
    if any(library.glob("python3*/site-packages/pip/__init__.py")):
        program[0] = request.python
    elif bundled:
        program = [own, str(bundled / "pip")]
    if bundled:
        options = ["--no-index", "--no-deps", "--no-compile", "--ignore-installed", str(bundled)]
        pip.install(program, options, generation)
    return program


def _install(request: Request, program: Sequence[str], generation: Path, progress: Progress) -> None:
    requirements, constraints = generation / ".requirements.txt", generation / ".constraints.txt"
    pip.write_lines(requirements, request.requirements)
    pip.write_lines(constraints, request.constraints)
    options = ["--require-hashes"] if request.hashed else []
    pip.install(program, [*options, "-c", str(constraints), "-r", str(requirements)], generation, progress)
    requirements.unlink()
    constraints.unlink()


def _installed(site: Path) -> dict[str, str]:
    """Name what is installed, as `fleetenv.modules.virtualenv` sees it: by the names of folders."""
    matches = (_DIST_INFO.fullmatch(path.name) for path in site.iterdir())
    return {re.sub(r"[-_.]+", "-", match["name"]).lower(): match["version"] for match in matches if match}


def _lent(request: Request, packages: Mapping[str, str]) -> dict[str, str]:
    """Name what is pinned and comes from beneath: pip installs nothing that is satisfied there."""
    lacking = {name for name in request.pinned if name not in packages} if request.system_site_packages else set()
    library = Path(request.python).parent.parent / "lib"
    beneath = [_installed(site) for site in library.glob("python3*/*-packages") if lacking]
    return {name: version for each in beneath for name, version in each.items() if name in lacking}


def _run(command: list[str], failing: str) -> None:
    done = subprocess.run(
        command, capture_output=True, check=False, close_fds=False, encoding="utf-8", errors="replace",
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}").splitlines()[-1]
        raise Failure(f"{failing}: {said}")
