"""`copy` of a whole folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from fleetenv.errors import InputError, TaskFailed
from fleetenv.modules.base import StateModule
from fleetenv.modules.filestate import FileState, content_of_file, look_up, wished
from fleetenv.modules.filesteps import mend
from fleetenv.remote import Completed, Lookup, Probe, Step, sh
from fleetenv.source import Value
from fleetenv.state import UNSET, Content, Diff, State, UnsetType, compare

MOST = 5000
"""Files and folders that a single task copies; more are better sent as an archive."""

_FIELDS = ("kind", "mode", "owner", "uid", "group", "gid", "content")


class TreeState(State, frozen=True, kw_only=True):
    """Files and folders by their path below the destination ('.'), each with the fields of a [`FileState`][]."""

    entries: Mapping[str, Mapping[str, Any]]


class Planned(msgspec.Struct, frozen=True):
    """One file or folder as the controller has it."""

    content: Content | None  # None: a folder
    mode: str | int | UnsetType = UNSET


class CopiedTree(StateModule[TreeState], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A folder on the host that has all that one of the controller has; what else is in it stays."""

    name: ClassVar[str] = "copy"

    source: Path
    dest: str
    told: str  # `dest` as the task says it
    planned: Mapping[str, Planned]  # by relative path, folders before what is in them
    owner: str | UnsetType = UNSET
    group: str | UnsetType = UNSET
    force: bool = True

    def observe(self) -> Probe[TreeState]:
        """Ask about all files at once."""
        lookups = {name: self._look_up(name) for name in self.planned}
        question = lookups["."]

        def parse(completed: Completed) -> TreeState:
            answers = question.parse(completed)
            found = {name: answers.get(each.subject) for name, each in lookups.items()}
            return TreeState(entries={name: _fields(state) for name, state in found.items() if state is not None})

        return Probe(f"{sh('set', '--', *(each.subject for each in lookups.values()))}\n{question.script}", parse)

    def desired(self, found: TreeState | None) -> TreeState:
        """Return every file and folder as planned; fields that nobody speaks of are as found."""
        entries = found.entries if found is not None else {}
        wanted = {}
        for name, planned in self.planned.items():
            there = dict(entries.get(name, {}))
            if there and planned.content is not None and not self.force:
                wanted[name] = there
                continue
            state = wished(
                FileState(**there) if there else None,
                self._path(name),
                kind="directory" if planned.content is None else "file",
                mode=planned.mode,
                owner=self.owner,
                group=self.group,
                content=UNSET if planned.content is None else planned.content,
            )
            wanted[name] = there | _fields(state)
        return TreeState(entries=wanted)

    def converge(self, diff: Diff[TreeState]) -> Iterator[Step]:
        """Make folders, send files, mend modes and owners: each where it differs."""
        if diff.wanted is None:
            raise TaskFailed("a copied folder is never removed")
        entries = diff.found.entries if diff.found is not None else {}
        for name, wanted in diff.wanted.entries.items():
            found = entries.get(name)
            each = compare(FileState(**wanted), FileState(**found) if found is not None else None)
            if each:
                yield from mend(self._path(name), each, self.source / name if wanted["kind"] == "file" else None)

    def returns(self, found: TreeState | None) -> Mapping[str, Value]:
        """Return Ansible's keys."""
        return {"dest": f"{self.told.rstrip('/')}/", "src": str(self.source)}

    def _path(self, name: str) -> str:
        return self.dest if name == "." else f"{self.dest.rstrip('/')}/{name}"

    def _look_up(self, name: str) -> Lookup[FileState | None]:
        return look_up(self._path(name), follow=True, content=self.planned[name].content)


def copied_tree(
    source: Path,
    dest: str,
    *,
    told: str,
    mode: str | int | UnsetType,
    directory_mode: str | int | UnsetType,
    owner: str | UnsetType,
    group: str | UnsetType,
    force: bool,
) -> CopiedTree:
    """Read a folder of the controller and plan its copy. A `mode` of `preserve` takes each file's own.

    `told` is the destination as the task says it; `dest` may be a folder in that.

    Raises:
        InputError: it cannot be read, or has too many files.
    """
    planned = {".": Planned(None, directory_mode)}
    try:
        for folder, folders, names in os.walk(source):
            folders.sort()
            for name in folders:
                planned[str((Path(folder) / name).relative_to(source))] = Planned(None, directory_mode)
            for name in sorted(names):
                path = Path(folder) / name
                own = f"{path.stat().st_mode & 0o7777:04o}" if mode == "preserve" else mode
                planned[str(path.relative_to(source))] = Planned(content_of_file(path), own)
            if len(planned) > MOST:
                hint = "send an archive and unpack it with 'command: tar ...'"
                raise InputError(f"{source} has more than {MOST} files", hint=hint)
    except OSError as error:
        raise InputError(f"cannot read {error.filename}: {error.strerror}") from error
    return CopiedTree(source=source, dest=dest, told=told, planned=planned, owner=owner, group=group, force=force)


def _fields(state: FileState) -> dict[str, Any]:
    return {name: getattr(state, name) for name in _FIELDS if getattr(state, name) is not UNSET}
