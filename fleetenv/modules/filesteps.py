"""The steps that make a file, folder or link on a host as it should be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fleetenv.errors import TaskFailed
from fleetenv.modules.filestate import FileState
from fleetenv.modules.hostpath import quoted
from fleetenv.remote import Run, Send, Step, sh
from fleetenv.state import UNSET, Content, Diff, compare


def mend(path: str, diff: Diff[FileState], content: bytes | Path | None = None) -> Iterator[Step]:
    """Yield the steps that make a file or directory as wanted ([`link`][] is for links).

    Args:
        path: Where, as the task says it.
        diff: From [`wished`][] and what [`look_up`][] found.
        content: What to write when the content differs; None: the wanted content's own `data`.
    """
    wanted, found = diff.wanted, diff.found
    if wanted is None:
        yield remove(path)
        return
    if wanted.kind == "directory" and (found is None or found.kind != "directory"):
        yield Run(_make_directory(path, wanted))
        return
    if found is None or diff.touches("kind", "content"):
        data = content if content is not None else b""
        if content is None and isinstance(wanted.content, Content):
            data = wanted.content.data or b""
        yield send(path, data, wanted, found)
        return
    if commands := attributes(quoted(path), diff):
        yield Run(" && ".join(commands))


def send(path: str, data: bytes | Path, wanted: FileState, found: FileState | None, at: str | None = None) -> Send:
    """Return the step that writes a file, under the name `at` if that is given.

    What the task does not say of mode and owner stays as in the file found, unless that is but what a link leads to
    that is now replaced.
    """
    followed = found is not None and isinstance(found.target, str)
    kept = found if found is not None and found.kind == "file" and (not followed or found.real == path) else None

    def either(field: str, number: str) -> str | None:
        for state in (wanted, kept):
            for value in (getattr(state, field, UNSET), getattr(state, number, UNSET)):
                if value is not UNSET:
                    return str(value)
        return None

    owner, group = either("owner", "uid"), either("group", "gid")
    mode = wanted.mode if isinstance(wanted.mode, str) else kept.mode if kept else None
    return Send(data, at or path, int(mode, 8) if isinstance(mode, str) else None, owner, group)


def attributes(word: str, diff: Diff[FileState]) -> list[str]:
    """Return the commands that mend owner, group and mode of a file; `word` is its path, quoted.

    The owner comes first: changing it clears set-id bits, so the mode is then set again.
    """
    commands = []
    if owner := ownership(diff):
        commands.append(f"chown {sh(owner)} -- {word}")
    wanted = diff.wanted
    if wanted is not None and isinstance(wanted.mode, str) and (commands or diff.touches("mode")):
        commands.append(f"chmod 0{wanted.mode} -- {word}")  # with five digits set-id bits of directories are cleared
    return commands


def ownership(diff: Diff[FileState]) -> str:
    """Return what differs of owner and group, as chown takes it; empty when neither does."""
    parts = []
    for field, number in (("owner", "uid"), ("group", "gid")):
        values = [getattr(diff.wanted, each, UNSET) for each in (field, number) if diff.touches(each)]
        parts.append(next((str(value) for value in values if value is not UNSET), ""))
    return f"{parts[0]}:{parts[1]}" if parts[1] else parts[0]


def remove(path: str) -> Run:
    """Return the step that removes whatever is at a path; of a link, the link alone.

    Raises:
        TaskFailed: the path is the root folder, or a home folder as a whole.
    """
    if not path.strip("/.") or path.rstrip("/") == "~":
        raise TaskFailed(f"{path} as a whole is never removed")
    return Run(f"rm -rf -- {quoted(path.rstrip('/'))}")


def link(path: str, target: str) -> Run:
    """Return the step that makes `path` a symbolic link, replacing at once a file or link that is there."""
    beside = quoted(f"{path.rstrip('/')}.fleetenv-link")
    return Run(f"ln -sfn -- {sh(target)} {beside} && mv -fT -- {beside} {quoted(path.rstrip('/'))}")


def _make_directory(path: str, wanted: FileState) -> str:
    """Every folder that is made on the way gets the wanted mode and owner, as Ansible does."""
    commands = attributes('"$1"', compare(wanted, FileState()))
    if not commands:
        return f"mkdir -p -- {quoted(path)}"
    return (
        'fe_make() { [ -d "$1" ] && return; case $1 in */*/*|[!/]*/*) fe_make "${1%/*}" || return;; esac; '
        f'mkdir -- "$1" && {" && ".join(commands)}; }}; fe_make {quoted(path.rstrip("/"))}'
    )
