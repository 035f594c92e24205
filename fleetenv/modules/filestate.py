"""What a file on a host is like, asked for many files at once, and what a task's arguments want it to be.

All [`look_up`][]s of a play become one question: one `stat` for all paths, one `sha256sum` for those whose content
matters, and the content itself only of files that differ, for unified diffs.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Literal

import msgspec

from fleetenv.errors import TaskFailed
from fleetenv.modules.modes import octal
from fleetenv.remote import Completed, Lookup
from fleetenv.source import Value
from fleetenv.state import UNSET, Content, State, UnsetType

Kind = Literal["file", "directory", "link", "other", "absent", "denied"]

SHOWN = 256 * 1024
"""Bytes up to which a file's content is fetched and kept, to show how it differs."""

MOST_SHOWN = 32
"""Files of which one answer holds the content: with more, a host's answer could become too long."""


class FileState(State, frozen=True, kw_only=True):
    """A file, directory or link. `mode` is four octal digits; `uid` and `gid` are for owners wanted as numbers."""

    kind: Kind | UnsetType = UNSET  # 'denied': the remote user may not look; 'absent': from a folder, see `look_up`
    target: str | UnsetType = UNSET  # of a link; set on what a link leads to, too, when that was asked for
    mode: str | UnsetType = UNSET
    owner: str | UnsetType = UNSET
    uid: int | UnsetType = UNSET
    group: str | UnsetType = UNSET
    gid: int | UnsetType = UNSET
    size: int | UnsetType = UNSET
    content: Content | UnsetType = UNSET
    path: str | UnsetType = UNSET  # as it was looked at: `~` expanded, the name inside a folder appended
    real: str | UnsetType = UNSET  # where a followed link leads


_LOOK = (
    files("fleetenv.onhost")
    .joinpath("files.sh")
    .read_text(encoding="utf-8")
    .replace("@LIMIT@", str(SHOWN + 1))
    .replace("@MOST@", str(MOST_SHOWN))
)


def look_up(
    path: str, *, follow: bool = False, content: Content | None = None, inside: str | None = None
) -> Lookup[FileState | None]:
    """Ask what a file is like; None when it does not exist.

    Args:
        path: An absolute path, or one that begins with `~/`.
        follow: Tell about what a link leads to, if that exists, with the link's `target`.
        content: The wanted content, so that the found one comes along where it differs (of the first 32 such
            files). Without data, the hash alone is asked for. None: the content does not matter.
        inside: If `path` is a folder, follow links and tell about this name in it; `path` of the state says where
            that is, and its kind is 'absent' when the folder does not have it.
    """
    wanted = "" if content is None else "?" if content.data is None else content.sha256
    if inside is not None:
        return Lookup(_LOOK, parse_files, f"i{wanted}:{path}//{inside}")
    return Lookup(_LOOK, parse_files, f"{'f' if follow else '-'}{wanted}:{path}")


def content_of(data: bytes) -> Content:
    """Return data as content; the data is kept for diffs when it is not too long."""
    return Content(hashlib.sha256(data).hexdigest(), data if len(data) <= SHOWN else None)


def content_of_file(path: Path) -> Content:
    """Return the content of a file on the controller, as [`content_of`][] does."""
    if path.stat().st_size <= SHOWN:
        return content_of(path.read_bytes())
    with path.open("rb") as file:
        return Content(hashlib.file_digest(file, "sha256").hexdigest())


def parse_files(completed: Completed) -> Mapping[str, FileState | None]:
    """Parse the answer to [`look_up`][]s: each subject's state.

    Raises:
        ValueError: it is not such an answer.
    """
    told = _Told(completed.stdout.decode("utf-8", "surrogateescape").split("\0"))
    if told.present and not told.stats:
        raise ValueError(completed.error_text.strip()[:300] or "stat told nothing")
    found: dict[str, FileState | None] = dict.fromkeys(told.absent)
    found.update((subject, FileState(kind="absent", path=path)) for subject, path in told.inside.items())
    found.update((subject, FileState(kind="denied")) for subject in told.denied)
    found.update((subject, told.state(subject, path)) for subject, path in told.present.items())
    return found


