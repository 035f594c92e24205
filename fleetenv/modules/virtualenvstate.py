"""What is seen of a virtualenv on a host, asked for all of a host's virtualenvs at once."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from msgspec import UNSET, UnsetType

from fleetenv.conda.beneath import Beneath
from fleetenv.conda.spec import normalized
from fleetenv.modules.answers import by_subject
from fleetenv.remote import Completed
from fleetenv.state import State

# A subject is PATH|PYTHON: the virtualenv, and the interpreter beneath it; with '|beneath' also its packages are
# told. 'cd -P' leads through the environment's link to the generation that is current now.
SCRIPT = r"""
export LC_ALL=C
about='import sys, posix
try: libc = posix.confstr("CS_GNU_LIBC_VERSION").split()[1]
except (ValueError, OSError, AttributeError): libc = ""
print("%d.%d.%d" % sys.version_info[:3], posix.uname()[4], libc)'
for subject do
  path=${subject%%|*}; python=${subject#*|}; beneath=
  case $python in *'|beneath') python=${python%|*}; beneath=yes;; esac
  case $path in '~/'*) path=$HOME/${path#??};; esac
  printf 'subject\0%s\0path\0%s\0' "$subject" "$path"
  if [ -n "$python" ] && [ -x "$python" ]; then
    folder=$(cd -P -- "${python%/*}" && pwd) &&
      python=$folder/${python##*/} &&
      version=$("$python" -I -S -c "$about" 2>/dev/null </dev/null) &&
      printf 'interpreter\0%s\0version\0%s\0' "$python" "$version"
    if [ -n "$beneath" ]; then
      for package in "${folder%/*}"/lib/python3*/*-packages/*.dist-info; do
        printf 'beneath\0%s\0' "${package##*/}"
      done
    fi
  fi
  if [ -L "$path" ]; then printf 'link\0%s\0' "$(readlink -- "$path")"; fi
  if [ -e "$path" ] || [ -L "$path" ]; then printf 'present\0%s\0' "$path"; fi
  if [ -f "$path/pyvenv.cfg" ]; then
    printf 'owner\0%s\0' "$(stat -c '%U %u %G %g' -- "$path/pyvenv.cfg")"
    printf 'cfg\0%s\0' "$(head -c 4096 -- "$path/pyvenv.cfg")"
    if [ -f "$path/fleetenv.json" ]; then printf 'mark\0%s\0' "$(head -c 1048576 -- "$path/fleetenv.json")"; fi
    if [ -x "$path/bin/python" ]; then printf 'works\0%s\0' "$path"; fi
    for package in "$path"/lib/python3*/site-packages/*.dist-info; do printf 'package\0%s\0' "${package##*/}"; done
  fi
done
"""


class VirtualenvState(State, frozen=True, kw_only=True):
    """A virtualenv, and (never compared) what is around it."""

    alike: ClassVar[frozenset[str]] = frozenset({"packages", "python"})

    present: bool
    managed: bool | UnsetType = UNSET
    """Whether it is a link to one of fleetenv's finished generations."""
    works: bool | UnsetType = UNSET
    """Whether the interpreter beneath it is there."""
    base: str | UnsetType = UNSET
    """The folder of the interpreter that it was made with: of one generation of an environment."""
    python: str | UnsetType = UNSET
    """That interpreter's version: 3.11."""
    requirements: str | UnsetType = UNSET
    """The beginning of the digest of the requirements that it was built from."""
    packages: Mapping[str, str] | UnsetType = UNSET
    """What is installed in it: name -> version."""
    owner: str | UnsetType = UNSET
    uid: int | UnsetType = UNSET

    path: str | UnsetType = UNSET
    """Where it is, `~` expanded."""
    generation: str | UnsetType | None = UNSET
    recorded: Mapping[str, str] | UnsetType = UNSET
    """What was installed when it was built."""
    lent: Mapping[str, str] | UnsetType = UNSET
    """What was pinned when it was built, and came from the environment beneath."""
    interpreter: str | UnsetType | None = UNSET
    """The interpreter that it would be built with now, in a folder that is no link."""
    version: str | UnsetType | None = UNSET
    """That interpreter's version: 3.11."""
    beneath: Beneath | UnsetType | None = UNSET
    """That interpreter, as wheels are chosen for it."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Which virtualenv is asked about, as the script takes it."""

    path: str
    python: str
    beneath: bool = False  # whether also the packages of the environment are

    def __str__(self) -> str:
        return f"{self.path}|{self.python}{'|beneath' * self.beneath}"


def parse(completed: Completed) -> dict[str, VirtualenvState]:
    """Read the script's answer: subject -> state.

    Raises:
        ValueError: it is no such answer.
    """
    answers = by_subject(completed, "virtualenvs", bars=1)
    return {subject: _state(answer) for subject, answer in answers.items()}


def _state(answer: list[tuple[str, str]]) -> VirtualenvState:
    told = dict(answer)
    config: dict[str, str] = dict(re.findall(r"^(\w+)\s*=\s*(.*?)\s*$", told.get("cfg", ""), re.MULTILINE))
    path = told.get("path", "")
    folder, _, generation = told.get("link", "").rpartition("/")
    ours = folder.endswith(f"/.fleetenv/{path.rpartition('/')[2]}")
    requirements, recorded, lent = _mark(told.get("mark", ""))
    owner, uid = [*told.get("owner", "").split(), "", ""][:2]
    return VirtualenvState(
        present="present" in told,
        managed=ours and "mark" in told,
        works="works" in told,
        base=config.get("home", ""),
        python=".".join(str(config.get("version", config.get("version_info", ""))).split(".")[:2]),
        requirements=requirements,
        packages=dict(sorted(_package(value) for key, value in answer if key == "package" and "*" not in value)),
        owner=owner,
        uid=int(uid) if uid.isdecimal() else UNSET,
        path=path,
        generation=generation if ours else None,
        recorded=recorded,
        lent=lent,
        interpreter=told.get("interpreter"),
        version=".".join(told["version"].split(" ")[0].split(".")[:2]) if "version" in told else None,
        beneath=_beneath(told["version"], answer) if "version" in told else None,
    )


def _beneath(said: str, answer: list[tuple[str, str]]) -> Beneath:
    version, machine, glibc = [*said.split(), "", "", ""][:3]
    packages = {_package(value) for key, value in answer if key == "beneath" and "*" not in value}
    return Beneath(version, machine, glibc, tuple(sorted(packages)))


def _package(folder: str) -> tuple[str, str]:
    name, _, version = folder.removesuffix(".dist-info").partition("-")
    return normalized(name), version


def _mark(text: str) -> tuple[str, dict[str, str], dict[str, str]]:
    """Read what the builder wrote last: the requirements' digest, what they came to, and what came from beneath."""
    try:
        mark = json.loads(text)
    except (ValueError, RecursionError):
        return "", {}, {}
    if not isinstance(mark, dict):
        return "", {}, {}
    return str(mark.get("requirements", ""))[:12], _versions(mark.get("packages")), _versions(mark.get("lent"))


def _versions(said: object) -> dict[str, str]:
    return {str(name): str(version) for name, version in said.items()} if isinstance(said, dict) else {}
