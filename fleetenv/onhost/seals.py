"""Which packages of conda's cache are as they were when each of their files was checked: nothing in them is newer.

A package's seal, `pkgs/NAME/info/fleetenv-seal`, holds the sha256 of its archive. A build that has unpacked it, or
checked all its files, sets it when they are on disk. Whoever changes, adds or removes a file later breaks it: that
file, or its folder, is newer. Setting times back hides that, so whoever has reason to doubt (see `filling`) looks at
the files instead.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

from .generations import flush

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SEAL = "info/fleetenv-seal"
_checked: dict[Path, tuple[str, int]] = {}  # folder -> sha256 of its archive, and when that was seen, in ns


def unbroken(packages: Mapping[Path, str]) -> bool:
    """Whether all packages have a seal, and none is broken.

    Args:
        packages: Folder of each -> sha256 of its archive.
    """
    sealed: dict[int, list[Path]] = {}  # by the time of the seal: those of one build have the same
    for folder, sha256 in packages.items():
        seen, when = _checked.get(folder, ("", 0))
        if seen and seen == sha256:
            sealed.setdefault(when, []).append(folder)
            continue
        seal = folder / _SEAL
        try:
            found = os.lstat(seal)
            if found.st_uid not in (0, os.geteuid()) or seal.read_text(encoding="ascii") != sha256:
                return False
        except (OSError, UnicodeDecodeError):
            return False
        sealed.setdefault(found.st_mtime_ns, []).append(folder)
    cores = len(os.sched_getaffinity(0))
    parts = [(when, each[part::cores]) for when, each in sealed.items() for part in range(min(cores, len(each)))]
    try:
        searches = [_search(folders, when) for when, folders in parts]
    except FileNotFoundError:  # a host without find
        return False
    newer = [process.communicate()[0] for process in searches]
    return not any(newer) and all(process.returncode == 0 for process in searches)


def _search(folders: list[Path], when: int) -> subprocess.Popen[bytes]:
    """Begin to search packages for something that is newer than a time, in ns."""
    command = ["find", *map(str, folders), "-newermt", f"@{when // 10**9}.{when % 10**9:09d}"]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def remember(packages: Mapping[Path, str], generation: Path) -> None:
    """Know for builders that this one starts which packages were checked when they were linked into a generation.

    Scripts of packages may write through hard links into what was checked before: then nothing is known.
    """
    if not any((generation / "bin").glob(".*-link.sh")):
        when = (generation / "conda-meta").stat().st_mtime_ns  # the last package's record was written
        _checked.update({folder: (sha256, when) for folder, sha256 in packages.items()})


def seal(packages: Mapping[Path, str]) -> None:
    """Seal packages whose files were all checked by this build; as [`unbroken`][] has them."""
    for folder in list(packages)[:1]:
        flush(folder)  # a power cut must not leave a seal on files that it has shortened
    made = []
    for folder, sha256 in packages.items():
        with suppress(OSError):  # it was removed meanwhile, or belongs to somebody else
            path = folder / _SEAL
            path.write_text(sha256, encoding="ascii")
            made.append(path)
    if made:
        last = max(path.stat().st_mtime_ns for path in made)
        for path in made:
            os.utime(path, ns=(last, last))


def break_all(cache: Path) -> None:
    """Break all seals of a package cache: something has gone wrong, though they were unbroken."""
    _checked.clear()
    for path in cache.glob(f"*/{_SEAL}"):
        with suppress(OSError):
            path.unlink()
