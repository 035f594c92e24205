"""A file with a content that the controller knows: what `copy` and `template` come to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import ClassVar

from fleetenv.modules.base import StateModule
from fleetenv.modules.filestate import FileState, ansible_keys, look_up, wished
from fleetenv.modules.filesteps import mend, send
from fleetenv.modules.hostpath import quoted
from fleetenv.remote import Lookup, Run, Step, sh
from fleetenv.source import Value
from fleetenv.state import UNSET, Content, Diff, UnsetType


class PlacedFile(StateModule[FileState], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file on the host, byte for byte."""

    name: ClassVar[str] = "copy"

    path: str  # as the task says it: a file, or a folder that is to have it
    basename: str  # its name, should `path` be a folder; empty: it has none, and fails then
    content: Content
    data: bytes | Path
    mode: str | int | UnsetType = UNSET
    owner: str | UnsetType = UNSET
    group: str | UnsetType = UNSET
    force: bool = True
    follow: bool = False
    backup: bool = False
    validate: str | None = None

    def observe(self) -> Lookup[FileState | None]:
        """Ask what is there, and for its content if it is another one."""
        return look_up(self.path, follow=True, content=self.content, inside=self.basename or None)

    def desired(self, found: FileState | None) -> FileState | None:
        """Return the content with mode and owner; whatever is there already, if it is not to be replaced."""
        if not self.force and found is not None and found.kind not in ("absent", "denied"):
            return found
        return wished(
            found,
            self.path,
            kind="file",
            mode=self.mode,
            owner=self.owner,
            group=self.group,
            content=self.content,
        )

    def converge(self, diff: Diff[FileState]) -> Iterator[Step]:
        """Write the file, by way of a backup or a check where asked for; or mend mode and owner alone."""
        path = self._where(diff.found)
        if not diff.touches("state", "kind", "content"):
            yield from mend(path, diff)
            return
        there = diff.found is not None and diff.found.kind == "file"
        if self.backup and there:
            word = quoted(path)
            yield Run(f'cp -pP -- {word} {word}.$$."$(date +%Y-%m-%d@%H:%M:%S)~"')
        if self.validate is None:
            yield from mend(path, diff, self.data)
        else:
            yield from self._validated(path, diff)

    def returns(self, found: FileState | None) -> Mapping[str, Value]:
        """Return Ansible's keys: dest, checksum (SHA-1), mode, owner, ..."""
        keys: dict[str, Value] = {"dest": self._where(found), **ansible_keys(found)}
        keys["path"] = keys["dest"]
        if isinstance(self.data, bytes):
            keys["checksum"] = hashlib.sha1(self.data, usedforsecurity=False).hexdigest()
        return keys

    def _where(self, found: FileState | None) -> str:
        if found is None:
            return self.path
        at = found.real if self.follow and isinstance(found.real, str) else found.path
        return at if isinstance(at, str) else self.path

    def _validated(self, path: str, diff: Diff[FileState]) -> Iterator[Step]:
        """Have the host check the new file under another name first; `%s` in `validate` stands for that."""
        assert diff.wanted is not None
        assert self.validate is not None
        pure = PurePosixPath(path)
        beside = str(pure.with_name(f".{pure.name}.{self.content.sha256[:8]}.fleetenv"))
        yield send(path, self.data, diff.wanted, diff.found, at=beside)
        word = quoted(beside)
        check = self.validate.replace("%s", word)
        yield Run(
            f"if {sh('sh', '-c', check)} >&2; then mv -fT -- {word} {quoted(path)}; "
            f"else rm -f -- {word}; echo {sh(f'the new {path} is refused by: {self.validate}')} >&2; exit 1; fi"
        )
