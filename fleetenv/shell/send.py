"""How a file gets onto a host: sh text only, pure.

Always beside its target, in a file that only its writer may read, until it is whole; then given its owner and mode;
then renamed. The host needs GNU coreutils; openssl, where it is there, hashes a file four times as fast as those.
"""

from __future__ import annotations

import hashlib
import posixpath
import secrets
from itertools import pairwise

from msgspec import Struct

from fleetenv.errors import InputError
from fleetenv.remote import Completed, Send, sh
from fleetenv.shell.message import FilePart, Item

_PATIENCE = 60  # seconds in which another shell has read a large file


def in_message(step: Send, content: bytes) -> Item:
    """Return the item that puts bytes on the host."""
    folder, name = _split(step.path)
    beside = posixpath.join(folder, f".{name}.fleetenv-{secrets.token_hex(8)}")
    take = f'(umask 077;set -C;cat >"$t")&&{_has_size(len(content))}'
    return Item(_names(step.path, beside) + _whole(take, step), content)


def survey(step: Send, digest: str, host: str) -> Item:
    """Return the item that asks what the host has of a file already, and what room there is for more.

    Args:
        step: What is sent.
        digest: The file's sha256.
        host: The host's name: hosts that share a disk must not write into one another's file.
    """
    folder, _ = _split(step.path)
    return Item(
        _names(step.path, _partial(step, digest, host))
        + 'if [ -f "$t" ]&&[ ! -L "$t" ]&&[ -O "$t" ];then wc -c <"$t"&&'
        + f"{_sha256('t')};"
        + f'else rm -f "$t"&&echo 0&&echo;fi&&df -Pk {_word(folder)}'
    )


class Survey(Struct, frozen=True):
    """What a host has of a file already."""

    size: int  # bytes of an earlier, cut transfer
    sha256: str  # of those
    room: int | None  # bytes that are free; None: it did not say


def read_survey(answer: Completed) -> Survey:
    """Parse the answer to [`survey`][]; what is not understood counts as nothing there."""
    lines = answer.text.splitlines()
    fields = lines[-1].split() if len(lines) > 3 else []
    # POSIX: file system, 1024-blocks, used, available, capacity in per cent, mount point
    available = next((before for before, after in pairwise(fields) if after.endswith("%")), "")
    room = int(available) * 1024 if available.isdigit() else None
    if len(lines) < 2 or not lines[0].strip().isdigit():
        return Survey(0, "", room)
    return Survey(int(lines[0]), lines[1].split(" ")[0], room)


def stream(step: Send, digest: str, host: str, part: FilePart) -> Item:
    """Return the item that takes the rest of a file, checks the whole, and puts it in its place.

    What a cut connection leaves stays, to be resumed; what does not fit on the disk is removed. The shell of a run that
    was killed may have all of the file, too: while it checks that, it is waited for, where the host has flock(1). If it
    has put the file in its place by then, it is taken from there.
    """
    partial = _partial(step, digest, host)
    take = 'cat >>"$t"' if part.start else 'rm -f "$t";(umask 077;set -C;cat >"$t")'
    whole = (
        f'{_has_size(part.end)}||{{ {_has_sha256("p", digest)}&&mv -fT "$p" "$t";}} 2>/dev/null||exit 75\n'
        f"{_has_sha256('t', digest)}"
        f"||{{ rm -f \"$t\";echo 'what arrived is not what was sent' >&2;exit 1;}}\n"
    )
    taken = f'{{ {take};}}||{{ s=$?;rm -f "$t";exit $s;}}\n'
    alone = f'exec 9>>"$t"\nflock -w {_PATIENCE} 9 2>/dev/null\n'
    return Item(_names(step.path, partial) + taken + alone + whole + _whole(None, step), part)


def no_room(step: Send, digest: str, host: str, room: int) -> Item:
    """Return the item that removes what the host has of a file, and fails for want of room."""
    folder, name = _split(step.path)
    said = f"No space left on device: {name} does not fit into {folder}, where {room // 2**20} MiB are free"
    return Item(_names(step.path, _partial(step, digest, host)) + f'rm -f "$t"\necho {sh(said)} >&2\nexit 1')


def _split(path: str) -> tuple[str, str]:
    folder, name = posixpath.split(path)
    if not name or name in (".", "..") or "\0" in path:
        raise InputError(f"'{path}' cannot be the path of a file on a host")
    return folder or ".", name


def _partial(step: Send, digest: str, host: str) -> str:
    folder, name = _split(step.path)
    transfer = hashlib.sha256(f"{digest} {host}".encode()).hexdigest()
    return posixpath.join(folder, f".{name}.fleetenv-{transfer[:24]}")


def _names(path: str, beside: str) -> str:
    return "".join(f"{variable}={_word(text)}\n" for variable, text in (("p", path), ("t", beside)))


def _word(path: str) -> str:
    """Quote a path; a leading `~/` is the home folder of whoever the step runs as."""
    if path == "~" or path.startswith("~/"):
        return f'"$HOME"{sh(path[1:]) if path[1:] else ""}'
    # a leading './' keeps a relative path that starts with '-' from being an option
    return sh(path if path.startswith("/") else f"./{path}")


def _has_size(size: int) -> str:
    """Return the test whether a file is whole: what a connection that is cut leaves looks like its end."""
    return f'[ "$(wc -c <"$t")" -eq {size} ]'


def _sha256(variable: str) -> str:
    """Return what prints the hash of the file that a variable names, then a blank and more."""
    return f'{{ openssl dgst -sha256 -r <"${variable}" 2>/dev/null||sha256sum <"${variable}";}}'


def _has_sha256(variable: str, digest: str) -> str:
    """Return the test whether a file is the right one."""
    return f'case "$({_sha256(variable)})" in {sh(digest)}" "*);;*)false;;esac'


def _whole(first: str | None, step: Send) -> str:
    """Return text that does `first`, gives the file owner and mode, renames it; or removes it if any of that fails."""
    does = [first] if first else []
    keeps = 'cp --attributes-only --preserve=mode,ownership "$p" "$t"'
    fresh = 'chmod =rw,go-w "$t"' if step.mode is None else ":"
    if step.mode is None or step.owner is None or step.group is None:
        does.append(f'if [ -f "$p" ]&&[ ! -L "$p" ];then {keeps};else {fresh};fi')
    if step.owner is not None or step.group is not None:
        whom = (step.owner or "") + (f":{step.group}" if step.group is not None else "")
        does.append(f'{sh("chown", "--", whom)} "$t"')
    if step.mode is not None:
        does.append(f'{sh("chmod", f"{step.mode:04o}")} "$t"')
    does.append('mv -fT "$t" "$p"')
    return "{ " + "&&".join(does) + ';}||{ s=$?;rm -f "$t";exit $s;}'
