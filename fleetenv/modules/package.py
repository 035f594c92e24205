"""`package` and `apt`: the distribution's packages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

import msgspec

from fleetenv.errors import TaskFailed
from fleetenv.modules.base import StateModule
from fleetenv.remote import Completed, Lookup, Run, Step, sh
from fleetenv.source import Value
from fleetenv.state import UNSET, Diff, State, UnsetType

SETTLED = 300
"""Seconds for which a package index that was just fetched counts as fresh, even if the task says nothing of age."""

_LOOK = r"""printf '%s\0' "$@"; printf '\0'
names= latest= age=
for s do
  o=${s%%:*}; names="$names ${s#*:}"
  case $o in *l*) latest="$latest ${s#*:}";; esac
  case $o in *a*) age=1;; esac
done
if command -v dpkg-query > /dev/null; then
  echo apt
  form='${db:Status-Status} ${binary:Package} ${Package} ${Version}\n'
  [ -z "$names" ] || dpkg-query -W -f "$form" -- $names 2>/dev/null
  if [ -n "$latest" ]; then
    LC_ALL=C apt-cache policy -- $latest 2>/dev/null | while read -r a b c; do
      case $a in [a-z0-9]*:) [ -n "$b" ] || echo "policy ${a%:}";; Candidate:) echo "candidate $b";; esac
    done
  fi
  if [ -n "$age" ]; then
    for f in /var/lib/apt/periodic/update-success-stamp /var/lib/apt/lists; do
      if [ -e "$f" ]; then echo "age $(($(date +%s) - $(stat -c %Y "$f")))"; break; fi
    done
  fi
elif command -v rpm > /dev/null; then
  echo rpm
  [ -z "$names" ] || rpm -q --qf 'installed %{NAME} %{NAME} %{VERSION}-%{RELEASE}\n' --whatprovides $names 2>/dev/null
  if command -v dnf > /dev/null; then tool=dnf; else tool=yum; fi
  [ -z "$latest" ] || $tool -q check-update $latest 2>/dev/null | while read -r a b c; do
    case $a in *.*) echo "newer ${a%.*} $b";; esac
  done
else
  echo none
fi
:"""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]*(:[a-z0-9]+)?(=[A-Za-z0-9][A-Za-z0-9.+~:*-]*)?")

_WAIT = "-o DPkg::Lock::Timeout="


class PackagesState(State, frozen=True, kw_only=True):
    """Packages by name, each with its version or `absent`; `index` says whether the package index is fresh."""

    packages: Mapping[str, str]
    index_age: int | UnsetType = UNSET  # seconds since the package index was fetched
    newest: Mapping[str, str] | UnsetType = UNSET  # version that could be installed, where that was asked
    system: Literal["apt", "rpm", "none"] | UnsetType = UNSET


class _Packages(StateModule[PackagesState], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `package` and `apt` share."""

    synonyms: ClassVar[Mapping[str, str]] = {"pkg": "name", "package": "name", "update-cache": "update_cache"}

    packages: tuple[str, ...] = msgspec.field(name="name", default=())
    """Packages; `NAME=VERSION` wants that version (apt), which may end in `*`."""
    state: Literal["present", "absent", "latest"] = "present"
    """`present` installs what is missing, `latest` upgrades as well."""
    update_cache: bool = False
    """Fetch the package index first. With `present` only when something must be installed."""
    cache_valid_time: int = 0
    """Seconds for which the index is fresh enough; at least 300."""
    lock_timeout: int = 60
    """Seconds to wait for another package manager to finish."""

    def __post_init__(self) -> None:
        for name in self.packages:
            if not _NAME.fullmatch(name):
                raise ValueError(f"'{name}' cannot be the name of a package")
        if not self.packages and not self.update_cache:
            raise ValueError("'name' is needed: the packages")

    def observe(self) -> Lookup[PackagesState | None]:
        """Ask about all packages of all tasks at once."""
        options = ("l" if self.state == "latest" else "") + ("a" if self.update_cache else "")
        return Lookup(_LOOK, _parse, f"{options}:{' '.join(name.partition('=')[0] for name in self.packages)}")

    def desired(self, found: PackagesState | None) -> PackagesState:
        """Return each package's version: the one found if it will do."""
        assert found is not None
        self._refuse(found)
        packages = {}
        for name in self.packages:
            bare, _, version = name.partition("=")
            packages[bare] = self._version(bare, version, found)
        return PackagesState(packages=packages, index_age=self._index_age(found, packages))

    def _version(self, name: str, version: str, found: PackagesState) -> str:
        there = found.packages.get(name, "absent")
        if self.state == "absent":
            return "absent"
        if version:
            same = there == version or (found.system == "rpm" and there.startswith(f"{version}-"))
            same = same or (version.endswith("*") and there.startswith(version[:-1]))
            return there if same and there != "absent" else version
        if self.state == "latest" and not isinstance(found.newest, UnsetType) and name in found.newest:
            return found.newest[name]
        return "installed" if there == "absent" else there

    def _index_age(self, found: PackagesState, packages: Mapping[str, str]) -> int | UnsetType:
        """With `present` the index matters only when something is installed."""
        idle = (
            self.packages
            and self.state != "latest"
            and all(found.packages.get(name) == version for name, version in packages.items())
        )
        if not self.update_cache or idle or self.state == "absent" or found.system != "apt":
            return UNSET
        fresh = isinstance(found.index_age, int) and found.index_age < max(self.cache_valid_time, SETTLED)
        return found.index_age if fresh else 0

    def _refuse(self, found: PackagesState) -> None:
        if found.system == "none":
            raise TaskFailed("the host has neither apt nor dnf nor yum")

    def returns(self, found: PackagesState | None) -> Mapping[str, Value]:
        """Return the packages with their versions."""
        return {} if found is None else {"packages": dict(found.packages)}


