"""The document: JSON with a version, that people and programs can read, and that nobody can change unnoticed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from fleetenv.errors import InputError
from fleetenv.history.errand import Origin
from fleetenv.report.plan.key import VARIABLE, Key

FORMAT = "fleetenv.plan"
VERSION = 1

Verdict: TypeAlias = Literal["nothing", "changes", "failed", "unreachable"]


class Planned(Struct, frozen=True, kw_only=True):
    """One task, or one item of its loop, that is not as it should be on one host.

    Any is plain JSON: msgspec reads no type that is defined by itself.
    """

    play: str
    role: str | None
    task: str
    module: str
    item: str | None
    file: str
    line: int
    status: str  # as `apply --check --json` has it
    acts: bool  # an action: it runs in apply, and nobody knows beforehand what it changes
    command: Any  # what a command would run; null: it is none, or the task has no_log
    msg: str
    diff: list[dict[str, Any]]
    seal: str  # of all of it, and of what no_log hides

    @property
    def place(self) -> tuple[str, int, str, str | None]:
        """Which task it is."""
        return self.file, self.line, self.task, self.item


class HostPlan(Struct, frozen=True, kw_only=True):
    """What would be done on one host."""

    verdict: Verdict
    why: str = ""  # it could not be looked at
    tasks: list[Planned] = field(default_factory=list)


class Choices(Struct, frozen=True, kw_only=True):
    """The command line's options that decide what is done, and how hosts are reached. No passwords."""

    limit: str | None = None
    tags: list[str] = field(default_factory=list)
    skip_tags: list[str] = field(default_factory=list)
    extra_vars: list[str | None] = field(default_factory=list)  # `@FILE`; null: values, which `apply` is given again
    task_timeout: float | None = None
    user: str | None = None
    private_key: str | None = None
    connection: str | None = None
    timeout: float | None = None
    ssh_common_args: str | None = None
    become: bool = False
    become_user: str | None = None
    become_method: str | None = None


class Document(Struct, frozen=True, kw_only=True):
    """A plan."""

    format: str = FORMAT
    version: int = VERSION
    fleetenv: str
    taken: str  # ISO 8601, with zone
    user: str
    controller: str
    playbook: Origin
    inventory: list[Origin]
    options: Choices
    values: str  # sealed: the values of `-e`
    sources: dict[str, str]  # file of the controller that was read -> its seal
    hosts: dict[str, HostPlan]
    key: str  # its name
    seal: str = ""

    def sealed(self, key: Key) -> Document:
        """Return it with its seal."""
        return replace(self, seal=self._seal(key))

    def is_sealed_with(self, key: Key) -> bool:
        """Whether nothing was changed since it was sealed."""
        return self.seal == self._seal(key)

    def _seal(self, key: Key) -> str:
        return key.seal(_encoded(replace(self, seal="")))

    def write(self, file: Path) -> None:
        """Write it.

        Raises:
            InputError: the file cannot be written.
        """
        try:
            file.write_bytes(_encoded(self) + b"\n")
        except OSError as error:
            raise InputError(f"cannot write {file}: {error.strerror}") from error


def _encoded(document: Document) -> bytes:
    return json.dumps(msgspec.to_builtins(document), indent=2).encode()


def read_plan(file: Path, key: Key) -> Document:
    """Read a plan that was sealed with this key.

    Raises:
        InputError: it is none, of another version, sealed with another key, or was changed since.
    """
    try:
        data = file.read_bytes()
        head = msgspec.json.decode(data, type=_Head)
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise InputError(f"{file} is no plan: {error}") from error
    if head.format != FORMAT:
        raise InputError(f"{file} is no plan", hint="'fleetenv plan PLAYBOOK -i INVENTORY -o FILE' makes one")
    if head.version != VERSION:
        raise InputError(
            f"{file} is a plan of version {head.version}, and this fleetenv knows version {VERSION}",
            hint="make the plan anew",
        )
    try:
        document = msgspec.json.decode(data, type=Document)
    except msgspec.DecodeError as error:
        raise InputError(f"{file} is no plan: {error}") from error
    if document.key != key.name:
        raise InputError(
            f"{file} was made with another key than this controller's and user's",
            hint=f"let {VARIABLE} name the file of the key that it was made with",
        )
    if not document.is_sealed_with(key):
        raise InputError(f"{file} was changed after it was made", hint="change the playbook, and make the plan anew")
    return document


class _Head(Struct):
    format: str = ""
    version: int = 0
