"""What is said to the remote shell: pure functions from steps to bytes.

The remote shell is POSIX `sh` in a loop. Everything comes on its standard input, message by message:

    HEADER: two decimal numbers and a newline: bytes of script, bytes of data behind it
    SCRIPT: one command for each item, which evaluates the item's own text in a subshell of its own; or, without one,
            calls functions of a kit, which the first script that needs it defines
    DATA:   what items read as their standard input, one after the other

A script that is one short line stands in the header, behind the numbers: the shell then reads it without any process,
which `head` would be. A first message without data is a script alone: the shell that [`start`][] starts for it reads
that by itself, as it would read a file. It may read ahead, so nothing may follow until it has answered.

The script of the first message begins with a greeting, which holds the connection's nonce, and ends with the loop that
reads the further messages. After the greeting and after each item a mark goes to standard output and to standard error,
so that what lies between two marks is the item's own: the nonce, the exit status, a newline.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct, field

from fleetenv.remote import sh

_BOOTSTRAP = 'read -r fe_n fe_d&&eval "$(head -c $fe_n)"'
"""One line without quotes, backslashes or exclamation marks inside: it passes csh, fish and bash alike unharmed."""

NONCE_LENGTH = 32

# The nonce is kept in two halves, so that an item that prints all variables (`set`) does not print the mark.
# The greeting tells the session, by which all that the shell started can be found and ended.
# Names begin with fe_, so that none of ours is one of the user's.
_GREETING = """\
fe_a={first} fe_b={second}
fe_mark(){{ printf '%s%s %s\\n' $fe_a $fe_b $1;printf '%s%s %s\\n' $fe_a $fe_b $1 >&2;return $1;}}
read -r fe_s </proc/$$/stat;set -- ${{fe_s##*) }}
printf '%s%s %s\\n' $fe_a $fe_b $4;printf '%s%s 0\\n' $fe_a $fe_b >&2
set --
"""
_LEFT = "if [ $fe_d -gt 0 ];then head -c $fe_d >/dev/null;fi\n"  # data of items that were not come to
_LOOP = f"""\
while read -r fe_n fe_d fe_t;do
eval "${{fe_t:-$(head -c $fe_n)}}"
{_LEFT}done
"""
_LONGEST_LINE = 2048  # bytes; the shell reads each by a system call, and for some 3,000 of them `head` could be started
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class FilePart(Struct, frozen=True):
    """Bytes of a file on the controller, from `start` (inclusive) to `end` (exclusive)."""

    path: Path
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start


Data: TypeAlias = bytes | FilePart


class Item(Struct, frozen=True):
    """One thing for the remote shell to do: sh text and what that reads as its standard input."""

    script: str
    stdin: Data = b""
    environment: Mapping[str, str] = field(default_factory=dict)
    may_fail: bool = False
    kit: str = ""  # defines the functions that `script` calls, see `Run`

    def __repr__(self) -> str:
        return f"Item({self.script!r})"  # the rest may be secret


def start(shell: str, *, feeds: bool, said: str | None = None) -> list[str]:
    """Return the words that start a shell, which are all that an argument list ever holds.

    Args:
        shell: The program.
        feeds: Whether there is data in the first message.
        said: What it prints before it reads; only with `feeds`.
    """
    return [shell, "-c", f"echo {said};{_BOOTSTRAP}" if said else _BOOTSTRAP] if feeds else [shell]


def message(
    items: Sequence[Item], nonce: str | None = None, known: Container[str] = (), *, feeds: bool = True
) -> list[Data]:
    """Return one message: header and script as the first part, then the items' data.

    Args:
        items: what to do.
        nonce: For the first message to a shell: `NONCE_LENGTH` characters that mark its answers.
        known: Kits that the shell has.
        feeds: For the first message: how the shell was started.

    Raises:
        ValueError: a script or a variable cannot be said in sh: a NUL character, or a name that is none.
    """
    commands = "".join(f"{_command(item)}||break;" for item in items)
    kits = "".join(dict.fromkeys(item.kit for item in items if item.kit not in known))
    # `while` is what `break` leaves, so that nothing follows an item that failed
    script = f"{kits}while :;do {commands}break;done\n"
    if nonce:
        greeting = _GREETING.format(first=nonce[: NONCE_LENGTH // 2], second=nonce[NONCE_LENGTH // 2 :])
        left = _LEFT if feeds else ""
        # in braces, so that of a message that is cut off nothing is done
        script = f"{greeting}{{\n{script}{left}{_LOOP}}}\n"
    encoded = script.encode("utf-8", "surrogateescape")
    total = sum(len(item.stdin) for item in items)
    head = b"%d %d\n%b" % (len(encoded), total, encoded)
    if nonce and not feeds:
        assert not total, "a shell that reads ahead would take data for script"
        head = encoded
    if not nonce and len(script) <= _LONGEST_LINE and script.isascii() and script[:-1].isprintable():
        head = b"0 %d %b" % (total, encoded)
    return [head, *(item.stdin for item in items if len(item.stdin))]


def _command(item: Item) -> str:
    text = "".join(f"export {_assignment(name, value)};" for name, value in item.environment.items()) + item.script
    if "\0" in text + item.kit:
        raise ValueError("a script for a host cannot hold a NUL character")
    # a kit's functions need no subshell; variables that are exported do
    evaluated = f"{{ {text};}}" if item.kit and not item.environment else f"(eval {sh(text)})"
    goes_on = "||:" if item.may_fail else ""
    size = len(item.stdin)
    if not size:
        return f"{{ {evaluated} </dev/null;fe_mark $?{goes_on};}}"
    # What the item leaves unread is read by `cat`: the next bytes of the stream belong to the next item.
    fed = f"head -c {size}|{{ {evaluated};fe_s=$?;cat >/dev/null;exit $fe_s;}}"
    return f"{{ {fed};fe_s=$?;fe_d=$((fe_d-{size}));fe_mark $fe_s{goes_on};}}"


def _assignment(name: str, value: str) -> str:
    if not _NAME.match(name):
        raise ValueError(f"'{name}' cannot be the name of an environment variable")
    return f"{name}={sh(value)}"


def end_session(session: int, grace: int = 3) -> str:
    """Return sh text that ends every process of a session: asked to end first, killed after `grace` seconds.

    Without a fork, but for `sleep`: it reads `/proc/*/stat`, whose sixth field is the session (proc(5)). All of them
    twice only, as a host may have thousands; those that were asked to end are looked at in between.
    """
    return f"""\
signal() {{
found=
for f do
{{ read -r l <"$f"; }} 2>/dev/null || continue
p=${{f#/proc/}}; set -- ${{l##*) }}
if [ "$4" = {session} ] && [ "$1" != Z ]; then found="$found $f"; kill -$s "${{p%/stat}}" 2>/dev/null; fi
done
}}
s=TERM; signal /proc/[0-9]*/stat
now() {{ read -r t _ </proc/uptime; t=${{t%.*}}; }}
now; end=$((t+{grace})); s=0
while [ "$found" ] && [ $t -lt $end ]; do sleep 0.1; signal $found; now; done
s=KILL; signal /proc/[0-9]*/stat
:
"""
