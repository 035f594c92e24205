"""What is known of a run before it starts."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Kind(StrEnum):
    """What a run was for."""

    APPLY = "apply"
    CHECK = "check"  # apply --check
    DRIFT = "drift"
    PLAN = "plan"


class Origin(Struct, frozen=True):
    """A file of the user's, and the git commit that was checked out around it; `dirty`: with changes on top.

    `path` is as the user wrote it. `place` is the same in every clone: `REPOSITORY/playbooks/site.yml`
    where it is in git, else the absolute path.
    """

    path: str
    place: str = ""
    commit: str | None = None  # None: not in a git repository
    dirty: bool | None = None  # None: not known


class Errand(Struct, frozen=True, kw_only=True):
    """What is known of a run before it starts."""

    kind: Kind
    playbook: Origin
    inventory: tuple[Origin, ...] = ()
    command: tuple[str, ...] = ()  # the words of the command line, the values of `-e` left out
    limit: str | None = None
    tags: tuple[str, ...] = ()  # empty: all
    skip_tags: tuple[str, ...] = ()
    only: tuple[str, ...] = ()  # what drift compared with; empty: with everything
    user: str = ""
    controller: str = ""  # host name of the machine that it ran on
    version: str = ""  # fleetenv's

    @property
    def is_whole(self) -> bool:
        """Whether it looks for all findings, so that one that it does not have is gone."""
        return self.kind is Kind.DRIFT and not (self.tags or self.skip_tags or self.only)
