"""Builds an environment on this host, as a new generation beside the present one, and switches to it when it works.

Runs on Miniconda's own Python (3.10 or newer) with py-rattler from a folder of fleetenv's. The request comes as JSON
on standard input: the lock holds everything that decides about packages. A builder that is killed at any moment leaves
the present environment as it was, and nothing that the next one does not remove.
"""

from __future__ import annotations

import errno
import hashlib
import importlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from fleetenv.conda.mirrors import condarc_channels, route
from fleetenv.errors import InputError

from . import access, contents, interpreter, trial, wheels
from .arrivals import UNREACHABLE, Wanted, offered
from .bytecode import Bytecode
from .generations import STAMP, Generations, flush, remove
from .places import register
from .report import Failure, Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rattler import RepoDataRecord


@dataclass(frozen=True)
class Request:
    """What is to be done. Made by fleetenv.conda.builder, sent as JSON."""

    action: str  # build | remove
    prefix: str
    name: str
    keep: int = 2
    seen: str = ""  # the generation that was current when the controller decided to build
    runtime: str = ""  # the archive of py-rattler under PREFIX/.fleetenv; empty: installed there by pip
    runtime_sha256: str = ""
    runtime_version: str = ""
    digest: str = ""
    lock: str = ""
    platform: str = ""
    specs: Sequence[str] = ()
    routes: Sequence[Mapping[str, str]] = ()  # in order; empty: as this host's .condarc says
    via: str = "host"  # host | controller: who downloads packages
    wheels: Sequence[Mapping[str, object]] = ()
    pip_options: Sequence[str] = ()
    variables: Mapping[str, str] | None = None
    frozen: str = ""
    check: str = "sampled"  # whose files' hashes are looked at before the switch: sampled | full
    verify: Sequence[str] = ()  # commands that must succeed in the new generation before the switch
    verify_timeout: float = 600.0  # seconds for each
    owner: str = ""  # of the generation's folders; empty: who builds it
    group: str = ""
    mode: str = ""  # of the folders, octal
    who: str = ""  # user@controller, for whoever has to wait
    lock_timeout: float = 1800.0  # seconds to wait for another fleetenv


