"""Which git commit a file of the user's belongs to, read from `.git` itself; only 'dirty' needs git to look."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from fleetenv.history.errand import Origin

_SECONDS = 5.0  # of patience with `git status`: it goes over a whole repository, maybe on NFS
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")  # sha1 or sha256
_MOST_LINKS = 5  # of a ref to a ref


def origins(paths: Iterable[str]) -> dict[str, Origin]:
    """Return where files or folders come from. Never raises: what cannot be found out is None."""
    repositories: dict[Path, tuple[str | None, bool | None]] = {}
    return {path: _origin(path, repositories) for path in paths}


def _origin(path: str, repositories: dict[Path, tuple[str | None, bool | None]]) -> Origin:
    place = path
    try:
        if not Path(path).exists():  # an inventory may be a list of hosts
            return Origin(path, place)
        whole = Path(path).resolve()
        place = str(whole)
        top = _top(whole)
        if top is None:
            return Origin(path, place)
        place = str(top.name / whole.relative_to(top))
        if top not in repositories:
            repositories[top] = _commit(_git_folder(top)), _is_dirty(top)
        return Origin(path, place, *repositories[top])
    except (OSError, ValueError, subprocess.SubprocessError):
        return Origin(path, place)


def _top(path: Path) -> Path | None:
    return next((folder for folder in (path, *path.parents) if (folder / ".git").exists()), None)


def _git_folder(top: Path) -> Path:
    """Return the repository's folder; in a worktree or a submodule `.git` is a file that names it."""
    git = top / ".git"
    if git.is_dir():
        return git
    return top / git.read_text().removeprefix("gitdir:").strip()


def _commit(git: Path) -> str | None:
    """Follow HEAD: gitrepository-layout(5)."""
    common = git / "commondir"
    folders = [git, git / common.read_text().strip()] if common.exists() else [git]
    text = (git / "HEAD").read_text().strip()
    for _ in range(_MOST_LINKS):
        if not text.startswith("ref:"):
            break
        text = _ref(folders, text.removeprefix("ref:").strip())
    return text if _COMMIT.fullmatch(text) else None


def _ref(folders: list[Path], name: str) -> str:
    for folder in folders:
        if (folder / name).is_file():
            return (folder / name).read_text().strip()
    for folder in folders:
        packed = folder / "packed-refs"
        for line in packed.read_text().splitlines() if packed.is_file() else ():
            commit, _, ref = line.partition(" ")
            if ref == name:
                return commit
    return ""


def _is_dirty(top: Path) -> bool | None:
    """Whether tracked files differ from the commit, or untracked ones lie about; None: git does not say."""
    try:
        done = subprocess.run(
            ["git", "-C", str(top), "-c", "core.fsmonitor=false", "status", "--porcelain", "--ignore-submodules=dirty"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            check=False,
        )
    except FileNotFoundError:
        return None
    return bool(done.stdout) if done.returncode == 0 else None
