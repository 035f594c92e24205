"""`file` with `recurse`: mode and owner of a folder and of all that is below it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import msgspec

from fleetenv.modules.base import StateModule
from fleetenv.modules.filestate import FileState, ansible_keys, look_up, refuse_denied, wished
from fleetenv.modules.filesteps import mend
from fleetenv.modules.hostpath import check_path, quoted
from fleetenv.modules.modes import octal, symbolic
from fleetenv.remote import Completed, Probe, Run, Step, sh
from fleetenv.source import Value
from fleetenv.state import UNSET, Diff, UnsetType

MARK = b"fleetenv-inside\0"


class TreeState(FileState, frozen=True, kw_only=True):
    """A folder, and which combinations of kind, mode, owner and group are below it, sorted: `f 0644 root root`."""

    inside: tuple[str, ...] | UnsetType = UNSET


class Tree(StateModule[TreeState], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A folder with all that is in it. Links in it are left alone."""

    name: ClassVar[str] = "file"

    path: str
    mode: str | int | UnsetType = UNSET
    owner: str | UnsetType = UNSET
    group: str | UnsetType = UNSET

    def __post_init__(self) -> None:
        check_path(self.path)

    def observe(self) -> Probe[TreeState | None]:
        """Ask what the folder is like, and which modes and owners are below it."""
        folder = look_up(self.path, follow=True)
        user = "%U" if isinstance(self.owner, str) and self.owner.isdigit() else "%u"
        group = "%G" if isinstance(self.group, str) and self.group.isdigit() else "%g"
        below = f"find {quoted(self.path)}/ -mindepth 1 ! -type l -printf '%y %04m {user} {group}\\n' | sort -u"
        script = (
            f"{sh('set', '--', folder.subject)}\n{folder.script}\n"
            f"printf 'fleetenv-inside\\0'\n[ ! -d {quoted(self.path)} ] || {below}"
        )

        def parse(completed: Completed) -> TreeState | None:
            outer, _, inner = completed.stdout.partition(MARK)
            found = folder.parse(Completed(0, outer, completed.stderr))[folder.subject]
            lines = inner.decode("utf-8", "replace").splitlines()
            if any(len(line.split()) != 4 for line in lines):
                raise ValueError("find told something else than was asked")
            return None if found is None else TreeState(**msgspec.structs.asdict(found), inside=tuple(sorted(lines)))

        return Probe(script, parse)

    def desired(self, found: TreeState | None) -> TreeState:
        """Return the folder, and what is below it, with the wanted mode and owner."""
        refuse_denied(found, self.path)
        folder = wished(found, self.path, kind="directory", mode=self.mode, owner=self.owner, group=self.group)
        if found is None or isinstance(found.inside, UnsetType):
            return TreeState(**msgspec.structs.asdict(folder))
        inside = sorted({self._as_wanted(line) for line in found.inside})
        return TreeState(**msgspec.structs.asdict(folder), inside=tuple(inside))

    def _as_wanted(self, line: str) -> str:
        kind, mode, owner, group = line.split()
        if not isinstance(self.mode, UnsetType):
            mode = octal(self.mode, before=mode, directory=kind == "d")
        owner = owner if isinstance(self.owner, UnsetType) else self.owner
        group = group if isinstance(self.group, UnsetType) else self.group
        return f"{kind} {mode} {owner} {group}"

    def converge(self, diff: Diff[TreeState]) -> Iterator[Step]:
        """Mend the folder, then all that is below it."""
        if not diff.touches("inside"):
            yield from mend(self.path, diff)  # type: ignore[arg-type]  # a TreeState is a FileState
            return
        owner = "" if isinstance(self.owner, UnsetType) else self.owner
        group = "" if isinstance(self.group, UnsetType) else f":{self.group}"
        below = f"find {quoted(self.path)}/ ! -type l"
        if owner or group:
            yield Run(f"{below} -exec chown {sh(owner + group)} {{}} +")
        if not isinstance(self.mode, UnsetType):
            mode = symbolic(self.mode)
            yield Run(f"{below} -exec chmod {sh(f'0{mode}' if mode.isdigit() else mode)} {{}} +")

    def returns(self, found: TreeState | None) -> Mapping[str, Value]:
        """Return Ansible's keys for the folder itself."""
        return {"path": self.path, **ansible_keys(found)}
