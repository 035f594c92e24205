"""Which tasks `--tags` and `--skip-tags` choose."""

from __future__ import annotations

from collections.abc import Iterable, Set

from msgspec.structs import replace

from fleetenv.playbook.model import Block, Entry, FlushHandlers, Role, Task

_UNTAGGED = frozenset({"untagged"})


def is_selected(tags: Set[str], only: Set[str], skip: Set[str]) -> bool:
    """Whether a task with these tags runs, as Ansible decides it.

    Args:
        tags: the task's own tags and those that it inherited.
        only: `--tags`; `all` when nothing was asked for.
        skip: `--skip-tags`.
    """
    own = tags or _UNTAGGED
    if not (
        "always" in own
        or ("all" in only and "never" not in own)
        or own & only
        or ("tagged" in only and own != _UNTAGGED and "never" not in own)
    ):
        return False
    if "all" in skip:
        return "always" in own and "always" not in skip
    return not (own & skip or ("tagged" in skip and own != _UNTAGGED))


def select(
    entries: Iterable[Entry], only: Set[str] = frozenset({"all"}), skip: Set[str] = frozenset()
) -> tuple[Entry, ...]:
    """Return the entries that run: those chosen by tags, a role that would run a second time left out."""
    return _Selection(only, skip).entries(entries)


class _Selection:
    def __init__(self, only: Set[str], skip: Set[str]) -> None:
        self._only = only
        self._skip = skip
        self._ran: dict[str, list[Role]] = {}

    def entries(self, entries: Iterable[Entry]) -> tuple[Entry, ...]:
        chosen: list[Entry] = []
        for entry in entries:
            match entry:
                case Task():
                    if is_selected(entry.tags, self._only, self._skip) and not self._has_run(entry.role):
                        chosen.append(entry)
                case Block():
                    inner = replace(
                        entry,
                        block=self.entries(entry.block),
                        rescue=self.entries(entry.rescue),
                        always=self.entries(entry.always),
                    )
                    if inner.block or inner.always:
                        chosen.append(inner)
                case FlushHandlers():
                    if entry.tags is None or is_selected(entry.tags, self._only, self._skip):
                        chosen.append(entry)
        return tuple(chosen)

    def _has_run(self, role: Role | None) -> bool:
        """Whether the same role runs earlier, at least wherever it would run now."""
        if role is None or not role.use:
            return False
        uses = self._ran.setdefault(role.use, [])
        if any(use is role for use in uses):
            return False
        now = set(map(str, role.when))
        if any(set(map(str, use.when)) <= now for use in uses):
            return True
        uses.append(role)
        return False
