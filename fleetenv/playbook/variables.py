"""Variables of hosts, and Ansible's precedence among them.

Nothing is copied for a task: a [`Scope`][] is a list of mappings, strongest first, searched when a name is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Protocol, cast

from msgspec import Struct

from fleetenv.playbook.model import Play, Role, Task
from fleetenv.playbook.reading import ABSENT, HostScopes, RawVariables
from fleetenv.playbook.templates import Templates
from fleetenv.playbook.undefined import UndefinedVariable
from fleetenv.playbook.vars_files import VarsFiles
from fleetenv.source import Value

Layer = Mapping[str, Value]

_NOTHING: Layer = {}

ANSIBLE_VERSION: dict[str, Value] = {"full": "2.19.0", "major": 2, "minor": 19, "revision": 0, "string": "2.19.0"}
"""The Ansible whose language is spoken here: playbooks ask for it before they use a newer feature."""


class HostSource(Protocol):
    """Where hosts and their variables come from: [`fleetenv.inventory.Inventory`][]."""

    @property
    def hosts(self) -> Mapping[str, object]:
        """All hosts by name."""

    def variables(self, host: str) -> Mapping[str, Value]:
        """The host's variables of the inventory, its groups and their files."""

    def magic(self, host: str) -> Mapping[str, Value]:
        """`inventory_hostname`, `groups`, ..."""


class Scope(RawVariables):
    """All variables that one task sees on one host. Values are rendered when they are read."""

    __slots__ = ("layers", "templates")

    def __init__(self, layers: tuple[Layer, ...], templates: Templates) -> None:
        self.layers = layers
        self.templates = templates

    def look(self, name: str) -> object:
        """Return a variable unrendered; `ABSENT` when there is none."""
        for layer in self.layers:
            if name in layer:
                return layer[name]
        return ABSENT

    def __getitem__(self, name: str) -> Value:
        return self.templates.variable(name, self)

    def __contains__(self, name: object) -> bool:
        return any(name in layer for layer in self.layers)

    def __iter__(self) -> Iterator[str]:
        names: dict[str, None] = {}
        for layer in reversed(self.layers):
            names.update(dict.fromkeys(layer))
        return iter(names)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class FleetVariables(HostScopes):
    """The variables of all hosts of a run; as a mapping it is `hostvars`.

    Args:
        inventory: the hosts and what the inventory says about them.
        templates: what renders values.
        extra: what `-e` says; it wins over everything but magic variables.
        magic: variables of the run itself (`ansible_check_mode`, `ansible_forks`, ...).
    """

    def __init__(
        self,
        inventory: HostSource,
        templates: Templates,
        *,
        extra: Layer | None = None,
        magic: Layer | None = None,
    ) -> None:
        self.templates = templates
        self.extra: Layer = extra or {}
        self.magic: dict[str, Value] = {"ansible_version": ANSIBLE_VERSION, **(magic or {})}
        self.shared: dict[str, Value] = {}  # of the present play and batch: see set_hosts
        self.vars_files = VarsFiles()
        self._inventory = inventory
        self._hosts: dict[str, HostVariables] = {}

    def of(self, host: str) -> HostVariables:
        """Return a host's variables, always the same object.

        Raises:
            InputError: the inventory has no such host.
        """
        if host not in self._hosts:
            magic: dict[str, Value] = {**self._inventory.magic(host), "hostvars": cast(Value, self)}
            self._hosts[host] = HostVariables(host, self, self._inventory.variables(host), magic)
        return self._hosts[host]

    def set_hosts(self, *, every: list[str], left: list[str], batch: list[str]) -> None:
        """Say which hosts the present play is for, which of them are still in it, and which are in this batch."""
        remaining = [host for host in batch if host in set(left)]
        for host in remaining:
            self.of(host).outdate()
        self.shared.update(
            ansible_play_hosts_all=[*every],
            ansible_play_hosts=[*left],
            ansible_play_batch=[*remaining],
            play_hosts=[*remaining],
        )

    def __getitem__(self, host: str) -> Scope:
        if host not in self._inventory.hosts and host not in ("localhost", "127.0.0.1", "::1"):
            raise KeyError(host)
        self.templates.fleeting += 1
        return self.of(host).scope(None, None)

    def __contains__(self, host: object) -> bool:
        return host in self._inventory.hosts or host == "localhost"

    def __iter__(self) -> Iterator[str]:
        return iter(self._inventory.hosts)

    def __len__(self) -> int:
        return len(self._inventory.hosts)


