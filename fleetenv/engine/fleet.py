"""Runs plays: chooses hosts, checks everything that can be checked, then lets the hosts walk side by side."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct, field

from fleetenv.engine.batch import Batch, Reach
from fleetenv.engine.check import check_arguments, check_flags, check_notified
from fleetenv.engine.coming import Coming
from fleetenv.engine.controller import Memory
from fleetenv.engine.dialogue import Account, Asked, Dialogue
from fleetenv.engine.fault import internal_error
from fleetenv.engine.forks import Forks
from fleetenv.engine.lookahead import every_task
from fleetenv.engine.options import Options
from fleetenv.engine.order import as_number, batches, ordered
from fleetenv.engine.plan import Planner
from fleetenv.engine.prepared import Shared
from fleetenv.engine.walk import Walk
from fleetenv.errors import HostError, InputError, Location, TaskFailed, Unreachable
from fleetenv.events import Event, HostAnswered, HostBegun, HostEnded, PlayStarted, RunFinished, RunStarted, Warned
from fleetenv.inventory import Inventory
from fleetenv.modules import registry
from fleetenv.playbook import FleetVariables, Playbook, Templates
from fleetenv.playbook.model import Entry, Play, Task
from fleetenv.playbook.reading import ABSENT, RawVariables
from fleetenv.remote import Probe
from fleetenv.shell import Connect, Connection, Defaults, Settings
from fleetenv.shell.remote_shell import StepTimeout
from fleetenv.shell.settings import VARIABLES
from fleetenv.source import SourceMap, Value

Inquire: TypeAlias = Callable[[str, Mapping[str, Value]], Sequence[Probe[object]]]
"""Given a host and its variables, what it is to be asked when all its plays have ended."""


_PATIENCE = 600.0  # seconds for these answers, if no limit is given: a disk that hangs must not hang the run

_CONNECTION_VARIABLES = sorted(VARIABLES)  # in an order, so that of two mistakes always the same is told


class Stage(Struct, frozen=True):
    """A play with its hosts chosen; once prepared, with what each of them needs to walk through it."""

    play: Play
    hosts: tuple[str, ...]
    entries: tuple[Entry, ...]
    batches: tuple[tuple[str, ...], ...]
    planners: dict[str, Planner] = field(default_factory=dict)


class Fleet:
    """Carries one playbook to the hosts of an inventory. Made, prepared and run once."""

    def __init__(
        self,
        playbook: Path,
        inventory: Inventory,
        options: Options,
        defaults: Defaults,
        connect: Connect,
        emit: Callable[[Event], None],
        inquire: Inquire | None = None,
    ) -> None:
        self.stages: list[Stage] = []
        self._path = playbook
        self._inventory = inventory
        self._options = options
        self._defaults = defaults
        self._connect = connect
        self._emit = emit
        self._inquire = inquire
        self._templates = Templates()
        self._variables = FleetVariables(
            inventory, self._templates, extra=options.extra_vars, magic=options.magic_variables()
        )
        self._playbook = Playbook(
            playbook,
            modules={name: registry.free_form(name) for name in registry.MODULES},
            extra_vars=options.extra_vars,
            templates=self._templates,
        )
        self._shared = Shared(self._templates, Memory(lambda text: emit(Warned(text))))
        self._dialogues: dict[str, Dialogue] = {}
        self._delegates: dict[str, Settings] = {}
        self._forks = Forks(options.forks, self._dialogues)
        self._last: dict[str, Stage] = {}  # each host's last play
        self._asked: set[str] = set()
        self._gone: set[str] = set()  # hosts that failed or cannot be reached: later plays go on without them

    def choose(self) -> None:
        """Choose the hosts and tasks of every play, and check all tasks as they are written.

        Raises:
            InputError: the playbook or the inventory is wrong.
        """
        self.stages = [self._stage(play) for play in self._playbook.plays]
        self._last = {host: stage for stage in self.stages for host in stage.hosts}

    def prepare(self) -> None:
        """Choose, and then plan every task for every host: no mistake that can be found now is left for later.

        Raises:
            InputError: the playbook, the inventory, or what they name is wrong.
        """
        self.choose()
        coming = Coming()
        for stage in self.stages:
            tasks = [*every_task(stage.entries), *stage.play.handlers]
            coming |= Coming.of(tasks)
            self._variables.set_hosts(every=[*stage.hosts], left=[*stage.hosts], batch=[*stage.hosts])
            stage.planners.update((host, self._planner(host, stage.play)) for host in stage.hosts)
            for planner in stage.planners.values():
                planner.check(tasks, coming)

    def written(self, name: str) -> Mapping[str, list[object]]:
        """Return for each host all that is written under the name of a variable, unrendered, whoever would win."""
        found: dict[str, list[object]] = {}
        for stage in self.stages:
            for host in stage.hosts:
                layers = [*self._variables.of(host).scope(stage.play, None).layers, *self._inventory.levels(host)]
                values = [layer[name] for layer in layers if name in layer]
                known = found.setdefault(host, [])
                known += [value for value in values if not any(value is each for each in known)]
        return found

    def select(self, pattern: str) -> list[str]:
        """Return the names of the hosts that a pattern means.

        Raises:
            InputError: it is no pattern, or names what is neither a host nor a group.
        """
        return [host.name for host in self._inventory.named(pattern)]

    async def run(self) -> None:
        """Run all plays. What happens is told to `emit`; nothing that happens on a host raises."""
        begun = time.monotonic()
        hosts = dict.fromkeys(host for stage in self.stages for batch in stage.batches for host in batch)
        groups = {host: self._inventory.groups_of(host) for host in hosts}
        self._emit(RunStarted(str(self._path), tuple(hosts), self._options.check_mode, groups))
        if not hosts:  # most likely a name that is written otherwise; a nightly run would never tell
            patterns = ", ".join(dict.fromkeys(str(stage.play.hosts) for stage in self.stages))
            self._emit(Warned(f"no host is meant: nothing of the inventory matches {patterns}"))
        interrupted = True
        try:
            for stage in self.stages:
                if not await self._play(stage):
                    break
            await self._ask_rest(hosts)
            interrupted = False
        finally:
            trips = {host: dialogue.round_trips for host, dialogue in self._dialogues.items()}
            await asyncio.gather(*(dialogue.close() for dialogue in self._dialogues.values()), return_exceptions=True)
            self._emit(RunFinished(time.monotonic() - begun, trips, interrupted))

    # Preparing

    def _stage(self, play: Play) -> Stage:
        written = self._templates.render(play.hosts, self._options.extra_vars)
        pattern = [str(each) for each in written] if isinstance(written, list) else str(written)
        hosts = ordered([host.name for host in self._inventory.select(pattern, limit=self._options.limit)], play.order)
        entries = self._playbook.selected(play, self._options.tags, self._options.skip_tags)
        if entries and self._gathers_facts(play):
            entries = (_gather(play), *entries)
        tasks = [*every_task(entries), *play.handlers]
        for task in (*tasks, *self._playbook.foreseen(play)):
            check_flags(task, self._templates)
            check_arguments(task)
            check_notified(task, play)
        sizes = [self._templates.render(each, {}) for each in play.serial]
        return Stage(play, tuple(hosts), tuple(entries), batches(hosts, sizes, play))

    def _planner(self, host: str, play: Play) -> Planner:
        variables = self._variables.of(host)
        scope = variables.scope(play, None)
        said = {"ansible_connection": play.connection, "ansible_user": play.remote_user, "ansible_port": play.port}
        keywords = {name: self._templates.render(value, scope) for name, value in said.items() if value is not None}
        settings = Settings.from_variables(host, _connection_variables(scope, keywords), self._defaults)
        if host not in self._dialogues:
            self._dialogues[host] = Dialogue(partial(self._open, host, settings))

        def settings_of(name: str) -> Settings:
            return settings if name == host else self._settings_of(name)

        return Planner(host, play, variables, self._shared, self._options, settings_of)

    def _gathers_facts(self, play: Play) -> bool:
        wanted = self._templates.render(play.gather_facts, self._options.extra_vars)
        return wanted is None or bool(wanted)

    # Running

    async def _play(self, stage: Stage) -> bool:
        """Let a play's hosts walk, batch by batch; return whether further plays may begin."""
        for host in stage.hosts:
            self._variables.of(host).begin_play()
        for number, hosts in enumerate(stage.batches):
            present = [host for host in hosts if host not in self._gone]
            if not present:
                continue
            if number == 0 or len(stage.batches) > 1:
                self._emit(PlayStarted(stage.play.name, tuple(present)))
            left = [host for every in stage.batches for host in every if host not in self._gone]
            self._variables.set_hosts(every=[*stage.hosts], left=left, batch=present)
            batch = self._batch(stage, present)
            async with asyncio.TaskGroup() as group:
                for host in present:
                    group.create_task(self._walk(stage, batch, host))
            self._gone |= batch.lost
            if batch.aborted is Reach.RUN or len(batch.lost) == len(present):
                return False
            if batch.aborted is Reach.PLAY:
                break
        return True

    async def _walk(self, stage: Stage, batch: Batch, host: str) -> None:
        async with self._forks.turn(host):
            dialogue = self._dialogues[host]
            dialogue.forget()  # what other plays, and hosts that share files with this one, have done meanwhile
            self._emit(HostBegun(host))
            await Walk(stage.planners[host], dialogue, batch, self._options, self._emit).run(stage.entries)
            self._emit(HostEnded(host, early=host in batch.lost))
            if host in batch.lost or self._last[host] is stage:
                await self._ask(host)

    async def _ask_rest(self, hosts: Iterable[str]) -> None:
        """Ask the hosts whose plays were ended for them."""

        async def ask(host: str) -> None:
            async with self._forks.turn(host):
                await self._ask(host)

        async with asyncio.TaskGroup() as group:
            for host in hosts:
                if self._inquire is not None and host not in self._asked:
                    group.create_task(ask(host))

    async def _ask(self, host: str) -> None:
        """Ask a host, in one message, what is to be known beside the plays; what a task has been told holds here, too.

        A host on which a task has failed is asked as well.
        """
        if self._inquire is None:
            return
        self._asked.add(host)
        dialogue, account = self._dialogues[host], self._account(host)
        questions = self._inquire(host, self._variables.of(host).scope(None, None))
        asked = [Asked(account, question) for question in questions]
        answers: list[object] = []
        for each in asked:
            try:
                patience = self._options.task_timeout or _PATIENCE
                answers.append(await dialogue.answer(each, early=lambda: asked, timeout=patience))
            except (Unreachable, StepTimeout) as error:
                answers += [error] * (len(asked) - len(answers))
                break
            except HostError as error:
                answers.append(error)
            except Exception as error:  # as in a walk: a fault of fleetenv's own must not cost the other hosts
                answers.append(TaskFailed(internal_error(host, error)))
        if asked:
            self._emit(HostAnswered(host, tuple(answers)))

    def _account(self, host: str) -> Account:
        """Return under which account plays look at a host: of the first that becomes somebody, if any does."""
        accounts = []
        for stage in self.stages:
            if planner := stage.planners.get(host):
                with suppress(InputError):  # it needs what only the play's own tasks tell
                    accounts.append(planner.items(_gather(stage.play))[0].account)
        return next((each for each in accounts if each.become), accounts[0] if accounts else Account())

    async def _open(self, host: str, settings: Settings) -> Connection:
        connection = await self._connect(settings)
        self._forks.note_open(host)
        return connection

    def _batch(self, stage: Stage, hosts: Sequence[str]) -> Batch:
        percentage = self._templates.render(stage.play.max_fail_percentage, self._options.extra_vars)
        limit = None if percentage is None else as_number(percentage, "max_fail_percentage", stage.play)
        return Batch(
            stage.play,
            hosts,
            limit,
            self._dialogue,
            partial(self._playbook.include, only=self._options.tags, skip=self._options.skip_tags),
            self._forks,
        )

    def _dialogue(self, host: str) -> Dialogue:
        """Return the dialogue with a host that a task is delegated to: in the play, the inventory, or neither."""
        if host not in self._dialogues:
            self._dialogues[host] = Dialogue(partial(self._open, host, self._settings_of(host)))
        return self._dialogues[host]

    def _settings_of(self, host: str) -> Settings:
        """Return how to reach a host that a task is delegated to, by its own variables alone."""
        if host not in self._delegates:
            variables = self._variables.of(host).scope(None, None)
            self._delegates[host] = Settings.from_variables(host, _connection_variables(variables, {}), self._defaults)
        return self._delegates[host]


def _connection_variables(scope: RawVariables, keywords: Mapping[str, Value]) -> SourceMap:
    """Return what says how to reach a host: the play's keywords, and the host's variables, which win."""
    known = SourceMap(Location("", 1, 1))
    known.update(keywords)
    for name in _CONNECTION_VARIABLES:
        if (raw := scope.look(name)) is not ABSENT:
            known[name] = scope[name]
            written = getattr(raw, "location", None)
            if isinstance(written, Location):
                known.values_at[name] = written
    return known


def _gather(play: Play) -> Task:
    return Task(
        "setup",
        None,
        play.location,
        name="Gathering Facts",
        tags=frozenset({"always"}),
        become=play.become,
        become_user=play.become_user,
        become_method=play.become_method,
        environment=play.environment,
    )
