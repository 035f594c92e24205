"""What an environment holds that somebody made by hand: the question to its host, and the answer, checked.

Nothing in the answer is trusted: each value must have the form that conda gives it, and its length is bounded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from fleetenv.conda.pip_conf import masked
from fleetenv.conda.spec import normalized
from fleetenv.remote import Completed, Probe, sh

# Of conda's records the long lists of files are left out: conda and rattler write one level as two spaces.
_SCRIPT = r"""
export LC_ALL=C
echo "system $(uname -m) $(getconf GNU_LIBC_VERSION 2>/dev/null)"
if ! [ -d "$1/conda-meta" ]; then echo "absent"; exit 0; fi
if ! [ -r "$1/conda-meta" ]; then echo "denied"; exit 0; fi
{
  awk '
    FNR == 1 { skip = 0; print "record " FILENAME }
    /^  "(files|paths_data|link)": [\[{]$/ { skip = 1; next }
    skip && /^  [\]}],?$/ { skip = 0; next }
    !skip { print "| " $0 }' "$1"/conda-meta/*.json /dev/null
  grep -hoE 'site-packages/[^/"]+\.(dist-info|egg-info)' "$1"/conda-meta/*.json /dev/null | sort -u | sed 's/^/owned /'
  for package in "$1"/lib/python3*/site-packages/*.dist-info "$1"/lib/python3*/site-packages/*.egg-info \
    "$1"/lib/python3*/site-packages/*.egg-link; do
    if [ -e "$package" ]; then echo "package ${package##*/}"; fi
    if [ -f "$package/direct_url.json" ]; then
      printf 'direct '; head -c 4096 -- "$package/direct_url.json" | tr '\n' ' '; echo
    fi
  done
  if [ -f "$1/conda-meta/state" ]; then
    printf 'state '; head -c 65536 -- "$1/conda-meta/state" | tr '\n' ' '; echo
  fi
} | head -c 15000000
"""

_MOST = 5000  # packages; the largest environments have a tenth of that

_Text = Annotated[str, Meta(max_length=500)]
_Texts = Annotated[list[_Text], Meta(max_length=1000)]


class CondaRecord(Struct, frozen=True):
    """One installed conda package, as its record in `conda-meta` says; other keys are passed over."""

    name: Annotated[str, Meta(pattern=r"\A[a-z0-9_][a-z0-9_.-]{0,200}\Z")]
    version: Annotated[
        str, Meta(pattern=r"\A(?:\d{1,9}!)?[A-Za-z0-9][A-Za-z0-9_]{0,50}(?:[.+][A-Za-z0-9_]{1,50}){0,30}\Z")
    ]
    build: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_.+]{1,100}\Z")]
    build_number: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0
    subdir: Annotated[str, Meta(pattern=r"\A[a-z0-9-]{0,50}\Z")] = ""
    url: (
        Annotated[str, Meta(pattern=r"\A(?:(?:https?|file|s3|ftp)://[^\s\"'<>\\^`{}|#]*)?\Z", max_length=2000)] | None
    ) = ""
    sha256: Annotated[str, Meta(pattern=r"\A(?:[0-9a-f]{64})?\Z")] | None = None
    md5: Annotated[str, Meta(pattern=r"\A(?:[0-9a-f]{32})?\Z")] | None = None
    size: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    depends: _Texts = []
    constrains: _Texts | None = None
    noarch: Literal["python", "generic"] | None = None
    python_site_packages_path: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_./-]{0,200}\Z")] | None = None
    requested_spec: _Text | None = None
    requested_specs: _Texts | None = None

    @property
    def title(self) -> str:
        """Name, version and build."""
        return f"{self.name} {self.version} {self.build}"

    @property
    def requested(self) -> bool:
        """Whether somebody asked for it; otherwise something else needs it."""
        return bool(self.requested_spec and self.requested_spec != "None") or bool(self.requested_specs)


@dataclass(frozen=True, slots=True)
class Distribution:
    """One Python distribution that conda knows nothing of."""

    name: str  # normalised
    version: str
    kind: Literal["index", "url", "editable", "vcs", "local"]
    url: str = ""  # where it came from, if not from an index; may hold a password

    @property
    def requirement(self) -> str:
        """What a pip section says to get the same; only for kinds `index` and `url`."""
        return f"{self.name} @ {self.url}" if self.kind == "url" else f"{self.name}=={self.version}"


@dataclass(frozen=True, slots=True)
class Handmade:
    """An environment as it was found."""

    machine: str  # uname -m
    glibc: str | None
    there: Literal["present", "absent", "denied"]
    conda: tuple[CondaRecord, ...] = ()
    pip: tuple[Distribution, ...] = ()
    overwritten: Mapping[str, str] | None = None  # distributions that pip replaced -> the version that conda installed
    unread: tuple[str, ...] = ()  # records and packages that cannot be understood
    variables: Mapping[str, str] | None = None


def look(path: str) -> Probe[Handmade]:
    """Ask what the environment at a path holds."""
    return Probe(f"{sh('set', '--', path)}\n{_SCRIPT}", _parse)


def _parse(completed: Completed) -> Handmade:
    """Read the answer.

    Raises:
        ValueError: it was cut off, or is none.
    """
    lines = completed.text.split("\n")
    system = re.fullmatch(r"system (\S{1,50}) ?(?:glibc (\d+(?:\.\d+){1,3}))?.*", lines[0])
    if completed.dropped or system is None or len(completed.stdout) >= 15_000_000:
        raise ValueError("the answer about the environment is not understood")
    machine, glibc = system[1], system[2]
    if lines[1:2] in (["absent"], ["denied"]):
        return Handmade(machine, glibc, "absent" if lines[1] == "absent" else "denied")
    records, unread = _records(lines)
    owned = {line.removeprefix("owned site-packages/") for line in lines if line.startswith("owned ")}
    found = list(_distributions(lines, owned))
    names = {name: version for name, version in map(_name_and_version, owned) if version}
    pip = [each for each in found if isinstance(each, Distribution)]
    unread += [each for each in found if isinstance(each, str)]
    return Handmade(
        machine=machine,
        glibc=glibc,
        there="present",
        conda=tuple(sorted(records, key=lambda record: record.name)),
        pip=tuple(sorted(pip, key=lambda each: each.name)),
        overwritten={each.name: names[each.name] for each in pip if each.name in names},
        unread=tuple(unread[:_MOST]),
        variables=next((_variables(line[6:]) for line in lines if line.startswith("state ")), {}),
    )


def _records(lines: list[str]) -> tuple[list[CondaRecord], list[str]]:
    texts: dict[str, list[str]] = {}
    current: list[str] = []
    for line in lines:
        if line.startswith("record "):
            current = texts.setdefault(line.rpartition("/")[2], [])
        elif line.startswith("| "):
            current.append(line[2:])
    records, unread = [], []
    for name, text in list(texts.items())[:_MOST]:
        whole = re.sub(r",\s*\}\s*\Z", "}", "\n".join(text))  # its last entry may be one that was left out
        try:
            records.append(msgspec.json.decode(whole, type=CondaRecord))
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            unread.append(f"conda-meta/{name}")
    return records, [each for each in unread if each != "conda-meta/null"]


def _distributions(lines: list[str], owned: set[str]) -> Iterator[Distribution | str]:
    """Yield what conda does not own; as text what cannot be understood, or was installed in an old way."""
    for at, line in enumerate(lines):
        if not line.startswith("package "):
            continue
        folder = line.removeprefix("package ")
        if folder in owned:
            continue
        name, version = _name_and_version(folder)
        if folder.endswith(".egg-link"):
            yield Distribution(normalized(folder.removesuffix(".egg-link")), "", "editable")
        elif not folder.endswith(".dist-info") or not version:
            yield folder[:200]
        else:
            after = lines[at + 1] if at + 1 < len(lines) else ""
            kind, url = _source(after.removeprefix("direct ")) if after.startswith("direct ") else ("index", "")
            yield Distribution(name, version, kind, url)


def _name_and_version(folder: str) -> tuple[str, str]:
    match = re.fullmatch(
        r"([A-Za-z0-9](?:[A-Za-z0-9._]{0,198}[A-Za-z0-9])?)-([A-Za-z0-9.!+_]{1,100}?)(?:-[^/]*)?\.(?:dist|egg)-info",
        folder,
    )
    return (normalized(match[1]), match[2].replace("_", "-")) if match else ("", "")


def _source(text: str) -> tuple[Literal["index", "url", "editable", "vcs", "local"], str]:
    """Read a direct_url.json (PEP 610)."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return "local", ""
    url = str(document.get("url", "")) if isinstance(document, dict) else ""
    if not isinstance(document, dict) or not re.fullmatch(r"[a-z+]+://[^\s\"'<>\\^`{}|]{0,2000}", url):
        return "local", ""
    directory = document.get("dir_info")
    if isinstance(directory, dict):
        return ("editable" if directory.get("editable") is True else "local"), url
    if "vcs_info" in document:
        return "vcs", url
    return ("url" if url.startswith(("https://", "http://")) else "local"), url


def _variables(text: str) -> dict[str, str]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    found = document.get("env_vars") if isinstance(document, dict) else None
    if not isinstance(found, dict):
        return {}
    return {
        str(name): str(value)
        for name, value in found.items()
        if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,200}", str(name)) and str(value).isprintable()
    }


def told(distribution: Distribution) -> str:
    """Name a distribution that a spec cannot hold, and why, without credentials."""
    why = {
        "editable": "is editable: its code is a folder of that host",
        "local": "was installed from a folder or file of that host",
        "vcs": "was installed from a version control URL",
    }
    url = f" ({masked(distribution.url)})" if distribution.url else ""
    version = f" {distribution.version}" if distribution.version else ""
    return f"{distribution.name}{version} {why[distribution.kind]}{url}"
