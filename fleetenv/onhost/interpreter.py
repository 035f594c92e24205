"""Making a generation's Python safe to be switched away from, and known to work."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .report import Failure

PTH = "fleetenv.pth"
_PTH = (
    "import os, sys; sys.executable = os.path.join(sys.prefix, 'bin', 'python') if sys.executable"
    " and os.path.realpath(sys.executable) == os.path.join(sys.prefix, 'bin', '.{name}') else sys.executable\n"
)


def library(generation: Path) -> Path | None:
    """Return the generation's `lib/python3.N`, or None when there is no Python in it."""
    return next((path.parent for path in sorted(generation.glob("lib/python3.*/os.py"))), None)


def run(generation: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the generation's Python, isolated from the user's settings; it shares the lock that this process holds."""
    return subprocess.run(
        [str(generation / "bin" / "python"), "-I", *arguments],
        capture_output=True, check=False, close_fds=False, cwd=generation, encoding="utf-8", errors="replace",
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def pin(generation: Path, lib: Path) -> None:
    """Tie every way to start this Python to the generation, so that a switch cannot move a process to the next one.

    Python finds its `sys.prefix` from its program's path, links resolved in the last part only. Through the
    environment's link that would be the link. So every name of the program becomes an absolute link into the
    generation, also `python3.N`, which conda ships as the program itself. `sys.executable` stays as the user called
    it; the .pth file makes it the generation's, because multiprocessing starts its workers with it.
    """
    folder = generation / "bin"
    program = folder / lib.name
    real = folder / f".{lib.name}"
    links = [path for path in folder.iterdir() if path.is_symlink() and path.resolve() == program]
    program.rename(real)
    for link in {*links, program, folder / "python"}:
        link.unlink(missing_ok=True)
        link.symlink_to(real)
    (lib / "site-packages").mkdir(exist_ok=True)
    (lib / "site-packages" / PTH).write_text(pth(lib))


def pth(lib: Path) -> str:
    """Return what the .pth file says."""
    return _PTH.format(name=lib.name)


def claim(lib: Path) -> None:
    """Mark every Python distribution that is there now as conda's: some packages say pip put it there, at their build.

    What pip installs later then stands out. The mark is written anew, not through the package cache's hard link.
    """
    for mark in lib.glob("site-packages/*.dist-info/INSTALLER"):
        if mark.read_text(encoding="utf-8", errors="replace").strip() in ("pip", "uv"):
            mark.unlink()
            mark.write_text("conda\n")


def check(generation: Path) -> None:
    """See that the interpreter starts, and that it is this generation's.

    Raises:
        Failure: it does not.
    """
    done = run(generation, "-c", "import sys, encodings, site; print(sys.prefix)")
    if done.returncode or Path(done.stdout.strip()) != generation:
        lines = (done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}").splitlines()
        said = next((line for line in lines if line.startswith("Fatal Python error")), lines[-1])
        raise Failure(f"the Python of {generation.name} does not work: {said}")
