"""`requirements.txt` files: read on the controller, so that a host gets one file that means the same everywhere.

The format is pip's: https://pip.pypa.io/en/stable/reference/requirements-file-format/ .
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fleetenv.conda.spec import normalized
from fleetenv.errors import InputError, Location, nearest

_NESTED = {"-r": "-r", "--requirement": "-r", "-c": "-c", "--constraint": "-c"}
_EDITABLE = ("-e", "--editable")
_VALUED = frozenset(
    {"-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--trusted-host"}
    | {"--no-binary", "--only-binary", "--use-feature"}
)
_BARE = frozenset({"--no-index", "--prefer-binary", "--pre", "--require-hashes"})
_REQUIREMENT = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^\]]*\]\s*)?(?P<rest>\Z|[(<>=!~;@].*|--hash=.*)"
)
_PINNED = re.compile(r"\(?\s*===?\s*([A-Za-z0-9.!+_-]+)\s*\)?")
_COMMIT = re.compile(r"(?:git|hg)\+\S+@[0-9a-f]{40}(?:#\S*)?\Z")
_VERSION = re.compile(
    r"v?(?:(?P<epoch>\d+)!)?(?P<release>\d+(?:\.\d+)*)"
    r"(?:[-_.]?(?P<pre>alpha|beta|preview|pre|rc|a|b|c)[-_.]?(?P<pre_number>\d*))?"
    r"(?P<post>(?:[-_.]?(?:post|rev|r)[-_.]?|-)(?P<post_number>\d*))?"
    r"(?:[-_.]?dev[-_.]?(?P<dev>\d*))?(?:\+(?P<local>[a-z0-9._-]+))?"
)
_PRE = {"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc"}


@dataclass(frozen=True, slots=True)
class Pin:
    """The only versions of a distribution that requirements allow; under a marker it need not be there at all."""

    versions: tuple[str, ...]
    conditional: bool

    def allows(self, version: str) -> bool:
        """Whether an installed version is one of them."""
        return any(same_version(pinned, version) for pinned in self.versions)


@dataclass(frozen=True, slots=True)
class Requirements:
    """Requirements as pip on a host is to read them: files that others name are in them, not beside them."""

    lines: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    pins: Mapping[str, Pin] = field(default_factory=dict)  # by normalised name
    hashed: bool = False  # every file must have a hash that is written here

    @property
    def digest(self) -> str:
        """SHA-256 of all that they say."""
        return hashlib.sha256(json.dumps([self.lines, self.constraints]).encode()).hexdigest()


def read_requirements(path: Path) -> Requirements:
    """Read a requirements file and those that it names with `-r` and `-c`.

    Raises:
        InputError: a file cannot be read; a line has no meaning for pip, or not the same one on each host.
    """
    lines: list[str] = []
    constraints: list[str] = []
    pins: dict[str, Pin] = {}
    for each in _entries(path, (), constraint=False):
        (constraints if each.constraint else lines).append(each.text)
        match = _REQUIREMENT.match(each.text)
        if match and not each.constraint:
            _take_pin(pins, normalized(match["name"]), match["rest"])
    hashed = any("--hash=" in line or line == "--require-hashes" for line in lines)
    return Requirements(tuple(lines), tuple(constraints), pins, hashed)


def same_version(pinned: str, installed: str) -> bool:
    """Whether `==PINNED` allows an installed version (PEP 440): `1.0.0` is a `1.0`, and so is `1.0+cu118`."""
    wanted, have = _comparable(pinned), _comparable(installed)
    if wanted is None or have is None:
        return pinned.lower() == installed.lower()
    return wanted[:-1] == have[:-1] and wanted[-1] in ("", have[-1])


def check_wheels_only(wishes: Requirements, path: Path) -> None:
    """Refuse what can be seen to need a build before any host is touched.

    Raises:
        InputError: a requirement is a repository's commit, or its files may not be wheels.
    """
    over = "or use packages_via: host, where each host's pip builds it"
    for line in wishes.lines:
        target = line.partition(" @ ")[2].strip() or line
        if re.match(r"(?:git|hg)\+", target):
            raise InputError(
                f"{path}: '{line}' has to be built", hint=f"name a released version that has a wheel, {over}"
            )
        if re.match(r"--no-binary(?:[ =]|\Z)", line):
            raise InputError(
                f"{path}: '{line}' asks for packages that have to be built", hint=f"leave that out, {over}"
            )


@dataclass(frozen=True, slots=True)
class _Entry:
    text: str
    constraint: bool


def _entries(path: Path, above: tuple[Path, ...], *, constraint: bool) -> Iterator[_Entry]:
    """Read the lines of a file that mean something, and of those that it names, in their place."""
    if path.resolve() in above:
        raise InputError(f"{path} names itself", location=Location(str(above[-1]), 1, 1))
    for number, line in _logical_lines(path):
        location = Location(str(path), number, 1)
        option, _, value = line.replace("=", " ", 1).partition(" ") if line.startswith("--") else line.partition(" ")
        if option in _NESTED:
            nested = path.parent / value.strip()
            inner = constraint or _NESTED[option] == "-c"
            yield from _entries(nested, (*above, path.resolve()), constraint=inner)
        elif line.startswith("-"):
            _check_option(option, value.strip(), location)
            yield _Entry(line, constraint=False)
        else:
            _check_requirement(line, location)
            yield _Entry(line, constraint)


def _logical_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line: joined where a backslash ends one, without comments."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"cannot read {path}: {reason}") from error
    if "\0" in text:
        raise InputError(f"cannot read {path}: it is not text")
    begun, start = "", 0
    for number, line in enumerate([*text.splitlines(), ""], 1):
        start = start or number
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            begun += line[:-1]
            continue
        whole = " ".join(re.sub(r"(?:\A|\s)#.*", "", begun + line).split())
        if whole:
            yield start, whole
        begun, start = "", 0


def _check_option(option: str, value: str, location: Location) -> None:
    if option in _EDITABLE:
        hint = "name a released version, or the URL of a wheel"
        raise InputError(f"'{option} {value}' is a folder of this machine: hosts lack it", location=location, hint=hint)
    if option not in _VALUED | _BARE:
        known = nearest(option, [*_VALUED, *_BARE, *_NESTED])
        raise InputError(f"'{option}' is no option of requirements files", location=location, hint=known)
    if (option in _VALUED) != bool(value):
        raise InputError(f"'{option}' {'needs a' if option in _VALUED else 'takes no'} value", location=location)


def _check_requirement(line: str, location: Location) -> None:
    target = line.partition(" @ ")[2].strip() or line
    if re.match(r"(?:git|hg|svn|bzr)\+", target):
        if not _COMMIT.match(target.partition(" ")[0]):
            hint = "end it with '@' and the whole hash of a commit, or name a released version"
            raise InputError("a version control URL means another commit each day", location=location, hint=hint)
        return
    if re.match(r"https?://", target):
        return
    if target.startswith((".", "/", "~", "file:")) or "/" in target.partition(";")[0].partition("@")[0]:
        hint = "name a released version, or the URL of a wheel"
        raise InputError(f"'{target}' is a file of this machine: hosts lack it", location=location, hint=hint)
    if not _REQUIREMENT.match(line):
        raise InputError(f"'{line}' is not a requirement", location=location, hint="write it like 'name==1.2'")


def _take_pin(pins: dict[str, Pin], name: str, rest: str) -> None:
    """Note what a line pins. Several lines for a name are for different markers."""
    wish, semicolon, _ = re.sub(r"\s*--hash=\S*", "", rest).partition(";")
    matched = _PINNED.fullmatch(wish.strip())
    before = pins.get(name)
    if matched:
        versions = (*(before.versions if before else ()), matched[1])
        pins[name] = Pin(versions, bool(semicolon) and (before is None or before.conditional))


def _comparable(version: str) -> tuple[str, ...] | None:
    """Write a version's parts so that equal ones are equal; the local part is the last. None: not PEP 440's."""
    match = _VERSION.fullmatch(version.lower())
    if match is None:
        return None
    release = ".".join(str(int(part)) for part in match["release"].split("."))
    pre = f"{_PRE.get(match['pre'], match['pre'])}{int(match['pre_number'] or 0)}" if match["pre"] else ""
    post = f"post{int(match['post_number'] or 0)}" if match["post"] else ""
    dev = f"dev{int(match['dev'] or 0)}" if match["dev"] is not None else ""
    local = re.sub(r"[-_]", ".", match["local"] or "")
    return match["epoch"] or "0", re.sub(r"(?:\.0)+\Z", "", release), pre, post, dev, local
