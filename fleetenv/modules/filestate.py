"""What a file on a host is like, asked for many files at once, and the steps that make it as it should be.

All [`look_up`][]s of a play become one question: one `stat` for all paths, one `sha256sum` for those whose content
matters, and the content itself only of files that differ, for unified diffs.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from fleetenv.errors import TaskFailed
from fleetenv.modules.modes import octal
from fleetenv.remote import Completed, Lookup, Run, Send, Step, sh
from fleetenv.source import Value
from fleetenv.state import UNSET, Content, Diff, State, UnsetType, compare

Kind = Literal["file", "directory", "link", "other", "absent", "denied"]

SHOWN = 256 * 1024
"""Bytes up to which a file's content is fetched and kept, to show how it differs."""

MOST_SHOWN = 32
"""Files of which one answer holds the content: with more, a host's answer could become too long."""


class FileState(State, frozen=True, kw_only=True):
    """A file, directory or link. `mode` is four octal digits; `uid` and `gid` are for owners wanted as numbers."""

    kind: Kind | UnsetType = UNSET  # 'denied': the remote user may not look; 'absent': from a folder, see `look_up`
    target: str | UnsetType = UNSET  # of a link; set on what a link leads to, too, when that was asked for
    mode: str | UnsetType = UNSET
    owner: str | UnsetType = UNSET
    uid: int | UnsetType = UNSET
    group: str | UnsetType = UNSET
    gid: int | UnsetType = UNSET
    size: int | UnsetType = UNSET
    content: Content | UnsetType = UNSET
    path: str | UnsetType = UNSET  # as it was looked at: `~` expanded, the name inside a folder appended
    real: str | UnsetType = UNSET  # where a followed link leads


_LOOK = r"""fe_of() {  # a subject: options, the sha256 that is wanted, the path
  w=${1%%:*}; p=${1#*:}; i=
  case $p in '~'|'~/'*) p=$HOME${p#?};; esac
  case $w in i*) if [ -d "${p%//*}" ]; then i=1; p=${p%//*}/${p##*//}; else p=${p%//*}; fi;; esac
}
fe_missing() {  # denied where the nearest folder that can be seen may not be searched
  d=${p%/*}
  while [ -n "$d" ] && ! [ -e "$d" ]; do case $d in */*) d=${d%/*};; *) d=.;; esac; done
  if [ -d "${d:-/}" ] && ! [ -x "${d:-/}" ]; then printf 'denied\0%s\0' "$1"
  elif [ -z "$i" ]; then printf 'absent\0%s\0' "$1"
  else printf 'inside\0%s\0%s\0' "$1" "$p"; fi
}
fe_stat() {
  for s do fe_of "$s"; shift; set -- "$@" "$p"; done
  LC_ALL=C stat --printf 'stat\0%n\0%f\0%U\0%u\0%G\0%g\0%s\0' -- "$@"
}
fe_links() {
  for s do fe_of "$s"; shift; if [ -L "$p" ]; then printf 'link\0%s\0' "$p"; set -- "$@" "$p"; fi; done
  [ $# -eq 0 ] || { printf 'targets\0'; LC_ALL=C readlink -z -- "$@"; }
}
fe_follow() {
  for s do
    fe_of "$s"; shift
    case $w in [fi]*) if [ -L "$p" ] && [ -e "$p" ]; then printf 'follow\0%s\0' "$p"; set -- "$@" "$p"; fi;; esac
  done
  [ $# -eq 0 ] || {
    printf 'real\0'; LC_ALL=C readlink -fz -- "$@"
    LC_ALL=C stat -L --printf 'led\0%n\0%f\0%U\0%u\0%G\0%g\0%s\0' -- "$@"
  }
}
fe_sums() {
  for s do fe_of "$s"; shift; set -- "$@" "$p"; done
  LC_ALL=C sha256sum -- "$@"
}
fe_content() {
  for s do
    fe_of "$s"; shift
    [ -n "${w#?}" ] && [ -f "$p" ] || continue
    if [ -r "$p" ]; then set -- "$@" "$s"; else printf 'unreadable\0%s\0' "$p"; fi
  done
  [ $# -eq 0 ] && return
  sums=$(fe_sums "$@")
  printf 'sums\0%s\0' "$sums"
  c=0 nl='
'
  for s do
    fe_of "$s"; w=${w#?}
    if [ "$w" = '?' ] || [ "$c" -ge @MOST@ ]; then continue; fi
    case $nl$sums$nl in
      *"$nl$w  $p$nl"*) ;;
      *) c=$((c + 1)); printf 'content\0%s\0' "$p"; head -c @LIMIT@ -- "$p" | base64 -w 0; printf '\0';;
    esac
  done
}
for s do
  fe_of "$s"; shift
  if [ -e "$p" ] || [ -L "$p" ]; then printf 'is\0%s\0%s\0' "$s" "$p"; set -- "$@" "$s"; else fe_missing "$s"; fi
done
if [ $# -gt 0 ]; then fe_stat "$@"; fe_links "$@"; fe_follow "$@"; fe_content "$@"; fi
:""".replace("@LIMIT@", str(SHOWN + 1)).replace("@MOST@", str(MOST_SHOWN))