class HostVariables:
    """What is known about one host, and how a task sees it.

    `facts`, `included` and `registered` hold what came up in the run. Change them by the methods only: `version` tells
    whether anything changed since.
    """

    def __init__(self, host: str, fleet: FleetVariables, inventory: Layer, magic: Layer) -> None:
        self.host = host
        self.version = 0
        self.facts: dict[str, Value] = {}
        self.included: dict[str, Value] = {}
        self.registered: dict[str, Value] = {}
        self._fleet = fleet
        self._inventory = inventory
        self._magic = magic
        self._fact_names: dict[str, Value] = {}  # `ansible_facts`: the names without `ansible_`
        self._exported: list[Role] = []
        self._alone: tuple[int, Scope] | None = None  # as `hostvars` shows it: one scope, so that circles are noticed
        self._vars_files: tuple[int, int, tuple[Layer, ...]] = (0, -1, ())

    def learn(self, facts: Layer) -> None:
        """Take in facts: each by its own name, and in `ansible_facts` without the prefix `ansible_`."""
        self.facts.update(facts)
        names = {name.removeprefix("ansible_") if name != "ansible_local" else "local": name for name in facts}
        self._fact_names = {**self._fact_names, **{short: facts[name] for short, name in names.items()}}
        self.facts["ansible_facts"] = self._fact_names
        self.version += 1

    def include(self, variables: Layer) -> None:
        """Take in what `include_vars` read."""
        self.included.update(variables)
        self.version += 1

    def register(self, name: str, value: Value) -> None:
        """Take in a registered result, or what `set_fact` set."""
        self.registered[name] = value
        self.version += 1

    def export(self, role: Role) -> None:
        """Let the rest of the play see the defaults and vars of a role that was included with `public: true`."""
        self._exported.append(role)
        self.version += 1

    def forget_facts(self) -> None:
        """Forget all facts, as `meta: clear_facts` does."""
        self.facts.clear()
        self._fact_names = {}
        self.version += 1

    def outdate(self) -> None:
        """What was worked out with these variables no longer holds: those of the play have changed."""
        self.version += 1

    def begin_play(self) -> None:
        """Forget what counts for one play only."""
        if self._exported:
            self._exported.clear()
            self.version += 1

    def scope(self, play: Play | None, task: Task | None, local: Layer = _NOTHING) -> Scope:
        """Return all variables that a task of a play sees; `local` ones (a loop's item) win over everything.

        From strongest to weakest: local, magic, extra vars, include params, role params, set_fact and registered,
        include_vars, task and block vars, role vars, vars of the play's roles, vars_files, play vars, facts, inventory,
        role defaults.
        """
        if play is None and task is None and not local:
            if self._alone is None or self._alone[0] != self.version:
                self._alone = (self.version, self._scope(None, None, local))
            return self._alone[1]
        return self._scope(play, task, local)

    def _scope(self, play: Play | None, task: Task | None, local: Layer) -> Scope:
        fleet, common = self._fleet, _common(play, task, tuple(self._exported))
        layers = (
            *((local,) if local else ()),
            *common.names,
            fleet.shared,
            self._magic,
            fleet.magic,
            fleet.extra,
            *common.params,
            self.registered,
            self.included,
            *common.vars,
            *(self._of_vars_files(play) if play else ()),
            *common.play_vars,
            self.facts,
            self._inventory,
            *common.defaults,
        )
        return Scope(layers, fleet.templates)

    def _of_vars_files(self, play: Play) -> tuple[Layer, ...]:
        """Contents of the play's vars_files, whose names may hold this host's variables."""
        if not play.vars_files:
            return ()
        if self._vars_files[:2] != (id(play), self.version):
            fleet = self._fleet
            base: tuple[Layer, ...] = (self._magic, fleet.magic, _of_play(play), fleet.extra)
            layers: tuple[Layer, ...] = ()
            for entry in play.vars_files:
                scope = Scope((*base, *layers, play.vars, self.facts, self._inventory), fleet.templates)
                try:
                    layers = (*fleet.vars_files.read(fleet.templates.render(entry, scope), play.folder, entry), *layers)
                except UndefinedVariable:
                    if self.facts:
                        raise  # nothing more will be learnt that could tell the name
            self._vars_files = (id(play), self.version, layers)
        return self._vars_files[2]