class _Told:
    """The records of an answer, by path."""

    def __init__(self, fields: list[str]) -> None:
        self.absent: list[str] = []
        self.denied: list[str] = []
        self.inside: dict[str, str] = {}  # subject -> path that is absent
        self.present: dict[str, str] = {}  # subject -> path
        self.stats: dict[str, FileState] = {}
        self._led: dict[str, FileState] = {}
        self._targets: dict[str, str] = {}
        self._real: dict[str, str] = {}
        self._unreadable: set[str] = set()
        self._sums: dict[str, str] = {}
        self._data: dict[str, bytes] = {}
        self._read(iter(fields))

    def _read(self, fields: Iterator[str]) -> None:
        links: list[str] = []
        followed: list[str] = []
        for tag in fields:
            try:
                if tag in ("stat", "led"):
                    path = next(fields)
                    (self.stats if tag == "stat" else self._led)[path] = _stat([next(fields) for _ in range(6)])
                elif tag in ("is", "inside"):
                    subject = next(fields)
                    (self.present if tag == "is" else self.inside)[subject] = next(fields)
                elif tag in ("absent", "denied"):
                    (self.absent if tag == "absent" else self.denied).append(next(fields))
                elif tag in ("link", "follow"):
                    (links if tag == "link" else followed).append(next(fields))
                elif tag == "targets":
                    self._targets = {path: next(fields) for path in links}
                elif tag == "real":
                    self._real = {path: next(fields) for path in followed}
                elif tag == "unreadable":
                    self._unreadable.add(next(fields))
                elif tag == "sums":
                    self._sums = _sums(next(fields))
                elif tag == "content":
                    path = next(fields)
                    self._data[path] = base64.b64decode(next(fields), validate=True)
                elif tag:
                    raise ValueError(f"unexpected: {tag[:80]!r}")
            except (StopIteration, binascii.Error) as error:
                raise ValueError(f"a broken answer about files, at {tag[:80]!r}") from error

    def state(self, subject: str, path: str) -> FileState | None:
        """Put together what was told about a path, as its subject asked for it."""
        state = self.stats.get(path)
        if state is None:  # gone between the shell's look and stat's
            return None
        led = None if subject.startswith("-") else self._led.get(path)
        state = msgspec.structs.replace(led or state, path=path)
        if led and path in self._real:
            state = msgspec.structs.replace(state, real=self._real[path])
        if path in self._targets:
            state = msgspec.structs.replace(state, target=self._targets[path])
        if path in self._sums and not subject[1:].startswith(":"):
            data = self._data.get(path)
            known = Content(self._sums[path], data if data is not None and len(data) <= SHOWN else None)
            state = msgspec.structs.replace(state, content=known)
        elif path in self._unreadable:
            state = msgspec.structs.replace(state, kind="denied")
        return state


def _stat(fields: list[str]) -> FileState:
    raw, owner, uid, group, gid, size = fields
    bits = int(raw, 16)
    kinds: dict[int, Kind] = {0o10: "file", 0o4: "directory", 0o12: "link"}
    return FileState(
        kind=kinds.get(bits >> 12, "other"),
        mode=f"{bits & 0o7777:04o}",
        owner=uid if owner == "UNKNOWN" else owner,
        uid=int(uid),
        group=gid if group == "UNKNOWN" else group,
        gid=int(gid),
        size=int(size),
    )


_ESCAPES = {"\\\\": "\\", "\\n": "\n", "\\r": "\r"}


def _sums(text: str) -> dict[str, str]:
    """Read sha256sum's lines; it escapes a name with newlines or backslashes, and says so by a backslash before it."""
    found = {}
    for line in text.split("\n"):
        if matched := re.fullmatch(r"(\\?)([0-9a-f]{64}) [ *](.*)", line, re.DOTALL):
            name = re.sub(r"\\[\\nr]", lambda each: _ESCAPES[each[0]], matched[3]) if matched[1] else matched[3]
            found[name] = matched[2]
    return found


def wished(
    found: FileState | None,
    path: str,
    *,
    kind: Kind,
    mode: str | int | UnsetType = UNSET,
    owner: str | UnsetType = UNSET,
    group: str | UnsetType = UNSET,
    content: Content | UnsetType = UNSET,
) -> FileState:
    """Return the state that a task's arguments ask for, given what was found.

    Raises:
        TaskFailed: what is there may not be looked at, or is of a kind that is not replaced.
    """
    if found is not None:
        refuse_denied(found, path)
        if found.kind not in (kind, "link", "absent"):
            raise TaskFailed(f"{path} is there already, and is a {found.kind}, not a {kind}")
    before = found.mode if found is not None and found.kind == kind and isinstance(found.mode, str) else None
    return FileState(
        kind=kind,
        mode=octal(mode, before=before, directory=kind == "directory") if not isinstance(mode, UnsetType) else UNSET,
        owner=owner if not isinstance(owner, UnsetType) and not owner.isdigit() else UNSET,
        uid=int(owner) if not isinstance(owner, UnsetType) and owner.isdigit() else UNSET,
        group=group if not isinstance(group, UnsetType) and not group.isdigit() else UNSET,
        gid=int(group) if not isinstance(group, UnsetType) and group.isdigit() else UNSET,
        content=content,
    )


def refuse_denied(found: FileState | None, path: str) -> None:
    """Fail where the remote user may not look: that is not the same as absent.

    Raises:
        TaskFailed: the state is 'denied'.
    """
    if found is not None and found.kind == "denied":
        raise TaskFailed(f"no permission to look at {path}: does the task need 'become: true'?")


def ansible_keys(found: FileState | None) -> dict[str, Value]:
    """Return a state under the names that Ansible's file modules register."""
    if found is None or found.kind == "absent":
        return {"state": "absent"}
    names = ("mode", "owner", "group", "uid", "gid", "size")
    keys: dict[str, Value] = {each: getattr(found, each) for each in names if getattr(found, each) is not UNSET}
    if isinstance(found.mode, str):
        keys["mode"] = f"0{int(found.mode, 8):03o}"  # these modules of Ansible tell set-id bits in a fifth digit
    keys["state"] = str(found.kind)
    if found.kind == "link" and isinstance(found.target, str):
        keys["src"] = found.target
    return keys
