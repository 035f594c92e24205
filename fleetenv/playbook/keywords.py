"""The keywords of plays, blocks, tasks and roles: those that are supported, and those that are known and refused."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from fleetenv.errors import InputError, nearest
from fleetenv.source import SourceMap

INHERITED = frozenset(
    {
        "any_errors_fatal",
        "become",
        "become_method",
        "become_user",
        "check_mode",
        "delegate_to",
        "diff",
        "ignore_errors",
        "ignore_unreachable",
        "no_log",
        "notify",
        "run_once",
        "timeout",
    }
)
"""What a block, role or import says for its tasks, unless they say otherwise."""

GATHERED = frozenset({"environment", "tags", "vars", "when"})
"""What a block, role or import says in addition to what its tasks say."""

BLOCK = INHERITED | GATHERED | {"always", "block", "name", "rescue"}

TASK = (
    INHERITED
    | GATHERED
    | {
        "action",
        "args",
        "changed_when",
        "delay",
        "failed_when",
        "local_action",
        "loop",
        "loop_control",
        "name",
        "register",
        "retries",
        "until",
    }
)

HANDLER = TASK | {"listen"}

PLAY = INHERITED - {"delegate_to", "notify"} | {
    "connection",
    "environment",
    "gather_facts",
    "handlers",
    "hosts",
    "max_fail_percentage",
    "name",
    "order",
    "port",
    "post_tasks",
    "pre_tasks",
    "remote_user",
    "roles",
    "serial",
    "strategy",
    "tags",
    "tasks",
    "user",
    "vars",
    "vars_files",
}

IMPORTED_PLAYBOOK = frozenset({"import_playbook", "ansible.builtin.import_playbook", "name", "tags", "vars", "when"})

ROLE = INHERITED | GATHERED | {"name", "role"}
"""Any other key of an entry of `roles:` is a parameter of the role."""

LOOP_CONTROL = frozenset({"extended", "extended_allitems", "index_var", "label", "loop_var", "pause"})

_NOT_YET_ANYWHERE = frozenset(
    {
        "become_exe",
        "become_flags",
        "collections",
        "connection",
        "debugger",
        "module_defaults",
        "port",
        "remote_user",
        "throttle",
    }
)
NOT_YET: Mapping[str, frozenset[str]] = {
    "play": frozenset({"fact_path", "force_handlers", "gather_subset", "gather_timeout", "vars_prompt"})
    | _NOT_YET_ANYWHERE,
    "block": frozenset({"delegate_facts"}) | _NOT_YET_ANYWHERE,
    "task": frozenset({"async", "delegate_facts", "poll"}) | _NOT_YET_ANYWHERE,
    "handler": frozenset({"async", "delegate_facts", "poll"}) | _NOT_YET_ANYWHERE,
    "role": frozenset({"delegate_facts"}) | _NOT_YET_ANYWHERE,
    "loop_control": frozenset({"break_when"}),
}
"""Ansible's keywords that are not here yet, by where they may stand."""


def refuse_unsupported(kind: str, written: SourceMap, supported: Collection[str]) -> None:
    """Refuse keywords that Ansible knows and that are not supported yet, by name."""
    for key in written:
        if key in NOT_YET[kind] and key not in supported:
            raise InputError(f"the {kind} keyword '{key}' is not supported yet", location=written.keys_at[key])


def check(kind: str, written: SourceMap, supported: Collection[str]) -> None:
    """Refuse every key that is not a keyword here.

    Raises:
        InputError: the first such key, with the nearest right one.
    """
    refuse_unsupported(kind, written, supported)
    for key in written:
        if key not in supported:
            raise InputError(
                f"'{key}' is not a keyword of a {kind}", location=written.keys_at[key], hint=nearest(key, supported)
            )