def main() -> int:
    """Do what standard input asks for; one line on standard error when it cannot be done."""
    os.umask(0o022)  # other users of the host run these environments
    try:
        request = Request(**json.load(sys.stdin))
    except ValueError:
        sys.stderr.write("the connection was lost before all of the request had come\n")
        return 1
    try:
        notes = build(request) if request.action == "build" else remove_environment(request)
    except Wanted as wanted:
        sys.stdout.write(wanted.lines)
        sys.stderr.write(f"{wanted}\n")
        return UNREACHABLE
    except (Failure, InputError) as failure:
        sys.stderr.write(f"{failure}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"{_os_error(error, request)}\n")
        return 1
    for note in notes:
        sys.stdout.write(f"fleetenv-note {note}\n")
    return 0


def build(request: Request) -> list[str]:
    """Build a generation and switch to it; returns what is worth telling."""
    prefix = Path(request.prefix)
    generations = Generations(prefix, request.name)
    wanted = access.known(request.owner, request.group, request.mode)
    with generations.locked(request.who, f"building {request.name}", request.lock_timeout) as lock:
        generations.clean_unfinished()
        present = generations.current()
        if present and present.name != request.seen and present.name.endswith(f"-{request.digest}"):
            return [f"another fleetenv has built {present.name} meanwhile"]
        use_runtime(request)
        from . import packages  # py-rattler is there only now

        records = packages.read_records(request.lock, request.platform)
        generation = generations.begin(request.digest)
        try:
            notes, bytecode = _fill(request, records, generation)
            access.give(generation, wanted)
            _stamp(generation, request.digest)
            lock.check()
        except BaseException:
            with suppress(OSError):
                remove(generation)
            raise
        generations.switch(generation)
        if bytecode:
            bytecode.keep()
        register(generations.link, registered=True)
        return notes + generations.remove_old(request.keep)


def remove_environment(request: Request) -> list[str]:
    """Remove an environment; returns what is worth telling."""
    generations = Generations(Path(request.prefix), request.name)
    with generations.locked(request.who, f"removing {request.name}", request.lock_timeout):
        notes = generations.remove_all()
        register(generations.link, registered=False)
        return notes


def _fill(request: Request, records: list[RepoDataRecord], generation: Path) -> tuple[list[str], Bytecode | None]:
    """Put everything into a generation, and check it; returns what is worth telling, and what it has compiled."""
    from . import packages  # as above
    from .supply import Supply  # imports all that downloads

    prefix = Path(request.prefix)
    pip = [wheels.Wheel(**wheel) for wheel in request.wheels]  # type: ignore[arg-type]  # fields checked by the sender
    progress = Progress(len(records) + len(pip) + 1)
    routes = request.routes or [route(condarc_channels(prefix), {str(record.channel) for record in records})]
    with Supply.open(prefix / "pkgs", routes, offered(request.via), progress) as supply:
        supply.check(records, pip)
        packages.install(records, generation, supply, progress)
        progress.reach(len(records))
        cached = packages.cached(records, supply.cache)
        lib = interpreter.library(generation)
        bytecode = Bytecode(generation, lib) if lib else None
        if lib and bytecode:
            interpreter.pin(generation, lib)
            interpreter.claim(lib)
            if pip:
                with bytecode.of_packages(cached):  # pip downloads, and has one core
                    wheels.install(pip, request.pip_options, generation, lib, prefix, supply, progress)
                progress.reach(len(records) + len(pip))
    notes = supply.downloader.notes
    progress.doing("compiling to byte-code")
    with nullcontext() if not bytecode else bytecode.of_all() if pip else bytecode.of_packages(cached):
        Thread(target=flush, args=(generation,), daemon=True).start()  # so that the last time there is little to do
        if lib:
            interpreter.check(generation)
        if lib and pip:
            wheels.check(pip, generation, lib, prefix)
        _check_records(records, generation)
        _write_settings(request, generation)
        notes += contents.check(generation, lib, full=request.check == "full")
    trial.run(request.verify, generation, request.name, request.variables or {}, request.verify_timeout, progress)
    progress.step("built")
    return notes, bytecode


def _check_records(records: list[RepoDataRecord], generation: Path) -> None:
    found = {path.name for path in (generation / "conda-meta").glob("*.json")}
    missing = [
        record.name.normalized
        for record in records
        if f"{record.name.normalized}-{record.version}-{record.build}.json" not in found
    ]
    if missing:
        raise Failure(f"after installing, these are not there: {', '.join(missing)}")


def _write_settings(request: Request, generation: Path) -> None:
    """Write what conda reads beside its records: variables, history, and that only fleetenv changes this."""
    meta = generation / "conda-meta"
    for record in meta.glob("*.json"):  # py-rattler leaves them readable by their owner alone
        record.chmod(0o644)
    if request.variables:
        (meta / "state").write_text(json.dumps({"version": 1, "env_vars": dict(request.variables)}, indent=2))
    if request.frozen:
        (meta / "frozen").write_text(json.dumps({"message": request.frozen}))  # CEP 22
    when = time.strftime("%Y-%m-%d %H:%M:%S")
    with (meta / "history").open("a", encoding="utf-8") as history:
        history.write(f"==> {when} <==\n# cmd: fleetenv apply\n# update specs: {json.dumps(list(request.specs))}\n")


def _stamp(generation: Path, digest: str) -> None:
    """Mark a generation finished: all in it is on disk, and nothing in it is newer than the mark."""
    stamp = generation / STAMP
    draft = stamp.with_name(".fleetenv")
    draft.write_text(f"{digest}\n")
    now = draft.stat().st_mtime_ns
    for folder, _, files in os.walk(generation):
        for path in (folder, *(os.path.join(folder, name) for name in files)):  # noqa: PTH118  # 100,000 files
            if os.lstat(path).st_mtime_ns > now:  # a package built in the future
                os.utime(path, ns=(now, now), follow_symlinks=False)
    flush(generation)
    draft.rename(stamp)


def use_runtime(request: Request) -> None:
    """Make py-rattler importable, from a folder of our own; once a host. Old versions of ours are removed."""
    folder = Path(request.prefix) / ".fleetenv"
    unpacked = folder / f"py-rattler-{request.runtime_version}"
    if not (unpacked / "rattler" / "__init__.py").is_file():
        for old in (*folder.glob(".unpacking-*"), *folder.glob("py-rattler-*/")):
            remove(old)
        draft = folder / f".unpacking-{os.getpid()}"
        if request.runtime:
            _unpack_runtime(folder / request.runtime, request.runtime_sha256, draft)
        else:
            _download_runtime(request, draft)
        draft.rename(unpacked)
    if request.runtime:  # another host that shares this prefix was sent it, too
        (folder / request.runtime).unlink(missing_ok=True)
    builder = Path(sys.argv[0])
    for old in folder.glob("builder-*"):
        if old.name not in (builder.name, builder.stem):
            remove(old)
    sys.path.insert(0, str(unpacked))


def _unpack_runtime(archive: Path, wanted: str, folder: Path) -> None:
    """Unpack what the controller has sent."""
    data = archive.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != wanted:
        archive.unlink()
        raise Failure(f"{archive} has sha256 {sha256[:12]}..., not {wanted[:12]}...; apply again")
    if archive.suffix == ".zst":
        data = _zstd()(data)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        tar.extractall(folder)  # noqa: S202  # our own archive, its hash checked
    archive.unlink()


def _zstd() -> Callable[[bytes], bytes]:
    """Return how Miniconda itself unpacks `.conda` packages."""
    for name in ("compression.zstd", "backports.zstd", "zstandard"):
        with suppress(ImportError):
            decompress: Callable[[bytes], bytes] = importlib.import_module(name).decompress
            return decompress
    raise Failure("this Miniconda is broken: conda-meta lists zstandard or backports.zstd, and neither can be imported")


def _download_runtime(request: Request, folder: Path) -> None:
    """Let Miniconda's pip fetch the controller's version, for an architecture that the controller has none for."""
    command = [str(Path(request.prefix, "bin", "python")), "-I", "-m", "pip", "install", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--disable-pip-version-check", "--no-input", "--target", str(folder)]
    done = subprocess.run(
        [*command, f"py-rattler=={request.runtime_version}"], capture_output=True, check=False, close_fds=False,
        stdin=subprocess.DEVNULL, encoding="utf-8", errors="replace",
    )  # fmt: skip
    if done.returncode:
        reason = (done.stderr.strip() or "pip failed").splitlines()[-1]
        raise Failure(f"cannot get py-rattler {request.runtime_version} for this architecture with pip: {reason}")


def _os_error(error: OSError, request: Request) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        free = shutil.disk_usage(request.prefix).free
        return f"the disk of {request.prefix} is full ({free / 1e6:.0f} MB free)"
    return f"{error.filename or request.prefix}: {error.strerror or error}"
