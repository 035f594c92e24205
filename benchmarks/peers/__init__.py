"""The peers' own virtual environment, as `requirements.lock` pins it."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "build" / "peers"
_LOCK = Path(__file__).with_name("requirements.lock")


def program(name: str) -> Path:
    """Return the path of one of its programs."""
    return FOLDER / "bin" / name


def version(package: str) -> str:
    """Return which version of a package is pinned."""
    lines = _LOCK.read_text().splitlines()
    return next(line.split("==")[1].split()[0] for line in lines if line.startswith(f"{package}=="))


def install() -> None:
    """Make the environment, unless it is there and as the lock says."""
    mark = FOLDER / "installed"
    wanted = hashlib.sha256(_LOCK.read_bytes() + sys.version.encode()).hexdigest()
    if mark.is_file() and mark.read_text() == wanted:
        return
    from uv import find_uv_bin

    shutil.rmtree(FOLDER, ignore_errors=True)
    uv: list[str | Path] = [str(find_uv_bin()), "--quiet"]
    subprocess.run([*uv, "venv", "--python", sys.executable, FOLDER], check=True)
    words: list[str | Path] = [
        "pip",
        "install",
        "--python",
        program("python"),
        "--compile-bytecode",
        "--require-hashes",
        "-r",
        _LOCK,
    ]
    subprocess.run([*uv, *words], check=True)
    mark.write_text(wanted)


def strategy_plugins() -> Path:
    """Return the folder with mitogen's strategies, as `ansible.cfg` wants it."""
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return FOLDER / "lib" / python / "site-packages/ansible_mitogen/plugins/strategy"
