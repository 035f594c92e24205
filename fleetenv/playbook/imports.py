"""Tasks and roles from other files: what is imported is read at once, what is included when the run comes to it."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from msgspec import Struct
from msgspec.structs import replace

from fleetenv.errors import InputError, Location, nearest
from fleetenv.playbook import keywords
from fleetenv.playbook.inherited import Inherited, place, tags_of, variables
from fleetenv.playbook.model import Entry, Role, Task
from fleetenv.playbook.reading import is_template
from fleetenv.playbook.roles import RoleFiles, RoleFinder
from fleetenv.playbook.tasks import TaskReader
from fleetenv.playbook.templates import Templates
from fleetenv.playbook.undefined import UndefinedVariable
from fleetenv.source import SourceList, SourceMap, SourceText, Value
from fleetenv.source_yaml import read_yaml

_FILE_ARGUMENTS = frozenset({"file"})
_ROLE_ARGUMENTS = frozenset(
    {
        "name",
        "role",
        "tasks_from",
        "handlers_from",
        "vars_from",
        "defaults_from",
        "public",
        "allow_duplicates",
        "rolespec_validate",
    }
)
_APPLY = keywords.BLOCK - {"block", "rescue", "always"}


class Included(Struct, frozen=True, eq=False):
    """What a dynamic include came to."""

    entries: tuple[Entry, ...]
    handlers: tuple[Task, ...] = ()
    exported: tuple[Role, ...] = ()  # roles whose defaults and vars the rest of the play sees


class _Origin(Struct, frozen=True):
    """What a dynamic include knows of where it stands."""

    inherited: Inherited
    given: SourceMap


class Imports:
    """Reads tasks and roles for one play, and remembers where its dynamic includes stand."""

    def __init__(
        self,
        modules: Mapping[str, str | None],
        finder: RoleFinder,
        templates: Templates,
        static: tuple[Mapping[str, Value], ...],
    ) -> None:
        self.roles: list[Role] = []  # roles that the play sees the vars of
        self.handlers: list[Task] = []
        self.foreseen: list[Included] = []
        self._tasks = TaskReader(modules, self)
        self._finder = finder
        self._templates = templates
        self._static = static  # variables known before any host is, strongest first: extra vars, then the play's
        self._origins: dict[Task, _Origin] = {}
        self._included: dict[tuple[object, ...], Included] = {}
        self._open: list[Path] = []  # files that are being read

    # Lists of tasks

    def entries(self, written: Value, inherited: Inherited, location: Location) -> tuple[Entry, ...]:
        """Read a list of tasks that stands in a playbook."""
        return self._tasks.entries(written, inherited, location)

    def tags(self, inherited: Inherited) -> frozenset[str]:
        """Render tags, which may hold variables of the play."""
        result: set[str] = set()
        for tag in inherited.tags:
            rendered = self._render(tag, inherited) if isinstance(tag, SourceText) and is_template(tag) else tag
            for each in rendered if isinstance(rendered, list) else [rendered]:
                result.update(part.strip() for part in str(each).split(","))
        return frozenset(result)

    def search(self, inherited: Inherited) -> tuple[Path, ...]:
        """Return the folders in which a task's files are looked for, nearest first."""
        roles = [inherited.role, *reversed(inherited.role.parents)] if inherited.role else []
        folders = [*(role.path for role in roles), inherited.file.parent.absolute(), self._finder.folder.absolute()]
        return tuple(dict.fromkeys(folders))

    # What is imported

    def static(self, module: str, given: SourceMap, inner: Inherited) -> tuple[Entry, ...]:
        """Read what `import_tasks` or `import_role` names."""
        if module == "import_tasks":
            _check(module, given, _FILE_ARGUMENTS)
            return self._file(self._find(self._name(given, inner, "file", module), inner, given), inner)
        _check(module, given, _ROLE_ARGUMENTS)
        name = self._name(given, inner, "role" if "role" in given else "name", module)
        files = _files({key: self._render(value, inner) for key, value in given.items() if key.endswith("_from")})
        inner = replace(inner, include_params={**inner.include_params, **_parents(inner.role)})
        role, entries = self.role(name, given.location, inner, files=files, given=inner.vars)
        if given.get("public") is not False:
            self.roles.append(role)
        return entries

    def role(
        self,
        name: str,
        location: Location,
        inner: Inherited,
        *,
        files: RoleFiles | None = None,
        params: Mapping[str, Value] | None = None,
        given: Mapping[str, Value] | None = None,
        use: str | None = None,
    ) -> tuple[Role, tuple[Entry, ...]]:
        """Read a role and its dependencies: their tasks in order. Handlers are added to the play's.

        Args:
            name: as it is written in the playbook.
            location: where.
            inner: what surrounds the role, with what was said where it is used.
            files: which of its files are used.
            params: its parameters.
            given: the `vars:` that it is used with.
            use: what makes two uses of it the same, so that the second does not run; None: it runs each time.
        """
        files = files or RoleFiles()
        parents = (*inner.role.parents, inner.role) if inner.role else ()
        path = self._finder.find(name, location, parents[-1].path if parents else None)
        if any(parent.path == path for parent in parents) and files == RoleFiles():
            chain = " -> ".join([*(parent.name for parent in parents), Path(name).name])
            raise InputError(f"the roles need each other: {chain}", location=location)
        folder = self._finder.read(path, files, location)
        role = Role(
            Path(name).name,
            path,
            folder.defaults,
            folder.vars,
            params or {},
            parents,
            given or {},
            when=inner.when,
            use="" if use is None or folder.allow_duplicates else f"{path} {use}",
        )
        dependencies: list[Role] = []
        entries: list[Entry] = []
        for item, at in _items(folder.dependencies):
            dependency, before = self.role_entry(item, at, replace(inner, role=role))
            dependencies.append(dependency)
            entries += before
        role = replace(role, dependencies=tuple(dependencies))
        inside = replace(inner, role=role)
        if folder.handlers:
            self._add_handlers(self._file(folder.handlers, replace(inside, handlers=True)))
        if folder.tasks:
            entries += self._file(folder.tasks, inside)
        return role, tuple(entries)

    def role_entry(self, written: Value, location: Location, inherited: Inherited) -> tuple[Role, tuple[Entry, ...]]:
        """Read an entry of `roles:` or of `dependencies:`: a name, or a mapping with keywords and parameters."""
        if isinstance(written, str):
            entry = SourceMap(location)
            entry["role"], entry.values_at["role"] = written, location
        elif isinstance(written, SourceMap):
            entry = written
        else:
            raise InputError("a role is a name, or a mapping with `role: NAME`", location=location)
        keywords.refuse_unsupported("role", entry, keywords.ROLE)
        key = "role" if "role" in entry else "name"
        if not isinstance(entry.get(key), str):
            hint = "roles from requirements files are not supported yet" if "src" in entry else "write `role: NAME`"
            raise InputError("this role has no name", location=location, hint=hint)
        inner = replace(inherited.within(entry), vars=inherited.vars)
        params = {name: value for name, value in entry.items() if name not in keywords.ROLE}
        name = str(self._render(entry[key], inner))
        use = repr((params, entry.get("when"), sorted(map(str, tags_of(entry))), entry.get("vars")))
        return self.role(name, place(entry, key), inner, params=params, given=variables(entry), use=use)

    def _add_handlers(self, entries: tuple[Entry, ...]) -> None:
        for entry in entries:
            if isinstance(entry, Task):
                self.handlers.append(entry)

    # What is included

    def foresee(self, task: Task, given: SourceMap, inherited: Inherited) -> None:
        """Remember where a dynamic include stands; read what it names at once if that is known already."""
        if task.module == "include_tasks":
            _check(task.module, given, _FILE_ARGUMENTS | {"apply"})
        else:
            _check(task.module, given, _ROLE_ARGUMENTS | {"apply"})
        if not (given.get("file") or given.get("name") or given.get("role")):
            raise InputError(f"{task.module} does not say what to include", location=task.location)
        self._origins[task] = _Origin(inherited, given)
        if any(isinstance(value, str) and is_template(value) for key, value in given.items() if key != "apply"):
            return
        if self._open and len(self._open) > 1 and self._open[-1] in self._open[:-1]:
            return  # a file that includes itself ends by a condition at run time
        if task.loop is None:
            self.foreseen.append(self.include(task, {}, {}))

    def include(self, task: Task, local: Mapping[str, Value], scope: Mapping[str, Value]) -> Included:
        """Read what `include_tasks` or `include_role` names for one item of its loop.

        Args:
            task: the include.
            local: the variables of its loop; the included tasks see them.
            scope: all variables of the host, with which names are rendered.

        Raises:
            InputError: it names what is not there, or what is wrong.
        """
        origin = self._origins[task]
        rendered = {key: self._templates.render(value, scope) for key, value in origin.given.items() if key != "apply"}
        key = (task, *(repr(each) for each in (rendered, local)))
        if key not in self._included:
            roles, handlers = self.roles, self.handlers
            self.roles, self.handlers = [], []
            try:
                entries = self._include(task, origin, rendered, local)
                self._included[key] = Included(entries, tuple(self.handlers), tuple(self.roles))
            finally:
                self.roles, self.handlers = roles, handlers
        return self._included[key]

    def _include(
        self, task: Task, origin: _Origin, rendered: Mapping[str, Value], local: Mapping[str, Value]
    ) -> tuple[Entry, ...]:
        own = {name: value for name, value in task.vars.items() if origin.inherited.vars.get(name) is not value}
        inner = origin.inherited
        apply = origin.given.get("apply")
        if apply is not None:
            if not isinstance(apply, SourceMap):
                raise InputError("apply needs a mapping of keywords", location=place(origin.given, "apply"))
            keywords.check("block", apply, _APPLY)
            inner = inner.within(apply)
        inner = replace(
            inner,
            vars={**task.vars, **inner.vars},
            include_params={**task.include_params, **own, **local},
            keywords={**inner.keywords, **({"no_log": task.no_log} if task.no_log is not None else {})},
        )
        if task.module == "include_tasks":
            return self._file(self._find(str(rendered["file"]), inner, origin.given), inner)
        name = str(rendered.get("role") or rendered.get("name"))
        inner = replace(inner, include_params={**inner.include_params, **_parents(inner.role)})
        role, entries = self.role(name, task.location, inner, files=_files(rendered), given=own)
        if rendered.get("public") in (True, "true", "yes"):
            self.roles.append(role)
        return entries

    # Files

    def _file(self, path: Path, inherited: Inherited) -> tuple[Entry, ...]:
        """Read a file of tasks or handlers."""
        if len(self._open) > 100:
            raise InputError(f"{path} imports itself, over and over")
        content = read_yaml(path)
        self._open.append(path)
        try:
            return self._tasks.entries(content, replace(inherited, file=path), Location(str(path), 1, 1))
        finally:
            self._open.pop()

    def _find(self, name: str, inner: Inherited, given: SourceMap) -> Path:
        """Find a file of tasks: beside the file that names it, in the role's tasks/, beside the playbook."""
        wanted = Path(name).expanduser()
        places = [inner.file.parent]
        if inner.role:
            places.append(inner.role.path / ("handlers" if inner.handlers else "tasks"))
        places += [self._finder.folder, self._finder.folder / "tasks"]
        candidates = list(dict.fromkeys(place / wanted for place in places))
        for candidate in candidates:
            if candidate.is_file():
                return candidate
        looked = ", ".join(map(str, candidates))
        raise InputError(f"there is no file '{name}'", location=place(given, "file"), hint=f"looked for {looked}")

    def _name(self, given: SourceMap, inner: Inherited, key: str, module: str) -> str:
        if not given.get(key):
            raise InputError(f"{module} does not say what to import", location=given.location)
        return str(self._render(given[key], inner))

    def _render(self, value: Value, inner: Inherited) -> Value:
        """Render what must be known before any host is."""
        role = inner.role
        layers = [*self._static[:1], inner.vars]
        layers += [role.params, role.given, role.vars] if role else []
        layers += self._static[1:]
        layers += [{"role_path": str(role.path), "role_name": role.name}, role.defaults] if role else []
        try:
            return self._templates.render(value, ChainMap(*(cast(dict[str, Value], layer) for layer in layers)))
        except UndefinedVariable as error:
            raise InputError(
                error.message,
                location=error.location,
                hint="imports, roles and tags may use only the play's and extra variables: no host is known yet",
            ) from error


def _items(values: SourceList | None) -> list[tuple[Value, Location]]:
    return [] if values is None else list(zip(values, values.items_at, strict=True))


def _parents(role: Role | None) -> dict[str, Value]:
    """Name the roles that a role is included from, nearest first, as Ansible does."""
    roles = [role, *reversed(role.parents)] if role else []
    names: list[Value] = [each.name for each in roles]
    paths: list[Value] = [str(each.path) for each in roles]
    return {"ansible_parent_role_names": names, "ansible_parent_role_paths": paths} if roles else {}


def _files(given: Mapping[str, Value]) -> RoleFiles:
    def name(part: str) -> str | None:
        value = given.get(f"{part}_from")
        return None if value is None else str(value)

    return RoleFiles(name("tasks"), name("handlers"), name("vars"), name("defaults"))


def _check(module: str, given: SourceMap, arguments: frozenset[str]) -> None:
    for key in given:
        if key not in arguments:
            hint = "only the include_ forms take it; an import passes its own keywords on" if key == "apply" else None
            raise InputError(
                f"{module} has no argument '{key}'",
                location=given.keys_at.get(key, given.location),
                hint=hint or nearest(key, arguments),
            )
