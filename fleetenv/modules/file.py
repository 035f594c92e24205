"""`file`: files, folders and links as they should be, without their content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

import msgspec

from fleetenv.errors import TaskFailed
from fleetenv.modules.base import Controller, Module, StateModule
from fleetenv.modules.filestate import FileState, ansible_keys, look_up, refuse_denied, wished
from fleetenv.modules.filesteps import link, mend, ownership, remove
from fleetenv.modules.filetree import Tree
from fleetenv.modules.hardlink import HardLink
from fleetenv.modules.hostpath import check_path, quoted
from fleetenv.modules.modes import check_mode
from fleetenv.modules.touch import Touch
from fleetenv.remote import Lookup, Run, Step, sh
from fleetenv.source import Value
from fleetenv.state import UNSET, Diff, UnsetType


class File(StateModule[FileState], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keep a file, folder or link: that it is there or not, its mode, its owner.

    ```yaml
    - file: {path: /data/envs, state: directory, mode: "2775", owner: root, group: research}
    - file: {path: /usr/local/cuda, state: link, src: /usr/local/cuda-12.4}
    - file: {path: /tmp/old, state: absent}
    ```
    """

    name: ClassVar[str] = "file"
    synonyms: ClassVar[Mapping[str, str]] = {"dest": "path", "name": "path"}

    path: str
    """Where, absolute or below `~/`."""
    state: Literal["file", "directory", "link", "hard", "touch", "absent"] | UnsetType = UNSET
    """What should be there; left out: whatever is there keeps its kind. `directory` makes its parents, too."""
    src: str | UnsetType = UNSET
    """What a link leads to; of a symbolic link it may be relative, and need not exist."""
    mode: str | int | UnsetType = UNSET
    """As text in octal (`"0644"`) or symbolic (`u=rw,go=r`). Left out: it stays, or is the host's default."""
    owner: str | UnsetType = UNSET
    """A user's name or number."""
    group: str | UnsetType = UNSET
    """A group's name or number."""
    recurse: bool = False
    """Mode and owner for all that is below a folder, too."""
    force: bool = False
    """Let a link replace a file or folder."""
    follow: bool = True
    """Of a link, look after what it leads to (not when `state` is `link`)."""
    access_time: Literal["now", "preserve"] | UnsetType = UNSET
    """For `touch`: `preserve` leaves the time of an existing file alone."""
    modification_time: Literal["now", "preserve"] | UnsetType = UNSET
    """For `touch`: `preserve` leaves the time of an existing file alone."""

    def __post_init__(self) -> None:
        check_path(self.path)
        if not isinstance(self.mode, UnsetType):
            check_mode(self.mode)
        if self.state in ("link", "hard") and isinstance(self.src, UnsetType):
            raise ValueError(f"'src' is needed for 'state' {self.state}: what the link leads to")
        if self.recurse and self.state != "directory":
            raise ValueError("'recurse' is for 'state' directory")

    def resolve(self, controller: Controller) -> Module:
        """Return what looks after this kind of thing."""
        if self.recurse:
            return Tree(path=self.path, mode=self.mode, owner=self.owner, group=self.group)
        if self.state == "touch":
            return Touch(file=self)
        if self.state == "hard":
            return HardLink(path=self.path, src=str(self.src), force=self.force)
        return self

    def observe(self) -> Lookup[FileState | None]:
        """Ask what is there."""
        return look_up(self.path, follow=self.follow and self.state not in ("link", "absent"))

    def desired(self, found: FileState | None) -> FileState | None:
        """Return what should be; without `state`, what is there with other mode and owner."""
        refuse_denied(found, self.path)
        if self.state == "absent":
            return None
        if self.state == "link":
            return self._link(found)
        if self.state != "directory" and (found is None or (self.state == "file" and found.kind != "file")):
            what = "does not exist" if found is None else f"is a {found.kind}"
            hint = "'copy' and 'template' make files, 'state: touch' an empty one, 'state: directory' a folder"
            raise TaskFailed(f"{self.path} {what}: {hint}")
        kind = (
            "directory"
            if self.state == "directory" or found is None or isinstance(found.kind, UnsetType)
            else found.kind
        )
        return wished(found, self.path, kind=kind, mode=self.mode, owner=self.owner, group=self.group)

    def converge(self, diff: Diff[FileState]) -> Iterator[Step]:
        """Make it so."""
        if self.state == "link" and diff.wanted is not None:
            yield from self._make_link(diff)
        else:
            yield from mend(self.path, diff)

    def returns(self, found: FileState | None) -> Mapping[str, Value]:
        """Return Ansible's keys: path, mode, owner, uid, size, state, ..."""
        keys = ansible_keys(found)
        return {"dest" if self.state == "link" else "path": self.path, **keys}

    def _link(self, found: FileState | None) -> FileState:
        if found is not None and found.kind != "link" and not self.force:
            raise TaskFailed(
                f"{self.path} is there already, and is a {found.kind}; 'force: true' replaces it by the link"
            )
        owned = wished(None, self.path, kind="link", owner=self.owner, group=self.group)
        return msgspec.structs.replace(owned, target=str(self.src))

    def _make_link(self, diff: Diff[FileState]) -> Iterator[Step]:
        found = diff.found
        if diff.touches("state", "kind", "target"):
            if found is not None and found.kind == "directory":
                yield remove(self.path)
            yield link(self.path, str(self.src))
        if owner := ownership(diff):
            yield Run(f"chown -h {sh(owner)} -- {quoted(self.path)}")
