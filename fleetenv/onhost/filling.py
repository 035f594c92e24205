"""What makes a folder an environment: packages, byte-code, settings; and the checks before it may become current."""

from __future__ import annotations

import json
import time
from contextlib import nullcontext, suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from fleetenv.conda.mirrors import condarc_channels, route

from . import contents, interpreter, seals, trial, wheels
from .bytecode import Bytecode
from .generations import Generations, flush
from .report import Failure, Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rattler import RepoDataRecord

    from .ahead import Following
    from .request import Request


def fill(request: Request, generation: Path, offered: str | None, following: Following) -> list[str]:
    """Put everything into a generation, and check that; returns what is worth telling. It is still to be tried.

    Args:
        request: What it is to be.
        generation: An empty folder.
        offered: As [`Supply`][] has it.
        following: Is told when this build needs all of the host no more.

    Raises:
        Failure: it cannot be built, or does not work.
    """
    from . import packages  # py-rattler is there only now
    from .supply import Supply  # imports all that downloads

    prefix = Path(request.prefix)
    pip = _wheels(request)
    records = packages.read_records(request.lock, request.platform)
    progress = Progress(len(records) + len(pip) + 1)
    routes = request.routes or [route(condarc_channels(prefix), {str(record.channel) for record in records})]
    with Supply.open(prefix / "pkgs", routes, offered, progress) as supply:
        supply.check(records, pip)
        folders = packages.folders(records, supply.cache)
        here = {folder: sha256 for folder, sha256 in folders.items() if folder.is_dir()}
        sealed = not _is_doubtful(request) and seals.unbroken(here)
        packages.install(records, generation, supply, progress, sealed=sealed)
        progress.reach(len(records))
        seals.remember(folders, generation)
        cached = packages.cached(records, supply.cache)
        fetched = wheels.fetch(pip, supply, generation, request.pip_options)
    following.begin()
    notes = supply.downloader.notes
    renewed = not sealed or here != folders
    lib = interpreter.library(generation)
    bytecode = Bytecode(generation, lib) if lib else None
    if lib and bytecode:
        interpreter.pin(generation, lib)
        interpreter.claim(lib)
        following.wait_for_bytecode()
        with bytecode.of_packages(cached):
            if pip:  # it downloads, and has one core
                wheels.install(pip, request.pip_options, generation, lib, prefix, fetched, progress)
                progress.reach(len(records) + len(pip))
            else:
                progress.doing("compiling to byte-code")
                notes += _check_files(request, records, generation, lib)
        renewed |= bytecode.keep()
    following.has_bytecode()
    if pip or not bytecode:
        progress.doing("compiling to byte-code")
        with bytecode.of_all() if bytecode else nullcontext():
            notes += _check_files(request, records, generation, lib)
    if renewed:
        seals.seal(folders)
    progress.step("built")
    return notes


def check(request: Request, generation: Path) -> list[str]:
    """See that a generation which was finished before is what is asked for, and works; as a new one is checked.

    Raises:
        Failure: it is not, or does not.
    """
    from . import packages  # as above

    records = packages.read_records(request.lock, request.platform)
    frozen = generation / "conda-meta" / "frozen"
    if (frozen.read_text() if frozen.is_file() else "") != _frozen(request):
        raise Failure(f"{generation.name} is frozen otherwise")
    here = {path.name for path in (generation / "conda-meta").glob("*.json")}
    if here != {_record(record) for record in records}:
        raise Failure(f"{generation.name} has other packages")
    lib = interpreter.library(generation)
    notes = _check_parts(request, records, generation, lib)
    trial.run(request, generation)
    return notes


def _is_doubtful(request: Request) -> bool:
    """Whether every file of the cache is to be looked at: somebody asks for that, or has a reason to build anew."""
    current = Generations(Path(request.prefix), request.name).current()
    return request.check == "full" or (current is not None and current.name.endswith(f"-{request.digest}"))


def _check_files(request: Request, records: Sequence[RepoDataRecord], generation: Path, lib: Path | None) -> list[str]:
    _write_settings(request, generation)
    Thread(target=_flush_early, args=(generation,), daemon=True).start()
    return _check_parts(request, records, generation, lib)


def _flush_early(generation: Path) -> None:
    """Begin to write to disk what will have to be there at the end."""
    with suppress(OSError):  # it is being removed
        flush(generation)


def _check_parts(request: Request, records: Sequence[RepoDataRecord], generation: Path, lib: Path | None) -> list[str]:
    """Start the interpreter, let pip check what it installed, and look at records and files."""
    pip = _wheels(request)
    if lib:
        interpreter.check(generation)
    if lib and pip:
        wheels.check(pip, generation, lib, Path(request.prefix))
    _check_records(records, generation)
    return contents.check(generation, lib, full=request.check == "full")


def _wheels(request: Request) -> list[wheels.Wheel]:
    return [wheels.Wheel(**wheel) for wheel in request.wheels]  # type: ignore[arg-type]  # fields checked by the sender


def _check_records(records: Sequence[RepoDataRecord], generation: Path) -> None:
    found = {path.name for path in (generation / "conda-meta").glob("*.json")}
    missing = [record.name.normalized for record in records if _record(record) not in found]
    if missing:
        raise Failure(f"after installing, these are not there: {', '.join(missing)}")


def _record(record: RepoDataRecord) -> str:
    return f"{record.name.normalized}-{record.version}-{record.build}.json"


def _frozen(request: Request) -> str:
    return json.dumps({"message": request.frozen}) if request.frozen else ""  # CEP 22


def _write_settings(request: Request, generation: Path) -> None:
    """Write what conda reads beside its records: variables, history, and that only fleetenv changes this."""
    meta = generation / "conda-meta"
    for record in meta.glob("*.json"):  # py-rattler leaves them readable by their owner alone
        record.chmod(0o644)
    if request.variables:
        (meta / "state").write_text(json.dumps({"version": 1, "env_vars": dict(request.variables)}, indent=2))
    if request.frozen:
        (meta / "frozen").write_text(_frozen(request))
    when = time.strftime("%Y-%m-%d %H:%M:%S")
    with (meta / "history").open("a", encoding="utf-8") as history:
        history.write(f"==> {when} <==\n# cmd: fleetenv apply\n# update specs: {json.dumps(list(request.specs))}\n")