def check_path(path: str) -> None:
    """Check a path on a host as a task says it.

    Raises:
        ValueError: it is not absolute, and not below `~`.
    """
    if not (path.startswith(("/", "~/")) or path == "~") or "\0" in path:
        raise ValueError(f"the path '{path}' must be absolute: /etc/x, or ~/x for the remote user's home")


def look_up(
    path: str, *, follow: bool = False, content: Content | None = None, inside: str | None = None
) -> Lookup[FileState | None]:
    """Ask what a file is like; None when it does not exist.

    Args:
        path: An absolute path, or one that begins with `~/`.
        follow: Tell about what a link leads to, if that exists, with the link's `target`.
        content: The wanted content, so that the found one comes along where it differs (of the first 32 such
            files). Without data, the hash alone is asked for. None: the content does not matter.
        inside: If `path` is a folder, follow links and tell about this name in it; `path` of the state says where
            that is, and its kind is 'absent' when the folder does not have it.
    """
    wanted = "" if content is None else "?" if content.data is None else content.sha256
    if inside is not None:
        return Lookup(_LOOK, parse_files, f"i{wanted}:{path}//{inside}")
    return Lookup(_LOOK, parse_files, f"{'f' if follow else '-'}{wanted}:{path}")


def content_of(data: bytes) -> Content:
    """Return data as content; the data is kept for diffs when it is not too long."""
    return Content(hashlib.sha256(data).hexdigest(), data if len(data) <= SHOWN else None)


def content_of_file(path: Path) -> Content:
    """Return the content of a file on the controller, as [`content_of`][] does."""
    if path.stat().st_size <= SHOWN:
        return content_of(path.read_bytes())
    with path.open("rb") as file:
        return Content(hashlib.file_digest(file, "sha256").hexdigest())


def parse_files(completed: Completed) -> Mapping[str, FileState | None]:
    """Parse the answer to [`look_up`][]s: each subject's state.

    Raises:
        ValueError: it is not such an answer.
    """
    told = _Told(completed.stdout.decode("utf-8", "surrogateescape").split("\0"))
    if told.present and not told.stats:
        raise ValueError(completed.error_text.strip()[:300] or "stat told nothing")
    found: dict[str, FileState | None] = dict.fromkeys(told.absent)
    found.update((subject, FileState(kind="absent", path=path)) for subject, path in told.inside.items())
    found.update((subject, FileState(kind="denied")) for subject in told.denied)
    found.update((subject, told.state(subject, path)) for subject, path in told.present.items())
    return found


class _Told:
    """The records of an answer, by path."""

    def __init__(self, fields: list[str]) -> None:
        self.absent: list[str] = []
        self.denied: list[str] = []
        self.inside: dict[str, str] = {}  # subject -> path that is absent
        self.present: dict[str, str] = {}  # subject -> path
        self.stats: dict[str, FileState] = {}
        self._led: dict[str, FileState] = {}
        self._targets: dict[str, str] = {}
        self._real: dict[str, str] = {}
        self._unreadable: set[str] = set()
        self._sums: dict[str, str] = {}
        self._data: dict[str, bytes] = {}
        self._read(iter(fields))

    def _read(self, fields: Iterator[str]) -> None:
        links: list[str] = []
        followed: list[str] = []
        for tag in fields:
            try:
                if tag in ("stat", "led"):
                    path = next(fields)
                    (self.stats if tag == "stat" else self._led)[path] = _stat([next(fields) for _ in range(6)])
                elif tag in ("is", "inside"):
                    subject = next(fields)
                    (self.present if tag == "is" else self.inside)[subject] = next(fields)
                elif tag in ("absent", "denied"):
                    (self.absent if tag == "absent" else self.denied).append(next(fields))
                elif tag in ("link", "follow"):
                    (links if tag == "link" else followed).append(next(fields))
                elif tag == "targets":
                    self._targets = {path: next(fields) for path in links}
                elif tag == "real":
                    self._real = {path: next(fields) for path in followed}
                elif tag == "unreadable":
                    self._unreadable.add(next(fields))
                elif tag == "sums":
                    self._sums = _sums(next(fields))
                elif tag == "content":
                    path = next(fields)
                    self._data[path] = base64.b64decode(next(fields), validate=True)
                elif tag:
                    raise ValueError(f"unexpected: {tag[:80]!r}")
            except (StopIteration, binascii.Error) as error:
                raise ValueError(f"a broken answer about files, at {tag[:80]!r}") from error

    def state(self, subject: str, path: str) -> FileState | None:
        """Put together what was told about a path, as its subject asked for it."""
        state = self.stats.get(path)
        if state is None:  # gone between the shell's look and stat's
            return None
        led = None if subject.startswith("-") else self._led.get(path)
        state = msgspec.structs.replace(led or state, path=path)
        if led and path in self._real:
            state = msgspec.structs.replace(state, real=self._real[path])
        if path in self._targets:
            state = msgspec.structs.replace(state, target=self._targets[path])
        if path in self._sums and not subject[1:].startswith(":"):
            data = self._data.get(path)
            known = Content(self._sums[path], data if data is not None and len(data) <= SHOWN else None)
            state = msgspec.structs.replace(state, content=known)
        elif path in self._unreadable:
            state = msgspec.structs.replace(state, kind="denied")
        return state


