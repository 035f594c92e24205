"""Roles: where they are found, and what their folders hold."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct, field

from fleetenv.errors import InputError, Location, nearest
from fleetenv.playbook.vars_files import variables_of
from fleetenv.source import SourceList, SourceMap, Value
from fleetenv.source_yaml import read_yaml

_SUFFIXES = (".yml", ".yaml", ".json")


class RoleFiles(Struct, frozen=True):
    """Which files of a role are used: `tasks_from` and its like; None is `main`."""

    tasks: str | None = None
    handlers: str | None = None
    vars: str | None = None
    defaults: str | None = None


class RoleFolder(Struct, frozen=True):
    """A role's folder, read."""

    path: Path
    defaults: Mapping[str, Value]
    vars: Mapping[str, Value]
    dependencies: SourceList | None
    allow_duplicates: bool
    tasks: Path | None
    handlers: Path | None


class RoleFinder(Struct):
    """Finds roles by name, and reads each folder once."""

    folder: Path  # of the playbook
    role_path: Sequence[Path] = ()
    _read: dict[tuple[Path, RoleFiles], RoleFolder] = field(default_factory=dict)

    def find(self, name: str, location: Location | None, beside: Path | None = None) -> Path:
        """Return a role's folder: of `roles/` beside the playbook, the role path, the role that asks, the playbook.

        Raises:
            InputError: there is none; the nearest name that there is, and where it was looked for.
        """
        places = self._places(beside)
        given = Path(name).expanduser()
        if given.is_absolute() and given.is_dir():
            return given
        for place in places:
            if name and (place / name).is_dir():
                return (place / name).absolute()
        roles = {each.name for place in places for each in _folders(place) if (each / "tasks").is_dir()}
        looked = ", ".join(str(place) for place in places)
        raise InputError(
            f"there is no role '{name}'", location=location, hint=nearest(name, roles) or f"looked for in {looked}"
        )

    def read(self, path: Path, files: RoleFiles, location: Location | None) -> RoleFolder:
        """Read a role's variables and meta; tasks and handlers are only found.

        Raises:
            InputError: a file that was asked for is not there, or one is not what it should be.
        """
        if (path, files) not in self._read:
            meta = self._meta(path)
            dependencies = meta.get("dependencies") if meta else None
            if dependencies is not None and not isinstance(dependencies, SourceList):
                raise InputError("dependencies needs a list of roles", location=meta.location if meta else location)
            self._read[path, files] = RoleFolder(
                path,
                _variables(path, "defaults", files.defaults, location),
                _variables(path, "vars", files.vars, location),
                dependencies,
                bool(meta.get("allow_duplicates", False)) if meta else False,
                _file(path, "tasks", files.tasks, location),
                _file(path, "handlers", files.handlers, location),
            )
        return self._read[path, files]

    def _places(self, beside: Path | None) -> list[Path]:
        from_environment = os.environ.get("ANSIBLE_ROLES_PATH", "")
        places = [
            self.folder / "roles",
            *self.role_path,
            *(Path(each).expanduser() for each in from_environment.split(":") if each),
            Path.cwd() / "roles",
            self.folder.parent / "roles",  # roles/ beside playbooks/, from wherever fleetenv is started
            *([beside.parent] if beside else []),
            self.folder,
        ]
        return list(dict.fromkeys(place.absolute() for place in places))

    def _meta(self, path: Path) -> SourceMap | None:
        found = _file(path, "meta", None, None)
        content = read_yaml(found) if found else None
        if content is None or isinstance(content, SourceMap):
            return content
        raise InputError(f"{found} must be a mapping", location=getattr(content, "location", None))


def _folders(place: Path) -> list[Path]:
    return [each for each in place.iterdir() if each.is_dir()] if place.is_dir() else []


def _file(role: Path, part: str, name: str | None, location: Location | None) -> Path | None:
    """Find `PART/main.yml`, or the file of that part that was asked for."""
    folder = role / part
    suffixes = (*_SUFFIXES, "") if name is None else ("", *_SUFFIXES)
    for suffix in suffixes:
        candidate = folder / f"{name or 'main'}{suffix}"
        if candidate.is_file():
            if folder.resolve() not in candidate.resolve().parents:
                raise InputError(f"{part}_from '{name}' leads out of the role {role}", location=location)
            return candidate
    if name is None:
        return None
    there = [each.stem for each in folder.iterdir()] if folder.is_dir() else []
    raise InputError(
        f"the role {role.name} has no {part}/{name}",
        location=location,
        hint=nearest(name, there) or f"looked in {folder}",
    )


def _variables(role: Path, part: str, name: str | None, location: Location | None) -> Mapping[str, Value]:
    """Read `PART/main.yml`, or all files of the folder `PART/main/`."""
    folder = role / part / (name or "main")
    files = [each for each in sorted(folder.rglob("*")) if each.is_file() and each.suffix in (*_SUFFIXES, "")]
    if not files:
        found = _file(role, part, name, location)
        files = [found] if found else []
    merged: dict[str, Value] = {}
    for file in files:
        for mapping in reversed(variables_of(file)):
            merged |= mapping
    return merged