class Apt(_Packages, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keep packages of Debian or Ubuntu on the host, or away from it. Only what is missing is installed.

    ```yaml
    - apt: {name: [git, tmux, nvtop], update_cache: true, cache_valid_time: 3600}
    - apt: {name: nvidia-driver-550=550.54.15-*, state: present}
    ```
    """

    name: ClassVar[str] = "apt"
    synonyms: ClassVar[Mapping[str, str]] = {**_Packages.synonyms, "default-release": "default_release"}

    install_recommends: bool | UnsetType = UNSET
    """Whether recommended packages come along; left out: as apt is configured."""
    default_release: str | UnsetType = UNSET
    """The release to take packages from (`bookworm-backports`)."""
    allow_downgrade: bool = False
    """Let a wanted version be older than the one installed."""
    purge: bool = False
    """With `absent`: remove configuration files, too."""
    autoremove: bool = False
    """With `absent`: remove what was installed for it alone, too."""

    def converge(self, diff: Diff[PackagesState]) -> Iterator[Step]:
        """Install or remove what differs, with one apt-get."""
        yield from _apt(self, diff, self._options())

    def _refuse(self, found: PackagesState) -> None:
        if found.system != "apt":
            raise TaskFailed("the host has no apt; 'package' is for any distribution")

    def _options(self) -> list[str]:
        options = []
        if isinstance(self.install_recommends, bool):
            options += ["-o", f"APT::Install-Recommends={'yes' if self.install_recommends else 'no'}"]
        if isinstance(self.default_release, str):
            options += ["-t", self.default_release]
        options += ["--allow-downgrades"] if self.allow_downgrade else []
        options += ["--purge"] if self.purge else []
        return options + (["--auto-remove"] if self.autoremove else [])


class Package(_Packages, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keep packages of the distribution on the host, or away from it: by apt, dnf or yum.

    ```yaml
    - package: {name: [git, tmux], state: present}
    ```
    """

    name: ClassVar[str] = "package"

    def converge(self, diff: Diff[PackagesState]) -> Iterator[Step]:
        """Install or remove what differs, with one call of the host's package manager."""
        assert diff.found is not None
        if diff.found.system == "apt":
            yield from _apt(self, diff, [])
        else:
            yield from _rpm(self, diff)


def _changes(task: _Packages, diff: Diff[PackagesState]) -> tuple[list[str], list[str]]:
    """Return what to install, as NAME or NAME=VERSION, and what to remove."""
    differ = [each.key.removeprefix("packages.") for each in diff.differences if each.key.startswith("packages.")]
    if task.state == "absent":
        return [], differ
    if task.state == "latest" and diff.touches("index_age"):
        return list(task.packages), []  # a new index may have newer versions than the one that was looked at
    return [name for name in task.packages if name.partition("=")[0] in differ], []


def _apt(task: _Packages, diff: Diff[PackagesState], options: list[str]) -> Iterator[Step]:
    environment = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", "NEEDRESTART_MODE": "a"}
    wait = ("-o", f"DPkg::Lock::Timeout={task.lock_timeout}")
    keep = ("-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold")
    if diff.touches("index_age"):
        yield Run(f"{sh('apt-get', '-q', *wait, 'update')} > /dev/null", environment=environment)
    install, remove = _changes(task, diff)
    for action, names in (("install", install), ("remove", remove)):
        if names:
            script = sh("apt-get", "-q", "-y", *wait, *keep, *options, action, "--", *names)
            yield Run(f"{script} > /dev/null", environment=environment)


def _rpm(task: _Packages, diff: Diff[PackagesState]) -> Iterator[Step]:
    install, remove = _changes(task, diff)
    tool = "$(command -v dnf || command -v yum)"
    if task.update_cache and install:
        yield Run(f"{tool} -q makecache > /dev/null")
    for action, names in (("install", install), ("remove", remove)):
        if names:
            words = sh(*(name.replace("=", "-", 1) for name in names))
            yield Run(f"{tool} -q -y {action} -- {words} > /dev/null")


def _parse(completed: Completed) -> Mapping[str, PackagesState | None]:
    subjects, _, text = completed.text.partition("\0\0")
    system, *lines = [line.split() for line in text.splitlines()] or [["none"]]
    versions: dict[str, str] = {}
    newest: dict[str, str] = {}
    age: int | UnsetType = UNSET
    policy = ""
    for words in lines:
        match words:
            case ["installed", name, short, version]:
                versions |= {short: version, name: version}
            case ["policy", name]:
                policy = name
            case ["candidate", version] if version != "(none)":
                newest[policy] = version
            case ["newer", name, version]:
                newest[name] = version
            case ["age", seconds]:
                age = int(seconds)
    found: dict[str, PackagesState | None] = {}
    for subject in subjects.split("\0"):
        names = subject.partition(":")[2].split()
        found[subject] = PackagesState(
            packages={name: versions.get(name, "absent") for name in names},
            newest={name: newest[name] for name in names if name in newest},
            index_age=age,
            system="apt" if system == ["apt"] else "rpm" if system == ["rpm"] else "none",
        )
    return found
