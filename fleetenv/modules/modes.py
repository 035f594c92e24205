"""File modes as tasks write them: `'0644'`, `0644`, `u=rw,g+r,o-rwx`, always told as octal text of four digits."""

from __future__ import annotations

import re
from functools import lru_cache

_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=](?:[ugo]|[rwxXst]*))+)")
_ACTION = re.compile(r"([-+=])([ugo]|[rwxXst]*)")
_SHIFT = {"u": 6, "g": 3, "o": 0}
_BITS = {"r": 4, "w": 2, "x": 1}


def check_mode(mode: str | int) -> None:
    """Check what a task says as a mode.

    Raises:
        ValueError: it is no mode, or a number that was meant as octal.
    """
    if isinstance(mode, int):
        if 600 <= mode <= 777 and set(str(mode)) <= set("01234567"):
            raise ValueError(f"'mode' {mode} is read as a decimal number: write '0{mode}', in quotes")
        if not 0 <= mode <= 0o7777:
            raise ValueError(f"'mode' {mode} is no file mode: write one like '0644', in quotes")
    elif not _is_octal(mode) and not all(_CLAUSE.fullmatch(clause) for clause in mode.split(",")):
        raise ValueError(f"'mode' {mode!r} is no file mode: write one like '0644' or 'u=rw,go=r'")


@lru_cache(maxsize=1024)
def octal(mode: str | int, *, before: str | None, directory: bool) -> str:
    """Return the mode that `mode` leads to, as four octal digits, from the one that a file has before.

    A symbolic mode for a file that is not there yet starts from 0644 (0755 for a directory). One that names nobody
    (`+x`) is for all.
    """
    if isinstance(mode, int):
        return f"{mode:04o}"
    if _is_octal(mode):
        return f"{int(mode, 8):04o}"
    bits = int(before, 8) if before else 0o755 if directory else 0o644
    for clause in mode.split(","):
        matched = _CLAUSE.fullmatch(clause)
        if matched is None:
            raise ValueError(f"no file mode: {mode!r}")
        who = "ugo" if not matched[1] or "a" in matched[1] else matched[1]
        for operator, permissions in _ACTION.findall(matched[2]):
            bits = _apply(bits, who, operator, permissions, directory=directory)
    return f"{bits:04o}"


def symbolic(mode: str | int) -> str:
    """Return what chmod understands to the same effect as [`octal`][]: `+x` becomes `a+x`, whatever the umask."""
    if isinstance(mode, int) or _is_octal(mode):
        return octal(mode, before=None, directory=False)
    return ",".join(clause if clause[0] in "ugoa" else f"a{clause}" for clause in mode.split(","))


def _is_octal(mode: str) -> bool:
    return bool(re.fullmatch(r"[0-7]{1,5}", mode)) and int(mode, 8) <= 0o7777


def _apply(bits: int, who: str, operator: str, permissions: str, *, directory: bool) -> int:
    change = mask = 0
    for each in who:
        shift = _SHIFT[each]
        mask |= 7 << shift
        if permissions and permissions in _SHIFT:
            change |= (bits >> _SHIFT[permissions] & 7) << shift
            continue
        for permission in permissions:
            if permission in _BITS:
                change |= _BITS[permission] << shift
            elif permission == "X" and (directory or bits & 0o111):
                change |= 1 << shift
            elif permission == "s" and each in "ug":
                change |= 0o4000 if each == "u" else 0o2000
            elif permission == "t":
                change |= 0o1000
    if operator == "+":
        return bits | change
    if operator == "-":
        return bits & ~change
    mask |= 0o1000 if "o" in who else 0
    if not directory:  # chmod keeps a directory's set-id bits unless they are named
        mask |= (0o4000 if "u" in who else 0) | (0o2000 if "g" in who else 0)
    return bits & ~mask | change
