"""What a file on a host is like, asked for many files at once, and what a task's arguments want it to be.

All [`look_up`][]s of a play become one question: one `stat` for all paths, one `sha256sum` for those whose content
matters, and the content itself only of files that differ, for unified diffs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from fleetenv.errors import TaskFailed
from fleetenv.modules.fileanswer import SHOWN, Told, file_lookup
from fleetenv.modules.modes import octal
from fleetenv.remote import Completed, Lookup
from fleetenv.source import Value
from fleetenv.state import UNSET, Content, State, UnsetType

Kind = Literal["file", "directory", "link", "other", "absent", "denied"]


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
        return file_lookup(f"i{wanted}:{path}//{inside}", parse_files)
    return file_lookup(f"{'f' if follow else '-'}{wanted}:{path}", parse_files)


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
    told = Told(completed)
    found: dict[str, FileState | None] = dict.fromkeys(told.absent)
    found.update((subject, FileState(kind="absent", path=path)) for subject, path in told.inside.items())
    found.update((subject, FileState(kind="denied")) for subject in told.denied)
    looked_up = {subject: path for subject, path in told.present.items() if subject[:1] in ("-", "f", "i")}
    found.update((subject, _state(told, subject, path)) for subject, path in looked_up.items())
    return found


def _state(told: Told, subject: str, path: str) -> FileState | None:
    """Put together what was told about a path, as its subject asked for it."""
    stat = told.stats.get(path)
    if stat is None:  # gone between the shell's look and stat's
        return None
    led = None if subject.startswith("-") else told.led.get(path)
    content: Content | UnsetType = UNSET
    denied = False
    if path in told.sums and not subject[1:].startswith(":"):
        data = told.data.get(path)
        content = Content(told.sums[path], data if data is not None and len(data) <= SHOWN else None)
    else:
        denied = path in told.unreadable
    seen = led or stat
    bits, uid, gid = seen.number(0), seen.words[2], seen.words[3]
    kinds: dict[int, Kind] = {0o10: "file", 0o4: "directory", 0o12: "link"}
    return FileState(
        kind="denied" if denied else kinds.get(bits >> 12, "other"),
        target=told.targets.get(path, UNSET),
        mode=f"{bits & 0o7777:04o}",
        owner=uid if seen.owner == "UNKNOWN" else seen.owner,
        uid=int(uid),
        group=gid if seen.group == "UNKNOWN" else seen.group,
        gid=int(gid),
        size=seen.number(4),
        content=content,
        path=path,
        real=told.real.get(path, UNSET) if led else UNSET,
    )


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
