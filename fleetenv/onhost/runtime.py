"""py-rattler on this host: in a folder of fleetenv's own, never in base."""

from __future__ import annotations

import hashlib
import importlib
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .generations import remove
from .report import Failure

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    from .request import Request

_BLOCK = 1 << 17  # bytes: all of it at once would be 60 MB of memory, which take time, too


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
    import tarfile  # here, because it is needed once a host

    digest = hashlib.sha256()
    with archive.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    sha256 = digest.hexdigest()
    if sha256 != wanted:
        archive.unlink()
        raise Failure(f"{archive} has sha256 {sha256[:12]}..., not {wanted[:12]}...; apply again")
    with _opener(archive)(archive, "rb") as plain, tarfile.open(fileobj=plain, mode="r|", bufsize=_BLOCK) as tar:
        tar.copybufsize = _BLOCK  # type: ignore[attr-defined]  # for less it copies the rest of a block each time
        tar.extractall(folder)  # noqa: S202  # our own archive, its hash checked
    archive.unlink()


def _opener(archive: Path) -> Callable[[Path, str], IO[bytes]]:
    """Return what opens an archive: of zstd, what Miniconda itself unpacks `.conda` packages with."""
    for name in ("compression.zstd", "backports.zstd", "zstandard") if archive.suffix == ".zst" else ("gzip",):
        with suppress(ImportError):
            opener: Callable[[Path, str], IO[bytes]] = importlib.import_module(name).open
            return opener
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
