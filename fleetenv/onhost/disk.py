"""What folders take on disk, a file with several hard links once; and what kind of disk that is."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_NETWORK = ("nfs", "cifs", "smb", "lustre", "beegfs", "ceph", "gpfs", "glusterfs", "afs", "fuse.")
_BLOCK = 512  # bytes; what st_blocks counts, whatever the file system's own blocks are


@dataclass
class Inode:
    """A file or folder."""

    size: int  # bytes on disk
    links: int  # names that it has
    seen: int = 0  # of those, that were found


class Tally:
    """The files of some folders, each by its device and number."""

    def __init__(self, folders: Iterable[Path] = (), *, besides: Iterable[Path] = ()) -> None:
        self.inodes: dict[tuple[int, int], Inode] = {}
        self._besides = {str(path) for path in besides}
        for folder in folders:
            self.add(folder)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(inode.size for inode in self.inodes.values())

    def shared_with(self, other: Tally) -> int:
        """Return the bytes of files that are in another tally, too."""
        return sum(inode.size for key, inode in self.inodes.items() if key in other.inodes)

    def add(self, folder: Path) -> None:
        """Count a folder with all that is in it, or a file. What cannot be read is passed over."""
        folders = [str(folder)]
        try:
            top = os.lstat(folder)
        except OSError:
            return
        self._count(top)
        if not stat.S_ISDIR(top.st_mode):
            return
        for each in folders:  # grows as it goes
            try:
                entries = list(os.scandir(each))
            except OSError:
                continue
            for entry in entries:
                if entry.path in self._besides:
                    continue
                try:
                    self._count(entry.stat(follow_symlinks=False))
                except OSError:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)

    def free(self, folder: Path) -> int:
        """Count a folder that is to be removed; return the bytes that the disk then gets back.

        A file's bytes come back with its last link; what was counted before is taken to be removed already.
        """
        mine = Tally([folder])
        freed = 0
        for key, inode in mine.inodes.items():
            known = self.inodes.setdefault(key, Inode(inode.size, inode.links))
            known.seen += inode.seen
            if known.seen >= known.links:
                freed += inode.size
        return freed

    def frees_all(self, folder: Path) -> bool:
        """Whether a folder's files have no link outside it, but in what was counted before."""
        return all(
            inode.seen + (self.inodes[key].seen if key in self.inodes else 0) >= inode.links
            for key, inode in Tally([folder]).inodes.items()
        )

    def _count(self, found: os.stat_result) -> None:
        links = 1 if stat.S_ISDIR(found.st_mode) else found.st_nlink
        inode = self.inodes.setdefault((found.st_dev, found.st_ino), Inode(found.st_blocks * _BLOCK, links))
        inode.seen += 1


def network_file_system(mounts: str, path: str) -> str:
    """Name the kind of network file system that a path lies on; empty text for a disk of this host.

    Args:
        mounts: What `/proc/self/mounts` says: device, mount point, kind, ... a line each.
        path: The path, with all links resolved.
    """
    found = ("", "")
    for line in mounts.splitlines():
        words = line.split(" ")
        if len(words) < 3:
            continue
        kind = words[2]
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), words[1]).rstrip("/")
        if f"{path}/".startswith(f"{point}/") and len(point) >= len(found[0]):  # later mounts lie over earlier ones
            found = (point, kind)
    return found[1] if found[1].startswith(_NETWORK) else ""
