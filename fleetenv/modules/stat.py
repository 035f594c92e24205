"""`stat`: what a file is like, for `register`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal, get_args

from fleetenv.errors import TaskFailed
from fleetenv.modules.base import StateModule
from fleetenv.modules.fileanswer import Told, file_lookup
from fleetenv.modules.hostpath import check_path
from fleetenv.remote import Completed, Lookup, Step
from fleetenv.source import Value
from fleetenv.state import Diff, State

Algorithm = Literal["sha1", "sha224", "sha256", "sha384", "sha512", "md5"]

_OF_NOTHING = {name: hashlib.new(name, usedforsecurity=False).hexdigest() for name in get_args(Algorithm)}


class FileFacts(State, frozen=True, kw_only=True):
    """What `stat` tells about a file. Times are seconds since 1970."""

    exists: bool
    denied: bool = False
    mode: int = 0  # with the bits of the file's kind
    links: int = 0
    uid: int = 0
    gid: int = 0
    size: int = 0
    blocks: int = 0
    block_size: int = 0
    device: int = 0
    inode: int = 0
    atime: int = 0
    mtime: int = 0
    ctime: int = 0
    owner: str = ""
    group: str = ""
    access: str = ""  # of r, w and x, what the remote user may do
    checksum: str = ""
    target: str | None = None
    real: str | None = None


class Stat(StateModule[FileFacts], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Look at a file on the host; changes nothing.

    ```yaml
    - stat: {path: /data/.mounted}
      register: data
    - fail: {msg: /data is not mounted}
      when: not data.stat.exists
    ```
    """

    name: ClassVar[str] = "stat"
    synonyms: ClassVar[Mapping[str, str]] = {"dest": "path", "name": "path", "checksum": "checksum_algorithm"}

    path: str
    """Where, absolute or below `~/`."""
    follow: bool = False
    """Tell about what a link leads to."""
    get_checksum: bool = True
    """Of a regular file, its `checksum`: it is read as a whole for that."""
    checksum_algorithm: Algorithm = "sha1"
    """How the checksum is made."""
    get_mime: bool = False
    """Accepted for Ansible's sake; `mimetype` is not told."""
    get_attributes: bool = False
    """Accepted for Ansible's sake; `attributes` are not told."""

    def __post_init__(self) -> None:
        check_path(self.path)

    def observe(self) -> Lookup[FileFacts | None]:
        """Ask stat, and read the file for its checksum."""
        algorithm = self.checksum_algorithm if self.get_checksum else ""
        return file_lookup(f"{'S' if self.follow else 's'}{algorithm}:{self.path}", _parse)

    def desired(self, found: FileFacts | None) -> FileFacts | None:
        """Return what is there: it is as it should be."""
        if found is not None and found.denied:
            raise TaskFailed(f"no permission to look at {self.path}: does the task need 'become: true'?")
        return found

    def converge(self, diff: Diff[FileFacts]) -> Iterator[Step]:
        """Nothing ever differs."""
        return iter(())

    def returns(self, found: FileFacts | None) -> Mapping[str, Value]:
        """Return `stat` with Ansible's keys."""
        return {"stat": {"exists": False} if found is None or not found.exists else _ansible(self.path, found)}


def _ansible(path: str, found: FileFacts) -> dict[str, Value]:
    kind = found.mode >> 12
    keys: dict[str, Value] = {
        "exists": True,
        "path": path,
        "mode": f"{found.mode & 0o7777:04o}",
        "isreg": kind == 0o10,
        "isdir": kind == 0o4,
        "islnk": kind == 0o12,
        "isblk": kind == 0o6,
        "ischr": kind == 0o2,
        "isfifo": kind == 0o1,
        "issock": kind == 0o14,
        "uid": found.uid,
        "gid": found.gid,
        "pw_name": found.owner,
        "gr_name": found.group,
        "size": found.size,
        "inode": found.inode,
        "dev": found.device,
        "nlink": found.links,
        "atime": float(found.atime),
        "mtime": float(found.mtime),
        "ctime": float(found.ctime),
        "blocks": found.blocks,
        "block_size": found.block_size,
        "readable": "r" in found.access,
        "writeable": "w" in found.access,
        "executable": "x" in found.access,
        "isuid": bool(found.mode & 0o4000),
        "isgid": bool(found.mode & 0o2000),
    }
    for shift, who in ((6, "usr"), (3, "grp"), (0, "oth")):
        for bit, letter in ((4, "r"), (2, "w"), (1, "x")):
            keys[f"{letter}{who}"] = bool(found.mode >> shift & bit)
    if found.checksum:
        keys["checksum"] = found.checksum
    if found.target is not None:
        keys |= {"lnk_target": found.target, "lnk_source": found.real}
    return keys


def _parse(completed: Completed) -> Mapping[str, FileFacts | None]:
    told = Told(completed)
    result: dict[str, FileFacts | None] = dict.fromkeys(told.absent, FileFacts(exists=False))
    result.update(dict.fromkeys(told.denied, FileFacts(exists=False, denied=True)))
    result.update((subject, _facts(told, subject)) for subject in told.may)
    return result


def _facts(told: Told, subject: str) -> FileFacts:
    path = told.present.get(subject, "")
    follows = subject.startswith("S") and path in told.targets
    stat = (told.led if follows else told.stats).get(path)
    if stat is None:  # gone between the shell's look and stat's, or a link to nothing
        return FileFacts(exists=False)
    access, content = told.may[subject]
    algorithm = subject[1:].partition(":")[0]
    sums = told.hashes.get(algorithm, {}) if content == "summed" else {}
    checksum = _OF_NOTHING.get(algorithm, "") if content == "empty" else sums.get(path, "")
    numbers = [stat.number(index) for index in range(len(stat.words))]
    mode, links, uid, gid, size, blocks, block_size, device, inode, atime, mtime, ctime = numbers
    return FileFacts(
        exists=True,
        mode=mode,
        links=links,
        uid=uid,
        gid=gid,
        size=size,
        blocks=blocks,
        block_size=block_size,
        device=device,
        inode=inode,
        atime=atime,
        mtime=mtime,
        ctime=ctime,
        owner=stat.owner,
        group=stat.group,
        access=access,
        checksum=checksum,
        target=told.targets.get(path),
        real=told.real.get(path),
    )
