"""What is seen of an environment on a host: one question for all of a host's environments, and its answer as a state.

The answer comes from conda's records, from pip's marks and from the files' times, never from a note of fleetenv's own
about what it once did. `conda-meta/fleetenv`, written last, gives the time that files are compared with.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import ClassVar

from msgspec import UNSET, Struct, UnsetType

from fleetenv.conda.lock import CondaPackage, PipPackage, short_channel
from fleetenv.conda.spec import normalized
from fleetenv.remote import Completed
from fleetenv.state import State

CHANGED = "changed by hand"
_BY_PIP = ("/INSTALLER:pip", "/INSTALLER:uv")
_MOST_FILES = 50  # that are named; a tampered environment may have tens of thousands

# A subject is PREFIX|NAME|DIGESTS|CUDA|ACCESS: of the wanted generation for each platform, whether to look for a driver
# unless one of those is current ('nvidia-smi' takes seconds), and whether owner and mode matter. 'find' looks at times
# only; a hard link's inode is shared with the package cache, so a file overwritten in one environment is seen in all
# that have it. Where all is well, an environment takes two processes: one 'find' that prints nothing but the link, and
# one 'grep'. What that 'find' does not vouch for (it says more, or less, or is not GNU's) is looked at again, in full.
SCRIPT = r"""
export LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin:/usr/lib/wsl/lib
{ read -r kernel </proc/sys/kernel/osrelease && read -r machine </proc/sys/kernel/arch; } 2>/dev/null \
  && echo "system $kernel $machine" || echo "system $(uname -mr)"
