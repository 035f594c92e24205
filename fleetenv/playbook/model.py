"""Plays, tasks and blocks as read from YAML: checked for form, nothing rendered yet.

What a play or block says for its tasks (`become`, `when`, `tags`, `environment`, `vars`, ...) is already written into
each task by the reader, so that the engine looks at one task and nothing above it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct, field

from fleetenv.errors import Location
from fleetenv.source import Value


class Role(Struct, frozen=True, eq=False):
    """A role as used in one place: its folder, its variables, the parameters that it was given."""

    name: str
    path: Path
    defaults: Mapping[str, Value]
    vars: Mapping[str, Value]
    params: Mapping[str, Value]
    parents: tuple[Role, ...] = ()  # roles whose dependency this is, nearest last: their vars are seen too
    given: Mapping[str, Value] = field(default_factory=dict)  # the `vars:` that it was used with
    dependencies: tuple[Role, ...] = ()  # in the order in which they run
    when: tuple[Value, ...] = ()  # all conditions on it, its parents' too
    use: str = ""  # what Ansible compares to tell whether it has run already; empty: it runs each time


class LoopControl(Struct, frozen=True):
    """`loop_control`."""

    loop_var: str = "item"
    index_var: str | None = None
    label: Value = None
    extended: Value = False
    pause: Value = 0  # seconds between items


class Task(Struct, frozen=True, eq=False):
    """One task, with all that its play, blocks, role and imports say for it.

    Values may still hold templates. `when` is all conditions from the outermost to its own; `environment` likewise,
    later ones win. Keywords that take a yes or no hold a bool or a template; None: nobody said.
    """

    module: str
    arguments: Value  # a mapping, or the free text of a module that takes it; None when there was nothing
    location: Location
    name: Value = None
    args_vars: Value = None  # the `args:` keyword, merged under `arguments`
    when: tuple[Value, ...] = ()
    loop: Value = None
    loop_form: str | None = None  # 'items' for `with_items`, ...; None for `loop`. See `loops.items`
    loop_control: LoopControl = field(default_factory=LoopControl)
    until: Value = None
    retries: Value = None  # None: 3, if there is `until`
    delay: Value = 5
    register: str | None = None
    notify: Value = None
    listen: tuple[str, ...] = ()  # handlers only
    changed_when: tuple[Value, ...] | None = None
    failed_when: tuple[Value, ...] | None = None
    ignore_errors: Value = None
    ignore_unreachable: Value = None
    tags: frozenset[str] = frozenset()
    become: Value = None
    become_user: Value = None
    become_method: Value = None
    environment: tuple[Value, ...] = ()
    no_log: Value = None
    check_mode: Value = None
    diff: Value = None
    delegate_to: Value = None
    run_once: Value = None
    any_errors_fatal: Value = None
    timeout: Value = None  # seconds
    vars: Mapping[str, Value] = field(default_factory=dict)
    include_params: Mapping[str, Value] = field(default_factory=dict)  # vars of the includes that it came by: they win
    role: Role | None = None
    handler: bool = False
    search: tuple[Path, ...] = ()  # folders whose files/, templates/, ... are searched, nearest first


class Block(Struct, frozen=True, eq=False):
    """`block` with its `rescue` and `always`; a block without those two is flattened by the reader."""

    block: tuple[Entry, ...]
    location: Location
    rescue: tuple[Entry, ...] = ()
    always: tuple[Entry, ...] = ()
    name: Value = None


class FlushHandlers(Struct, frozen=True, eq=False):
    """Where notified handlers run: after pre_tasks, after tasks, after post_tasks, and at `meta: flush_handlers`."""

    tags: frozenset[str] | None = None  # of `meta: flush_handlers`; None: it runs whatever tags were asked for


Entry: TypeAlias = Task | Block | FlushHandlers


class Play(Struct, frozen=True, eq=False):
    """One play. `entries` is pre_tasks, roles, tasks and post_tasks in the order in which they run."""

    name: str
    hosts: Value  # a pattern, or a list of patterns
    location: Location
    entries: tuple[Entry, ...]
    handlers: tuple[Task, ...] = ()
    roles: tuple[Role, ...] = ()
    vars: Mapping[str, Value] = field(default_factory=dict)
    vars_files: tuple[Value, ...] = ()
    gather_facts: Value = None
    serial: tuple[Value, ...] = ()
    max_fail_percentage: Value = None
    any_errors_fatal: Value = None
    connection: Value = None
    remote_user: Value = None
    port: Value = None
    become: Value = None
    become_user: Value = None
    become_method: Value = None
    environment: tuple[Value, ...] = ()
    check_mode: Value = None
    diff: Value = None
    no_log: Value = None
    ignore_errors: Value = None
    ignore_unreachable: Value = None
    tags: frozenset[str] = frozenset()
    strategy: str = "free"
    order: str = "inventory"
    folder: Path = field(default_factory=Path)
