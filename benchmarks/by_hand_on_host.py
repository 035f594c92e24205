"""What `benchmarks.by_hand` runs on a host, with Miniconda's Python: PREFIX, a folder with all that was sent, names."""

import asyncio
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import IO

_COMPILE = """\
import gc, sys
from importlib.machinery import SourceFileLoader
gc.disable()
for path in sys.stdin.read().splitlines():
    try:
        SourceFileLoader("module", path).get_code("module")  # compiles, and writes byte-code
    except Exception:
        pass  # packages ship some that do not compile
"""


def main(prefix: Path, sent: Path, names: list[str]) -> None:
    """Unpack py-rattler, install all environments, compile what the first one lacks."""
    with _opener()(sent / "py-rattler.tar.zst", "rb") as plain, tarfile.open(fileobj=plain, mode="r|") as archive:
        archive.extractall(sent / "py-rattler")
    sys.path.insert(0, str(sent / "py-rattler"))
    from rattler import LockFile, install

    for name in names:
        environment = LockFile.from_path(sent / f"{name}.lock").default_environment()
        assert environment
        (records,) = environment.conda_repodata_records().values()
        asyncio.run(install(records, prefix / "envs" / name, cache_dir=prefix / "pkgs", show_progress=False))
    _compile(prefix / "envs" / names[0])


def _opener() -> Callable[[Path, str], IO[bytes]]:
    for name in ("compression.zstd", "backports.zstd", "zstandard"):  # Miniconda has one of them
        with suppress(ImportError):
            opener: Callable[[Path, str], IO[bytes]] = import_module(name).open
            return opener
    raise SystemExit("this Miniconda cannot read zstd")


def _compile(environment: Path) -> None:
    tag = sys.implementation.cache_tag
    lacking = [
        str(path)
        for path in environment.glob("lib/python3.*/**/*.py")
        if not (path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc").exists()
    ]
    command = [str(environment / "bin/python"), "-I", "-S", "-W", "ignore", "-c", _COMPILE]

    def compile_all(paths: list[str]) -> None:
        subprocess.run(command, input="\n".join(paths), text=True, check=True)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(compile_all, (lacking[::2], lacking[1::2])))


main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
os._exit(0)  # py-rattler's threads may still be at work: an orderly end can crash
