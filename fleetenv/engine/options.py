"""What the command line says about a run as a whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct, field

from fleetenv.source import Value


class Options(Struct, frozen=True):
    """How a playbook is to be run. Times are in seconds."""

    check_mode: bool = False
    survey: bool = False  # with check_mode: a state that cannot be brought about does not end the look at its host
    diff: bool = False
    forks: int = 64
    limit: str | None = None
    tags: frozenset[str] = frozenset({"all"})
    skip_tags: frozenset[str] = frozenset()
    extra_vars: Mapping[str, Value] = field(default_factory=dict)
    task_timeout: float | None = None
    verbosity: int = 0
    relock: bool = False  # solve specs whose lock is missing or stale, instead of refusing
    seal: Callable[[bytes], str] | None = None  # makes seals of what each task comes to, for plans
    folder: Path = field(default_factory=Path.cwd)

    def magic_variables(self) -> dict[str, Value]:
        """Return what tasks see of these, under Ansible's names."""
        return {
            "ansible_check_mode": self.check_mode,
            "ansible_diff_mode": self.diff,
            "ansible_forks": self.forks,
            "ansible_limit": self.limit or "",
            "ansible_run_tags": [*sorted(self.tags)],
            "ansible_skip_tags": [*sorted(self.skip_tags)],
            "ansible_verbosity": self.verbosity,
        }