def _stat(fields: list[str]) -> FileState:
    raw, owner, uid, group, gid, size = fields
    bits = int(raw, 16)
    kinds: dict[int, Kind] = {0o10: "file", 0o4: "directory", 0o12: "link"}
    return FileState(
        kind=kinds.get(bits >> 12, "other"),
        mode=f"{bits & 0o7777:04o}",
        owner=uid if owner == "UNKNOWN" else owner,
        uid=int(uid),
        group=gid if group == "UNKNOWN" else group,
        gid=int(gid),
        size=int(size),
    )


_ESCAPES = {"\\\\": "\\", "\\n": "\n", "\\r": "\r"}


def _sums(text: str) -> dict[str, str]:
    """Read sha256sum's lines; it escapes a name with newlines or backslashes, and says so by a backslash before it."""
    found = {}
    for line in text.split("\n"):
        if matched := re.fullmatch(r"(\\?)([0-9a-f]{64}) [ *](.*)", line, re.DOTALL):
            name = re.sub(r"\\[\\nr]", lambda each: _ESCAPES[each[0]], matched[3]) if matched[1] else matched[3]
            found[name] = matched[2]
    return found


def wished(
    found: FileState | None,
    path: str,
    *,
    kind: Kind,
    mode: str | int | UnsetType = UNSET,
    owner: str | UnsetType = UNSET,
    group: str | UnsetType = UNSET,
    content: Content | UnsetType = UNSET,
) -> FileState:
    """Return the state that a task's arguments ask for, given what was found.

    Raises:
        TaskFailed: what is there may not be looked at, or is of a kind that is not replaced.
    """
    if found is not None:
        refuse_denied(found, path)
        if found.kind not in (kind, "link", "absent"):
            raise TaskFailed(f"{path} is there already, and is a {found.kind}, not a {kind}")
    before = found.mode if found is not None and found.kind == kind and isinstance(found.mode, str) else None
    return FileState(
        kind=kind,
        mode=octal(mode, before=before, directory=kind == "directory") if not isinstance(mode, UnsetType) else UNSET,
        owner=owner if not isinstance(owner, UnsetType) and not owner.isdigit() else UNSET,
        uid=int(owner) if not isinstance(owner, UnsetType) and owner.isdigit() else UNSET,
        group=group if not isinstance(group, UnsetType) and not group.isdigit() else UNSET,
        gid=int(group) if not isinstance(group, UnsetType) and group.isdigit() else UNSET,
        content=content,
    )


def refuse_denied(found: FileState | None, path: str) -> None:
    """Fail where the remote user may not look: that is not the same as absent.

    Raises:
        TaskFailed: the state is 'denied'.
    """
    if found is not None and found.kind == "denied":
        raise TaskFailed(f"no permission to look at {path}: does the task need 'become: true'?")


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


def quoted(path: str) -> str:
    """Quote a path for sh; a leading `~/` stays the home folder of whoever the task runs as."""
    if path == "~" or path.startswith("~/"):
        return f'"$HOME"{sh(path[1:])}' if path[1:] else '"$HOME"'
    return sh(path)


def _make_directory(path: str, wanted: FileState) -> str:
    """Every folder that is made on the way gets the wanted mode and owner, as Ansible does."""
    commands = attributes('"$1"', compare(wanted, FileState()))
    if not commands:
        return f"mkdir -p -- {quoted(path)}"
    return (
        'fe_make() { [ -d "$1" ] && return; case $1 in */*/*|[!/]*/*) fe_make "${1%/*}" || return;; esac; '
        f'mkdir -- "$1" && {" && ".join(commands)}; }}; fe_make {quoted(path.rstrip("/"))}'
    )


def ansible_keys(found: FileState | None) -> dict[str, Value]:
    """Return a state under the names that Ansible's file modules register."""
    if found is None or found.kind == "absent":
        return {"state": "absent"}
    names = ("mode", "owner", "group", "uid", "gid", "size")
    keys: dict[str, Value] = {each: getattr(found, each) for each in names if getattr(found, each) is not UNSET}
    if isinstance(found.mode, str):
        keys["mode"] = f"0{int(found.mode, 8):03o}"  # these modules of Ansible tell set-id bits in a fifth digit
    keys["state"] = str(found.kind)
    if found.kind == "link" and isinstance(found.target, str):
        keys["src"] = found.target
    return keys