class _Common(Struct, frozen=True):
    """The layers that a task sees alike on every host; between them come those that each host has of its own."""

    names: tuple[Layer, ...]  # magic variables of the task and the play
    params: tuple[Layer, ...]
    vars: tuple[Layer, ...]
    play_vars: tuple[Layer, ...]
    defaults: tuple[Layer, ...]


@lru_cache(maxsize=4096)
def _common(play: Play | None, task: Task | None, exported: tuple[Role, ...]) -> _Common:
    role = task.role if task else None
    roles = [*reversed(exported), *reversed(play.roles if play else ())]
    return _Common(
        names=_filled(_of_task(task) if task else {}, _of_play(play) if play else {}),
        params=_filled(task.include_params if task else {}, *(_params(role) if role else ())),
        vars=_filled(
            task.vars if task else {},
            *(_vars(role) if role else ()),
            *(layer for each in roles for layer in _exports(each)),
        ),
        play_vars=_filled(play.vars if play else {}),
        defaults=_filled(*(_defaults(role) if role else ()), *(layer for each in roles for layer in _defaults(each))),
    )


def _filled(*layers: Layer) -> tuple[Layer, ...]:
    """Leave out layers in which nothing can be found."""
    return tuple(layer for layer in layers if layer)


@lru_cache(maxsize=256)
def _of_play(play: Play) -> Layer:
    """Magic variables of a play."""
    roles = [role.name for role in play.roles]
    dependencies = [each.name for role in play.roles for each in _all_dependencies(role)]
    return {
        "ansible_play_name": play.name,
        "playbook_dir": str(play.folder.absolute()),
        "role_names": [*roles],
        "ansible_play_role_names": [*roles],
        "ansible_dependent_role_names": [*dict.fromkeys(dependencies)],
        "ansible_role_names": [*dict.fromkeys(dependencies + roles)],
    }


@lru_cache(maxsize=4096)
def _of_task(task: Task) -> Layer:
    """Magic variables of a task."""
    magic: dict[str, Value] = {"ansible_search_path": [str(folder) for folder in task.search]}
    if task.role:
        magic |= {
            "role_name": task.role.name,
            "ansible_role_name": task.role.name,
            "role_path": str(task.role.path),
        }
    return magic


def _all_dependencies(role: Role) -> Iterator[Role]:
    for dependency in role.dependencies:
        yield from _all_dependencies(dependency)
        yield dependency


def _params(role: Role) -> list[Layer]:
    return [role.params, *(parent.params for parent in reversed(role.parents))]


def _exports(role: Role) -> list[Layer]:
    """Role vars that everything after the role in its play sees."""
    inherited = [parent.vars for parent in reversed(role.parents)]
    return [
        role.vars,
        *(layer for each in reversed([*_all_dependencies(role)]) for layer in _exports(each)),
        *inherited,
    ]


def _vars(role: Role) -> list[Layer]:
    """Role vars that the role's own tasks see."""
    inherited = [layer for parent in reversed(role.parents) for layer in (parent.vars, parent.given)]
    dependencies = [layer for each in reversed([*_all_dependencies(role)]) for layer in _exports(each)]
    return [role.given, role.vars, *dependencies, *inherited]


def _defaults(role: Role) -> list[Layer]:
    dependencies = [layer for each in reversed([*_all_dependencies(role)]) for layer in _defaults(each)]
    return [role.defaults, *(parent.defaults for parent in reversed(role.parents)), *dependencies]
