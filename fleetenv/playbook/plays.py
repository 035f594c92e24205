"""Playbooks and plays: from YAML to the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from pathlib import Path

from msgspec.structs import replace

from fleetenv.errors import InputError, Location, nearest
from fleetenv.playbook import keywords, tags
from fleetenv.playbook.imports import Imports, Included
from fleetenv.playbook.inherited import Inherited, conditions, place, sequence, tags_of, variables
from fleetenv.playbook.model import Entry, FlushHandlers, Play, Task
from fleetenv.playbook.reading import is_template
from fleetenv.playbook.roles import RoleFinder
from fleetenv.playbook.templates import Templates
from fleetenv.playbook.vars_files import VarsFiles
from fleetenv.source import SourceList, SourceMap, Value
from fleetenv.source_yaml import read_yaml

_STRATEGIES = frozenset({"free", "host_pinned", "linear"})
_ORDERS = frozenset({"inventory", "reverse_inventory", "reverse_sorted", "shuffle", "sorted"})


class Playbook:
    """A playbook, read: its plays, and what it takes to read what they include at run time."""

    def __init__(
        self,
        path: Path,
        *,
        modules: Mapping[str, str | None],
        role_path: Sequence[Path] = (),
        extra_vars: Mapping[str, Value] | None = None,
        templates: Templates | None = None,
    ) -> None:
        """Read a playbook and all that it imports.

        Args:
            path: the file.
            modules: all modules that there are, each with the argument that takes free text, or None.
            role_path: folders in which roles are looked for, after `roles/` beside the playbook.
            extra_vars: what `-e` says; names of imported files may use it.
            templates: what renders such names.

        Raises:
            InputError: anything in it is wrong; the location is where.
        """
        self.path = path
        self._modules = modules
        self._role_path = tuple(role_path)
        self._extra = extra_vars or {}
        self._templates = templates or Templates()
        self._vars_files = VarsFiles()
        self._imports: dict[Play, Imports] = {}
        self._of_task: dict[Task, Imports] = {}
        self.plays: tuple[Play, ...] = self._playbook(path, None, (), frozenset(), {}, ())

    def selected(self, play: Play, only: Set[str], skip: Set[str]) -> tuple[Entry, ...]:
        """Return the entries of a play that `--tags` and `--skip-tags` choose."""
        return tags.select(play.entries, only, skip)

    def foreseen(self, play: Play) -> tuple[Task, ...]:
        """Return the tasks of dynamic includes that could be read already, to be checked with the others."""
        return tuple(
            task
            for included in self._imports[play].foreseen
            for task in (*_tasks(included.entries), *included.handlers)
        )

    def include(
        self,
        play: Play,
        task: Task,
        local: Mapping[str, Value],
        scope: Mapping[str, Value],
        *,
        only: Set[str] = frozenset({"all"}),
        skip: Set[str] = frozenset(),
    ) -> Included:
        """Read what an include names, for one item of its loop; the same again gives the same tasks.

        Args:
            play: the play that runs.
            task: the include.
            local: the variables of its loop; the included tasks see them.
            scope: all variables of the host, with which the name is rendered.
            only: `--tags`.
            skip: `--skip-tags`.

        Raises:
            InputError: it names what is not there, or what is wrong.
        """
        included = self._imports[play].include(task, local, scope)
        return replace(included, entries=tags.select(included.entries, only, skip))

    def _playbook(
        self,
        path: Path,
        location: Location | None,
        parents: tuple[Path, ...],
        inherited_tags: frozenset[Value],
        inherited_vars: Mapping[str, Value],
        when: tuple[Value, ...],
    ) -> tuple[Play, ...]:
        resolved = path.resolve()
        if resolved in parents:
            raise InputError(f"the playbook {path} imports itself", location=location)
        if location and not path.is_file():
            raise InputError(f"there is no playbook {path}", location=location)
        content = read_yaml(path)
        if not isinstance(content, SourceList) or not content:
            raise InputError(
                f"{path} is not a playbook",
                location=getattr(content, "location", Location(str(path), 1, 1)),
                hint="a playbook is a list of plays, each a mapping with `hosts`",
            )
        plays: list[Play] = []
        for item, at in zip(content, content.items_at, strict=True):
            if not isinstance(item, SourceMap):
                raise InputError("a play is a mapping with `hosts`", location=at)
            key = next((each for each in item if each.removeprefix("ansible.builtin.") == "import_playbook"), None)
            if key is None:
                plays.append(self._play(item, path, inherited_tags, inherited_vars, when))
                continue
            keywords.check("play", item, keywords.IMPORTED_PLAYBOOK)
            name = self._templates.render(item[key], {**variables(item), **self._extra})
            plays += self._playbook(
                path.parent / str(name),
                place(item, key),
                (*parents, resolved),
                inherited_tags | tags_of(item),
                {**variables(item), **inherited_vars},
                when + conditions(item, "when"),
            )
        return tuple(plays)

    def _play(
        self,
        written: SourceMap,
        path: Path,
        inherited_tags: frozenset[Value],
        inherited_vars: Mapping[str, Value],
        when: tuple[Value, ...],
    ) -> Play:
        keywords.check("play", written, keywords.PLAY)
        hosts = written.get("hosts")
        if hosts is None or hosts == "" or hosts == []:
            raise InputError("a play needs `hosts`", location=written.location)
        folder = path.absolute().parent
        play_vars = {**variables(written), **inherited_vars}
        vars_files = sequence(written.get("vars_files"))
        static = (self._extra, *self._known_vars_files(vars_files, folder), play_vars)
        imports = Imports(
            self._modules,
            RoleFinder(folder, self._role_path),
            self._templates,
            (*static, {"playbook_dir": str(folder)}),
        )
        outside = Inherited(tags=inherited_tags, when=when, file=path).within(written)
        outside = replace(outside, vars={})  # the play's own vars are weaker than a task's, and stay with the play
        entries: list[Entry] = []
        for section in ("pre_tasks", "roles", "tasks", "post_tasks"):
            if section == "roles":
                entries += self._roles(written, imports, outside)
            else:
                entries += imports.entries(written.get(section), outside, place(written, section))
                if section == "tasks" or written.get(section):
                    entries.append(FlushHandlers())
        of_roles = tuple(imports.handlers)
        imports.handlers.clear()
        own = imports.entries(written.get("handlers"), replace(outside, handlers=True), place(written, "handlers"))
        handlers = (*of_roles, *imports.handlers, *(entry for entry in own if isinstance(entry, Task)))
        shown = ",".join(map(str, hosts)) if isinstance(hosts, list) else str(hosts)
        play = Play(
            name=str(written.get("name") or shown),
            hosts=hosts,
            location=written.location,
            entries=tuple(entries),
            handlers=handlers,
            roles=tuple(imports.roles),
            vars=play_vars,
            vars_files=vars_files,
            gather_facts=written.get("gather_facts"),
            serial=sequence(written.get("serial")),
            max_fail_percentage=written.get("max_fail_percentage"),
            connection=written.get("connection"),
            remote_user=written.get("remote_user", written.get("user")),
            port=written.get("port"),
            environment=outside.environment,
            tags=imports.tags(outside),
            strategy=_one_of(written, "strategy", _STRATEGIES, "free"),
            order=_one_of(written, "order", _ORDERS, "inventory"),
            folder=folder,
            **{key: value for key, value in outside.keywords.items() if key not in ("run_once", "timeout")},
        )
        self._imports[play] = imports
        return play

    def _roles(self, written: SourceMap, imports: Imports, outside: Inherited) -> list[Entry]:
        roles = written.get("roles")
        if roles is None:
            return []
        if not isinstance(roles, SourceList):
            raise InputError("roles needs a list", location=place(written, "roles"))
        entries: list[Entry] = []
        for item, at in zip(roles, roles.items_at, strict=True):
            role, its = imports.role_entry(item, at, outside)
            imports.roles.append(role)
            entries += its
        return entries

    def _known_vars_files(self, entries: Sequence[Value], folder: Path) -> list[Mapping[str, Value]]:
        """Read those vars_files whose names do not depend on a host."""
        layers: list[Mapping[str, Value]] = []
        for entry in entries:
            names = entry if isinstance(entry, list) else [entry]
            if not any(isinstance(name, str) and is_template(name) for name in names):
                layers[:0] = self._vars_files.read(entry, folder, entry)
        return layers


def read_playbook(path: Path, *, modules: Mapping[str, str | None], role_path: Sequence[Path] = ()) -> tuple[Play, ...]:
    """Read a playbook's plays; [`Playbook`][] also reads what they include at run time."""
    return Playbook(path, modules=modules, role_path=role_path).plays


def _one_of(written: SourceMap, keyword: str, words: frozenset[str], default: str) -> str:
    word = written.get(keyword, default)
    if word not in words:
        raise InputError(
            f"'{word}' is not a {keyword}",
            location=place(written, keyword),
            hint=nearest(str(word), words) or f"it is one of {', '.join(sorted(words))}",
        )
    return str(word)


def _tasks(entries: Sequence[Entry]) -> list[Task]:
    result: list[Task] = []
    for entry in entries:
        if isinstance(entry, Task):
            result.append(entry)
        elif not isinstance(entry, FlushHandlers):
            result += _tasks((*entry.block, *entry.rescue, *entry.always))
    return result