echo "libc $(getconf GNU_LIBC_VERSION 2>/dev/null)"
cuda=
newline='
'
for subject; do
  prefix=${subject%%|*}; rest=${subject#*|}
  name=${rest%%|*}; rest=${rest#*|}
  digests=${rest%%|*}; rest=${rest#*|}
  driver=${rest%%|*}; access=${rest#*|}
  link=$prefix/envs/$name
  stamp=$link/conda-meta/fleetenv
  echo "environment $subject"
  if [ -x "$prefix/bin/python" ] && [ -f "$prefix/conda-meta/history" ]; then echo "miniconda"; fi
  for tool in "$prefix"/.fleetenv/*; do echo "tool ${tool##*/}"; done
  for zstd in "$prefix"/conda-meta/zstandard-[0-9]*.json "$prefix"/conda-meta/backports.zstd-[0-9]*.json \
    "$prefix"/lib/python3.1[4-9]/compression/zstd; do
    if [ -e "$zstd" ]; then echo "zstd"; fi
  done
  told=
  if [ -L "$link" ] && [ -f "$stamp" ]; then
    told=$(exec find "$link" "$link/" -type l -samefile "$link" -printf 'link %l\n' -o \
      -type d \( -name __pycache__ -o -name conda-meta -samefile "$link/conda-meta" \) -prune -o \
      -newer "$stamp" -print -quit) || told=
  fi
  target=
  case $told in
    *"$newline"*) told= ;;
    'link '*) echo "$told"; target=${told#link } ;;
    *) told= ;;
  esac
  if [ -z "$told" ] && [ -L "$link" ]; then target=$(readlink "$link"); echo "link $target"; fi
  if [ -e "$link" ] || [ -L "$link" ]; then echo "present"; fi
  if [ "$access" = yes ] && [ -d "$link/" ]; then stat -c 'access %a %U %G' "$link/"; fi
  if [ -d "$link/conda-meta" ]; then
    grep -asH -m 2 -e '^  "url": ' -e '^  "sha256": ' -e '^pip$' -e '^uv$' \
      "$link"/conda-meta/*.json "$link"/lib/python3*/site-packages/*.dist-info/INSTALLER
    [ -f "$link/conda-meta/frozen" ] && echo "frozen"
    [ -f "$link/conda-meta/state" ] && { printf 'state '; head -c 65536 "$link/conda-meta/state" | tr '\n' ' '; echo; }
    if [ -f "$stamp" ]; then
      echo "stamp"
      [ -n "$told" ] || find "$link/" -type d \( -name __pycache__ -o -name conda-meta -samefile "$link/conda-meta" \) \
        -prune -o -newer "$stamp" \( -type d -exec printf 'newer %s/\n' {} + -o -exec printf 'newer %s\n' {} + \) |
        head -n 1000
    fi
  fi
  case $driver,$digests, in
  -* | *",${target##*-},"*) ;;
  *)
    if [ -z "$cuda" ]; then
      limit=; command -v timeout >/dev/null 2>&1 && limit='timeout -k 5 60'
      cuda=$($limit nvidia-smi -q -x </dev/null 2>/dev/null |
        grep -m 2 -e '<driver_version>' -e '<cuda_version>' | tr -d '\n')
      cuda=${cuda:-none}
    fi
    echo "driver $cuda" ;;
  esac
done
"""


class EnvironmentState(State, frozen=True, kw_only=True):
    """An environment, and (never compared) the host around it."""

    alike: ClassVar[frozenset[str]] = frozenset({"packages", "pip"})

    present: bool
    managed: bool | UnsetType = UNSET
    """Whether it is a link to one of fleetenv's finished generations."""
    packages: Mapping[str, str] | UnsetType = UNSET
    """conda's records: name -> version, build, channel and the beginning of the file's sha256."""
    pip: Mapping[str, str] | UnsetType = UNSET
    """What pip or uv installed: name -> version."""
    variables: Mapping[str, str] | UnsetType = UNSET
    frozen: bool | UnsetType = UNSET
    """Whether conda refuses to change it (CEP 22)."""
    owner: str | UnsetType = UNSET
    """Whose the environment's folder is."""
    group: str | UnsetType = UNSET
    mode: str | UnsetType = UNSET
    """The folder's mode, octal: `0755`."""
    files: Mapping[str, str] | UnsetType = UNSET
    """Files and folders that were changed after the build, and how."""

    generation: str | UnsetType | None = UNSET
    miniconda: bool | UnsetType = UNSET
    machine: str | UnsetType = UNSET
    kernel: str | UnsetType = UNSET
    libc: str | UnsetType = UNSET
    driver: str | UnsetType | None = UNSET
    """The NVIDIA driver; None: there is none; UNSET: not looked for."""
    cuda: str | UnsetType | None = UNSET
    tools: tuple[str, ...] | UnsetType = UNSET
    """What lies in PREFIX/.fleetenv."""
    zstd: bool | UnsetType = UNSET
    """Whether Miniconda's Python reads zstd."""


class Subject(Struct, frozen=True):
    """Which environment is asked about, as the script takes it."""

    prefix: str
    name: str
    digests: tuple[str, ...]  # of the wanted generation, for each platform: the last part of its folder's name
    needs_cuda: bool
    needs_access: bool  # whether owner, group or mode are to be seen

    def __str__(self) -> str:
        cuda, access = ("yes" if each else "-" for each in (self.needs_cuda, self.needs_access))
        return f"{self.prefix}|{self.name}|{','.join(self.digests)}|{cuda}|{access}"


def conda_text(version: str, build: str, url: str, sha256: str) -> str:
    """Describe one installed or locked conda package, so that any other one reads otherwise."""
    return f"{version} {build} ({short_channel(url)}) sha256:{sha256[:12]}"


def wanted_packages(packages: Iterable[CondaPackage]) -> dict[str, str]:
    """Describe locked conda packages as they are seen once installed."""
    return {each.name: conda_text(each.version, each.build, each.url, each.sha256) for each in packages}


def wanted_pip(packages: Iterable[PipPackage]) -> dict[str, str]:
    """Describe locked pip packages as they are seen once installed."""
    return {each.name: _plain_version(each.version) for each in packages}


def parse(completed: Completed) -> dict[str, EnvironmentState]:
    """Read the script's answer: subject -> state. Lines that it cannot have written are passed over.

    Raises:
        ValueError: the answer was cut off.
    """
    if completed.dropped:
        raise ValueError("the answer about environments is too long")
    host: dict[str, str] = {}
    answers: dict[str, _Answer] = {}
    answer: _Answer | None = None
    for line in completed.text.split("\n"):
        word, _, rest = line.partition(" ")
        if answer is None and word in ("system", "libc"):
            host[word] = rest
        elif word == "environment" and rest.count("|") == 4:
            answer = answers[rest] = _Answer(rest)
        elif answer is not None:
            answer.take(word, rest, line)
    kernel, _, machine = host.get("system", "").partition(" ")
    return {
        subject: each.state(kernel=kernel, machine=machine, libc=host.get("libc", ""))
        for subject, each in answers.items()
    }


class _Answer(Struct):
    """Gathers the lines about one environment."""

    subject: str
    marks: set[str] = set()
    link: str | None = None
    tools: list[str] = []
    records: dict[str, dict[str, str]] = {}  # file name -> url, sha256
    pip: dict[str, str] = {}
    variables: dict[str, str] = {}
    newer: list[str] = []
    smi: str | None = None
    access: tuple[str, ...] = ()

    def take(self, word: str, rest: str, line: str) -> None:
        """Take one line."""
        match word:
            case "miniconda" | "zstd" | "present" | "frozen" | "stamp":
                self.marks.add(word)
            case "tool":
                self.tools.append(rest)
            case "link":
                self.link = rest
            case "newer":
                self.newer.append(rest)
            case "driver":
                self.smi = rest
            case "access":
                self.access = tuple(rest.split(" ", 2))
            case "state":
                self.variables = _variables(rest)
            case _ if line.endswith(_BY_PIP):
                self._dist_info(line)
            case _:
                self._record(line)

    def _record(self, line: str) -> None:
        match = _RECORD.match(line)
        if match:
            self.records.setdefault(match["file"], {})[match["key"]] = match["value"]

    def _dist_info(self, line: str) -> None:
        name, _, version = line.split("/")[-2].removesuffix(".dist-info").partition("-")
        self.pip[normalized(name)] = _plain_version(version)

    def state(self, *, kernel: str, machine: str, libc: str) -> EnvironmentState:
        """Put it together."""
        prefix, name, *_ = self.subject.split("|")
        folder = f"{prefix}/envs/.fleetenv/{name}/"
        generation = self.link.removeprefix(folder) if self.link else None
        ours = generation is not None and generation != self.link and "/" not in generation
        driver, cuda = _driver(self.smi)
        mode, owner, group = self.access if len(self.access) == 3 else (UNSET, UNSET, UNSET)
        return EnvironmentState(
            present="present" in self.marks,
            managed=ours and "stamp" in self.marks,
            packages=dict(_package(file, found) for file, found in sorted(self.records.items())),
            pip=self.pip,
            variables=self.variables,
            frozen="frozen" in self.marks,
            owner=owner,
            group=group,
            mode=mode if isinstance(mode, UnsetType) else mode.zfill(4),
            files=_files(self.newer, f"{prefix}/envs/{name}/"),
            generation=generation,
            miniconda="miniconda" in self.marks,
            machine=machine,
            kernel=kernel,
            libc=libc,
            driver=driver,
            cuda=cuda,
            tools=tuple(self.tools),
            zstd="zstd" in self.marks,
        )


_RECORD = re.compile(r'(?P<file>.*\.json):  "(?P<key>url|sha256)": "(?P<value>[^"]*)",?\s*\Z')


def _package(path: str, found: Mapping[str, str]) -> tuple[str, str]:
    stem = path.rpartition("/")[2].removesuffix(".json")
    name, version, build = [*stem.rsplit("-", 2), "", ""][:3]
    return name, conda_text(version, build, found.get("url", ""), found.get("sha256", ""))


def _plain_version(version: str) -> str:
    """Write a Python version as one file name and another would agree on: `2020.01.01` is `2020.1.1`."""
    return re.sub(r"(?<![0-9a-z])0+(?=\d)", "", version.lower().replace("_", "-"))


def _variables(text: str) -> dict[str, str]:
    try:
        document = json.loads(text)
    except ValueError:
        return {"conda-meta/state": "not readable"}
    variables = document.get("env_vars") if isinstance(document, dict) else None
    return {str(name): str(value) for name, value in variables.items()} if isinstance(variables, dict) else {}


def _files(newer: list[str], root: str) -> dict[str, str]:
    """Name what was changed; a folder only when nothing in it explains why it is newer."""
    paths = [path.removeprefix(root) for path in newer]
    explained = {posixpath.dirname(path.rstrip("/")) for path in paths}
    found = {}
    for path in sorted(paths):
        if not path.endswith("/") and path:
            found[path] = CHANGED
        elif path.rstrip("/") not in explained:
            found[path or "./"] = "something was added or removed in it by hand"
    if len(found) <= _MOST_FILES:
        return found
    some = dict(list(found.items())[:_MOST_FILES])
    return some | {"(others)": f"{len(found) - _MOST_FILES} more"}


def _driver(smi: str | None) -> tuple[str | UnsetType | None, str | UnsetType | None]:
    if smi is None:
        return UNSET, UNSET
    driver = re.search(r"<driver_version>\s*([\d.]{1,40})\s*<", smi)
    cuda = re.search(r"<cuda_version>\s*([\d.]{1,40})\s*<", smi)
    return driver[1] if driver else None, cuda[1] if cuda else None
