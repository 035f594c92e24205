"""`template`: files rendered from Jinja templates."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from fleetenv.errors import InputError, Location
from fleetenv.modules.base import Controller, Module
from fleetenv.modules.filestate import content_of
from fleetenv.modules.hostpath import check_path
from fleetenv.modules.modes import check_mode
from fleetenv.modules.placed import PlacedFile
from fleetenv.source import SourceText, Value
from fleetenv.state import UNSET, UnsetType

_NEWLINES = {"\\n": "\n", "\\r": "\r", "\\r\\n": "\r\n"}


class Template(Module, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keep a file on the host equal to a template rendered with the host's variables.

    ```yaml
    - template: {src: slurm.conf.j2, dest: /etc/slurm/slurm.conf, mode: "0644"}
    ```

    In the template `ansible_managed`, `template_host`, `template_path` and `template_fullpath` are set, too. Lines that
    are a Jinja statement alone leave nothing behind, as with Ansible (`trim_blocks`).
    """

    name: ClassVar[str] = "template"

    src: str
    """A template of the controller: of the role's `templates/`, or beside the playbook."""
    dest: str
    """Where, absolute or below `~/`. A folder that is there, or a name that ends in `/`, gets the file into it."""
    mode: str | int | UnsetType = UNSET
    """As text in octal (`"0644"`) or symbolic, or `preserve`. Left out: it stays, or is the host's default."""
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
    newline_sequence: Literal["\\n", "\\r", "\\r\\n", "\n", "\r", "\r\n"] = "\n"
    """What ends a line."""
    output_encoding: str = "utf-8"
    """The encoding of the file on the host."""

    def __post_init__(self) -> None:
        check_path(self.dest)
        if not isinstance(self.mode, UnsetType) and self.mode != "preserve":
            check_mode(self.mode)
        if not isinstance(self.validate, UnsetType) and "%s" not in self.validate:
            raise ValueError("'validate' must have a %s in it, for the file that is to be checked")

    def resolve(self, controller: Controller) -> PlacedFile:
        """Render the template."""
        path = controller.find(self.src, "templates")
        text = controller.render_file(path, **self._extra(path))
        ending = _NEWLINES.get(self.newline_sequence, self.newline_sequence)
        try:
            data = (text if ending == "\n" else text.replace("\n", ending)).encode(self.output_encoding)
        except (LookupError, UnicodeEncodeError) as error:
            raise InputError(f"'{self.src}' cannot be written as {self.output_encoding}: {error}") from error
        mode = f"{path.stat().st_mode & 0o7777:04o}" if self.mode == "preserve" else self.mode
        into = self.dest.endswith("/")
        return PlacedFile(
            path=self.dest + path.name if into else self.dest,
            basename=path.name,
            content=content_of(data),
            data=data,
            mode=mode,
            owner=self.owner,
            group=self.group,
            force=self.force,
            follow=self.follow,
            backup=self.backup,
            validate=None if isinstance(self.validate, UnsetType) else self.validate,
        )

    def _extra(self, path: Path) -> Mapping[str, Value]:
        return {
            "ansible_managed": "Ansible managed",
            "template_host": SourceText("{{ inventory_hostname }}", Location(str(path), 1, 1)),
            "template_path": self.src,
            "template_fullpath": str(path.absolute()),
        }
