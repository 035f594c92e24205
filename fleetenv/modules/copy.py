"""`copy`: files and folders from the controller, or a content written in the task."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from fleetenv.errors import InputError
from fleetenv.modules.base import Controller, Module
from fleetenv.modules.copytree import copied_tree
from fleetenv.modules.filestate import content_of, content_of_file
from fleetenv.modules.hostpath import check_path
from fleetenv.modules.modes import check_mode
from fleetenv.modules.placed import PlacedFile
from fleetenv.modules.remotecopy import RemoteCopy
from fleetenv.state import UNSET, Content, UnsetType


class Copy(Module, frozen=True, kw_only=True, forbid_unknown_fields=True):
    r"""Keep a file on the host equal to one of the controller, or to a content that the task says.

    ```yaml
    - copy: {src: limits.conf, dest: /etc/security/limits.d/50-gpu.conf, mode: "0644"}
    - copy: {content: "{{ motd }}\n", dest: /etc/motd}
    - copy: {src: sudoers, dest: /etc/sudoers.d/gpu, mode: "0440", validate: "visudo -cf %s"}
    ```
    """

    name: ClassVar[str] = "copy"

    dest: str
    """Where, absolute or below `~/`. A folder that is there, or a name that ends in `/`, gets the file into it."""
    src: str | UnsetType = UNSET
    """A file or folder of the controller: of the role's `files/`, or beside the playbook. `folder/` is its content."""
    content: object = UNSET
    """The content itself; a mapping or list is written as JSON."""
    mode: str | int | UnsetType = UNSET
    """As text in octal (`"0644"`) or symbolic, or `preserve`. Left out: it stays, or is the host's default."""
    directory_mode: str | int | UnsetType = UNSET
    """The mode of folders, when `src` is a folder."""
    owner: str | UnsetType = UNSET
    """A user's name or number."""
    group: str | UnsetType = UNSET
    """A group's name or number."""
    force: bool = True
    """Replace a file that is there and differs."""
    follow: bool = False
    """Write to what a link leads to, rather than replace the link."""
    backup: bool = False
    """Keep the file that is replaced, under its name with time and `~` added."""
    validate: str | UnsetType = UNSET
    """A command that must succeed before the new file takes its place; `%s` in it stands for the new file."""
    remote_src: bool = False
    """`src` is a file on the host."""

    def __post_init__(self) -> None:
        check_path(self.dest)
        if isinstance(self.src, UnsetType) == isinstance(self.content, UnsetType):
            raise ValueError("one of 'src' and 'content' is needed, and only one")
        for mode in (self.mode, self.directory_mode):
            if not isinstance(mode, UnsetType) and mode != "preserve":
                check_mode(mode)
        if self.dest.endswith("/") and isinstance(self.src, UnsetType):
            raise ValueError("'dest' is a folder: a 'content' needs the name of a file")
        if not isinstance(self.validate, UnsetType) and "%s" not in self.validate:
            raise ValueError("'validate' must have a %s in it, for the file that is to be checked")

    def resolve(self, controller: Controller) -> Module:
        """Read what is to be copied."""
        if isinstance(self.src, UnsetType):
            return self._text()
        if self.remote_src:
            return RemoteCopy(
                src=self.src,
                dest=self.dest,
                mode=self.mode,
                owner=self.owner,
                group=self.group,
                force=self.force,
                backup=self.backup,
            )
        path = controller.find(self.src, "files")
        if not path.is_dir():
            return self._file(path, controller)
        dest = self.dest if self.src.endswith("/") else f"{self.dest.rstrip('/')}/{path.name}"
        return copied_tree(
            path,
            dest,
            told=self.dest,
            mode=self.mode,
            directory_mode=self.directory_mode,
            owner=self.owner,
            group=self.group,
            force=self.force,
        )

    def _file(self, path: Path, controller: Controller) -> PlacedFile:
        try:
            stat = path.stat()
            key = ("copy", str(path), stat.st_mtime_ns, stat.st_size)
            content = controller.remember(key, lambda: content_of_file(path))
            mode = f"{stat.st_mode & 0o7777:04o}" if self.mode == "preserve" else self.mode
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}") from error
        return self._placed(content, path if content.data is None else content.data, path.name, mode)

    def _text(self) -> PlacedFile:
        data = _bytes(self.content)
        return self._placed(content_of(data), data, "", UNSET if self.mode == "preserve" else self.mode)

    def _placed(self, content: Content, data: bytes | Path, name: str, mode: str | int | UnsetType) -> PlacedFile:
        return PlacedFile(
            path=self.dest + name if self.dest.endswith("/") else self.dest,
            basename=name,
            content=content,
            data=data,
            mode=mode,
            owner=self.owner,
            group=self.group,
            force=self.force,
            follow=self.follow,
            backup=self.backup,
            validate=None if isinstance(self.validate, UnsetType) else self.validate,
        )


def _bytes(content: object) -> bytes:
    if isinstance(content, str):
        return content.encode("utf-8", "surrogateescape")
    if isinstance(content, Mapping | list):
        return json.dumps(content).encode()
    return str(content).encode()
