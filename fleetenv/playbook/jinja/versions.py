"""Versions as the `version` test compares them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from fleetenv.errors import InputError

Key = Callable[[str], Any]


def _loose(text: str) -> list[int | str]:
    """Numbers and words in turn, as distutils' LooseVersion had them: 1.5.1 < 1.5.2b2."""
    return [int(part) if part.isdigit() else part for part in re.findall(r"\d+|[a-z]+|[^\d.a-z]+", text)]


def _strict(text: str) -> tuple[tuple[int, int, int], tuple[str, int]]:
    match = re.fullmatch(r"(\d+)\.(\d+)(?:\.(\d+))?(?:([ab])(\d+))?", text)
    if match is None:
        raise InputError(f"version: '{text}' is not a strict version", hint="it looks like 1.2, 1.2.3 or 1.2b1")
    release = (int(match[1]), int(match[2]), int(match[3] or 0))
    return release, (match[4], int(match[5])) if match[4] else ("z", 0)


_SEMANTIC = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?")


def _semantic(text: str) -> tuple[tuple[int, ...], int, tuple[tuple[int, int | str], ...]]:
    """Semantic Versioning 2.0: a pre-release comes before its release, numbers before words."""
    match = _SEMANTIC.fullmatch(text)
    if match is None:
        raise InputError(f"version: '{text}' is not a semantic version", hint="it looks like 1.2.3 or 1.2.3-rc.1")
    words = match[4].split(".") if match[4] else []
    pre = tuple((0, int(word)) if word.isdigit() else (1, word) for word in words)
    return (int(match[1]), int(match[2]), int(match[3])), 0 if pre else 1, pre


_PEP440 = re.compile(
    r"v?(?:(?P<epoch>\d+)!)?(?P<release>\d+(?:\.\d+)*)"
    r"(?:[-_.]?(?P<pre>a|b|c|rc|alpha|beta|pre|preview)[-_.]?(?P<pre_n>\d*))?"
    r"(?:(?:[-_.]?(?:post|rev|r)[-_.]?(?P<post>\d*))|-(?P<post_n>\d+))?"
    r"(?:[-_.]?(?P<dev>dev)[-_.]?(?P<dev_n>\d*))?"
    r"(?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?",
    re.IGNORECASE,
)
_PRE = {"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc"}


def _pep440(text: str) -> tuple[Any, ...]:
    match = _PEP440.fullmatch(text.strip())
    if match is None:
        raise InputError(f"version: '{text}' is not a PEP 440 version", hint="it looks like 1.2.3, 1.2rc1 or 1.2.post1")
    release = [int(part) for part in match["release"].split(".")]
    while len(release) > 1 and release[-1] == 0:
        release.pop()
    is_post = match["post"] is not None or match["post_n"] is not None
    post = int(match["post"] or match["post_n"] or 0) if is_post else -1
    dev = int(match["dev_n"] or 0) if match["dev"] else float("inf")
    if match["pre"]:
        word = match["pre"].lower()
        pre: tuple[str, int] = (_PRE.get(word, word), int(match["pre_n"] or 0))
    else:
        pre = ("", 0) if match["dev"] and not is_post else ("z", 0)
    local = tuple(
        (1, int(part), "") if part.isdigit() else (0, 0, part.lower())
        for part in re.split(r"[-_.]", match["local"] or "")
    )
    return int(match["epoch"] or 0), release, pre, post, dev, local if match["local"] else ()


_KEYS: dict[str, Key] = {
    "loose": _loose,
    "strict": _strict,
    "semver": _semantic,
    "semantic": _semantic,
    "pep440": _pep440,
}


def key_of(kind: str) -> Key:
    """Return the function that makes versions of a kind comparable."""
    if kind not in _KEYS:
        raise InputError(f"version: there is no version_type '{kind}'", hint=f"it is one of {', '.join(_KEYS)}")
    return _KEYS[kind]
