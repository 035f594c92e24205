"""What `onhost/files.sh` prints about files: records, by path or by subject. Pure parsing; a host is not trusted."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from msgspec import Struct

from fleetenv.remote import Completed, Kit, Lookup, on_host

T = TypeVar("T")

SHOWN = 256 * 1024
"""Bytes up to which a file's content is fetched and kept, to show how it differs."""

MOST_SHOWN = 32
"""Files of which one answer holds the content: with more, a host's answer could become too long."""

_KIT = Kit(
    on_host("files.sh").replace("@LIMIT@", str(SHOWN + 1)).replace("@MOST@", str(MOST_SHOWN)),
    asked="fe_look",
)
_SCRIPT = _KIT.script


def file_lookup(subject: str, parse: Callable[[Completed], Mapping[str, T]]) -> Lookup[T]:
    """Return the question about one file, which is asked together with all others of its kind.

    Args:
        subject: Options, a colon, a path. Options are `-`, `f` (about what a link leads to) or `i` (the path is
            `FOLDER//NAME`, and is the folder's if that is none), with the wanted content's sha256, or `?` to be told
            which it is; or `s`, or `S` (about what a link leads to), with the name of a checksum, as `stat` wants it.
        parse: Turns the whole answer into what was found of each subject that it knows; see [`Told`][].
    """
    return Lookup(_SCRIPT, parse, subject, _KIT)


class Stat(Struct, frozen=True):
    """What `stat` tells: `%f %h %u %g %s %b %o %d %i %X %Y %Z` as words, and the names of user and group."""

    words: list[str]
    owner: str
    group: str

    def number(self, index: int) -> int:
        """Return one of the words, of which the first is hexadecimal."""
        return int(self.words[index], 10 if index else 16)


class Told:
    """The records of an answer.

    Raises:
        ValueError: it is not such an answer.
    """

    def __init__(self, completed: Completed) -> None:
        self.absent: list[str] = []  # subjects
        self.denied: list[str] = []  # subjects
        self.inside: dict[str, str] = {}  # subject -> path that is absent
        self.present: dict[str, str] = {}  # subject -> path
        self.may: dict[str, tuple[str, str]] = {}  # subject -> of r, w and x what the user may do; 'summed' or 'empty'
        self.hashes: dict[str, dict[str, str]] = {}  # name of a checksum -> path -> what it is
        # all others by path
        self.stats: dict[str, Stat] = {}
        self.led: dict[str, Stat] = {}  # of what a link leads to
        self.targets: dict[str, str] = {}
        self.real: dict[str, str] = {}
        self.unreadable: set[str] = set()
        self.sums: dict[str, str] = {}
        self.data: dict[str, bytes] = {}
        self._read(iter(completed.stdout.decode("utf-8", "surrogateescape").split("\0")))
        if self.present and not self.stats:
            raise ValueError(completed.error_text.strip()[:300] or "stat told nothing")

    def _read(self, fields: Iterator[str]) -> None:
        links: list[str] = []
        followed: list[str] = []
        for tag in fields:
            try:
                if tag in ("stat", "led"):
                    path = next(fields)
                    stat = Stat(next(fields).split(" "), next(fields), next(fields))
                    if len(stat.words) != 12:
                        raise ValueError(f"unexpected: {' '.join(stat.words)[:80]!r}")
                    (self.stats if tag == "stat" else self.led)[path] = stat
                elif tag in ("is", "inside"):
                    subject = next(fields)
                    (self.present if tag == "is" else self.inside)[subject] = next(fields)
                elif tag == "may":
                    subject = next(fields)
                    self.may[subject] = (next(fields), next(fields))
                elif tag in ("absent", "denied"):
                    (self.absent if tag == "absent" else self.denied).append(next(fields))
                elif tag in ("link", "follow"):
                    (links if tag == "link" else followed).append(next(fields))
                elif tag == "to":  # a link is `NAME -> TARGET`, all else NAME
                    name, shown = next(fields), next(fields)
                    if shown.startswith(f"{name} -> "):
                        self.targets[name] = shown[len(name) + 4 :]
                elif tag == "targets":
                    self.targets = {path: next(fields) for path in links}
                elif tag == "real":
                    self.real = {path: next(fields) for path in followed}
                elif tag == "unreadable":
                    self.unreadable.add(next(fields))
                elif tag == "sums":
                    self.sums = _sums(next(fields))
                elif tag == "hashes":
                    name = next(fields)
                    self.hashes[name] = _sums(next(fields))
                elif tag == "content":
                    path = next(fields)
                    self.data[path] = base64.b64decode(next(fields), validate=True)
                elif tag:
                    raise ValueError(f"unexpected: {tag[:80]!r}")
            except (StopIteration, RuntimeError, binascii.Error) as error:
                raise ValueError(f"a broken answer about files, at {tag[:80]!r}") from error


_ESCAPES = {"\\\\": "\\", "\\n": "\n", "\\r": "\r"}


def _sums(text: str) -> dict[str, str]:
    """Read the lines of sha256sum and its like; a backslash before a line says that the name's are escaped in it."""
    found = {}
    for line in text.split("\n"):
        if matched := re.fullmatch(r"(\\?)([0-9a-f]{32,128}) [ *](.*)", line, re.DOTALL):
            name = re.sub(r"\\[\\nr]", lambda each: _ESCAPES[each[0]], matched[3]) if matched[1] else matched[3]
            found[name] = matched[2]
    return found
