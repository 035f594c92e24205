"""Who may use an environment, and who may change it: owner, group and mode of a generation's folders.

Of its folders only. Most files are hard links, shared with the package cache and with other environments: their owner
and mode are all of theirs. The folders decide alone who can reach a file, and who can add, replace or remove one.
"""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from .report import Failure

_ITS_OWNER_S = 0o700


@dataclass(frozen=True)
class Access:
    """What folders get; -1 and None: as they are made."""

    owner: int
    group: int
    mode: int | None


def known(owner: str, group: str, mode: str) -> Access:
    """Look up what a spec asks for, before anything is built.

    Args:
        owner: An account of this host, or empty.
        group: A group of this host, or empty.
        mode: Octal, such as `0750`, or empty.

    Raises:
        Failure: this host does not know them, or only root could do that.
    """
    try:
        owner_number = pwd.getpwnam(owner).pw_uid if owner else -1
    except KeyError:
        raise Failure(f"the environment is to belong to '{owner}': this host has no such user") from None
    try:
        group_number = grp.getgrnam(group).gr_gid if group else -1
    except KeyError:
        raise Failure(f"the environment is to belong to the group '{group}': this host has no such group") from None
    bits = int(mode, 8) if mode else None
    if bits is not None and bits & _ITS_OWNER_S != _ITS_OWNER_S:
        raise Failure(f"with mode {mode} the environment's owner could not keep it: it must have 7 for the owner")
    me = os.geteuid()
    if me and owner_number not in (-1, me):
        raise Failure(f"only root can give the environment to '{owner}': use become")
    if me and group_number not in (-1, os.getegid(), *os.getgroups()):
        raise Failure(f"only root, or a member, can give the environment to the group '{group}': use become")
    return Access(owner_number, group_number, bits)


def give(generation: Path, access: Access) -> None:
    """Give all folders of a generation their owner, group and mode."""
    if access == Access(-1, -1, None):
        return
    for folder, _, _ in os.walk(generation, topdown=False):
        os.chown(folder, access.owner, access.group)
        if access.mode is not None:
            os.chmod(folder, access.mode)  # noqa: PTH101  # thousands of folders; after chown, which takes bits away
