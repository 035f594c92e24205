"""miniconda: install Miniconda, or one like it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Literal

import msgspec

from fleetenv.conda.cache import file_sha256
from fleetenv.conda.installers import ARCHITECTURES, Source, conda_in_file, find_installer, is_newer
from fleetenv.errors import InputError, TaskFailed
from fleetenv.modules.base import Controller, StateModule
from fleetenv.modules.minicondastate import MinicondaState, read_state
from fleetenv.remote import Probe, Run, Send, Step, on_host, sh
from fleetenv.source import Value
from fleetenv.state import UNSET, Diff, Place, UnsetType

_NEVER = frozenset({"bin", "boot", "data", "dev", "etc", "home", "lib", "mnt", "opt", "proc", "root", "run", "srv"})
_NEVER |= frozenset({"sys", "tmp", "usr", "usr/local", "var", "var/lib"})


class Miniconda(StateModule[MinicondaState], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Install Miniconda, or one like it (Miniforge, a company's own made by constructor).

    ```yaml
    - miniconda: {prefix: /opt/miniconda3, installer: py311_24.7.1-0, sha256: ..., mirrors: [tuna, official]}
    ```

    An installation that died half-way is noticed and mended: removed and installed again, or, where environments live
    in it, installed over. One that somebody else made is adopted as it is. Without `upgrade` any version of conda will
    do. Hosts need curl or wget, unless the installer is a file on the controller.

    The terms of service of Anaconda's `defaults` channels are accepted only by `accept_tos: true`.
    """

    name: ClassVar[str] = "miniconda"

    prefix: str
    """Where it lives on the host: absolute, without spaces. It cannot be moved later."""
    installer: str | None = None
    """A version (`py311_24.7.1-0`, as in the names of its files, or `latest`), a URL, in which `{arch}` stands for
    x86_64 or aarch64, or the path of a file on the controller. Needed unless `state` is absent."""
    sha256: str | dict[str, str] | None = None
    """The installer's hash, checked before it runs; `{x86_64: ..., aarch64: ...}` where a fleet has both."""
    mirrors: tuple[str, ...] = ()
    """Where a version is looked for, in order: presets (tuna, bfsu, ustc, sjtu, nju, aliyun, official), or URLs of
    folders that hold installers. Left out: official."""
    state: Literal["present", "absent"] = "present"
    """Whether it should be there. `absent` refuses while environments or processes live in it, unless forced."""
    upgrade: bool = False
    """Whether an older conda is brought to the installer's version; environments stay."""
    force: bool = False
    """Remove it with the environments in it, or install over a folder that holds something else."""
    owner: str | None = None
    """Who owns it, all of it: a user's name or number."""
    accept_tos: bool = False
    """Say for all users of this installation that Anaconda's terms of service are accepted."""

    def __post_init__(self) -> None:
        """Refuse what no host could do."""
        _check_prefix(self.prefix)
        if self.installer is None and self.state == "present":
            raise ValueError("'installer' is needed: a version like py311_24.7.1-0, a URL, or a file")
        if self.owner is not None and not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.@$-]*", self.owner):
            raise ValueError(f"'owner' must be a user's name or number, not '{self.owner}'")
        for digest in self._digests().values():
            if not re.fullmatch(r"[0-9a-f]{64}", digest):
                raise ValueError(f"'sha256' must be 64 hexadecimal digits, not '{digest}'")
        if unknown := set(self._digests()) - {"", *ARCHITECTURES}:
            raise ValueError(f"'sha256' is by architecture, x86_64 or aarch64, not '{min(unknown)}'")
        try:
            self.source()
        except InputError as error:
            raise ValueError(f"'mirrors' and 'installer': {error}") from error

    def source(self) -> Source:
        """Return where the installer comes from."""
        return find_installer(self.installer, self.mirrors) if self.installer else Source()

    def resolve(self, controller: Controller) -> PreparedMiniconda:
        """Find the installer, if it is a file here, and check it once for all hosts.

        Raises:
            InputError: it is not there, or its hash is another.
        """
        source = self.source()
        if source.file is None or self.state == "absent":
            return PreparedMiniconda(**msgspec.structs.asdict(self), conda=source.conda)
        path = controller.find(source.file, "files")
        found = controller.remember(("miniconda", path), lambda: (file_sha256(path), conda_in_file(path)))
        digest, conda = found
        wanted = self._digests()
        if wanted and digest not in wanted.values():
            raise InputError(f"the sha256 of {path} is {digest}, not {' or '.join(wanted.values())}")
        return PreparedMiniconda(
            **msgspec.structs.asdict(self), pushed=str(path), digest=digest, conda=conda or source.conda
        )

    def _digests(self) -> dict[str, str]:
        if self.sha256 is None:
            return {}
        return {"": self.sha256} if isinstance(self.sha256, str) else dict(self.sha256)


class PreparedMiniconda(Miniconda, frozen=True, kw_only=True):
    """The module once its installer is known, as it goes to hosts."""

    pushed: str | None = None  # the installer on the controller, if that is where it is
    digest: str = ""  # its sha256; the host compares it with what has arrived
    conda: str | None = None  # the version of conda in it, if that can be known

    def places(self) -> tuple[Place, ...]:
        """Return the prefix."""
        return (Place("miniconda", self.prefix),)

    def observe(self) -> Probe[MinicondaState | None]:
        """Ask what is at the prefix."""
        asks = {"owner": "yes" if self.owner else "", "processes": "yes" if self.state == "absent" else ""}
        return Probe(_script("miniconda_look.sh", p=self.prefix, **asks), read_state)

    def desired(self, found: MinicondaState | None) -> MinicondaState | None:
        """Return a complete installation, or none.

        Raises:
            TaskFailed: something else is there, or it is in use and should go.
        """
        if found is not None:
            self._refuse(found)
        if self.state == "absent":
            return None
        return MinicondaState(
            condition=self._wanted_condition(found),
            conda=self._wanted_conda(found),
            owner=self.owner if self.owner and not self.owner.isdecimal() else UNSET,
            uid=int(self.owner) if self.owner and self.owner.isdecimal() else UNSET,
            terms="accepted" if self.accept_tos and found is not None and found.terms is not UNSET else UNSET,
        )

    def converge(self, diff: Diff[MinicondaState]) -> Iterator[Step]:
        """Install, mend, upgrade, adopt or remove it."""
        found = diff.found
        if diff.wanted is None:
            yield Run(_script("miniconda_remove.sh", p=self.prefix))
        elif found is None or diff.touches("conda") or (diff.touches("condition") and found.condition != "unverified"):
            yield from self._install("fresh" if found is None or found.condition == "half-finished" else "update")
        else:
            if diff.touches("terms"):
                yield Run(f"{on_host('miniconda_terms.sh')}accept_terms {sh(self.prefix)}")
            if diff.touches("owner", "uid"):
                yield Run(sh("chown", "-R", "--", str(self.owner), self.prefix))
            if diff.touches("condition"):
                folder = f"{self.prefix}/.fleetenv/miniconda"
                yield Run(f"mkdir -p {sh(folder)} && echo adopted >{sh(f'{folder}/finished')}")

    def returns(self, found: MinicondaState | None) -> Mapping[str, Value]:
        """Return prefix, conda's version, Python's version and the names of environments."""
        if found is None:
            return {"prefix": self.prefix}
        seen = {"conda": found.conda, "python": found.python}
        told: dict[str, Value] = {name: str(value) for name, value in seen.items() if value is not UNSET}
        names = found.environments if isinstance(found.environments, tuple) else ()
        return {"prefix": self.prefix, **told, "environments": list(names)}

    def _install(self, mode: Literal["fresh", "update"]) -> Iterator[Step]:
        folder = f"{self.prefix}/.fleetenv/miniconda"
        pushed = f"{folder}/pushed.sh" if self.pushed else ""
        if self.pushed:
            yield Run(f"umask 022; mkdir -p {sh(folder)}")
            yield Send(Path(self.pushed), pushed, mode=0o644)
        digests = self._digests()
        yield Run(
            on_host("miniconda_terms.sh")
            + _script(
                "miniconda_install.sh",
                *self.source().urls,
                p=self.prefix,
                pushed=pushed,
                pushed_sum=self.digest,
                sum=digests.get("", ""),
                **{f"sum_{arch}": digests.get(arch, "") for arch in ARCHITECTURES},
                mode=mode,
                owner=self.owner or "",
                terms="accept" if self.accept_tos else "",
            )
        )

    def _wanted_condition(self, found: MinicondaState | None) -> str | UnsetType:
        """Whoever may not write into an installation that works takes it as it is."""
        works = found is not None and found.condition == "unverified" and not found.writable
        return UNSET if works else "complete"

    def _wanted_conda(self, found: MinicondaState | None) -> str | UnsetType:
        if self.conda is None:
            return UNSET
        if found is None:
            return self.conda
        older = isinstance(found.conda, str) and is_newer(self.conda, found.conda)
        return self.conda if self.upgrade and older else UNSET

    def _refuse(self, found: MinicondaState) -> None:
        if found.condition == "denied":
            raise TaskFailed(f"no permission to look into {self.prefix}: does the task need 'become: true'?")
        if found.condition == "file":
            raise TaskFailed(f"{self.prefix} is there already, and is no folder")
        if found.condition == "something else" and (self.state == "absent" or not self.force):
            advice = "empty it, choose another prefix, or say 'force: true' to install over it"
            raise TaskFailed(
                f"{self.prefix} is there already, and is no conda installation (it has no conda-meta/history); "
                + (advice if self.state == "present" else "fleetenv removes only those")
            )
        if self.state == "absent" and not self.force:
            self._refuse_in_use(found)

    def _refuse_in_use(self, found: MinicondaState) -> None:
        lives = [("environments", found.environments), ("processes", found.processes)]
        for what, names in lives:
            if isinstance(names, tuple) and names:
                shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
                raise TaskFailed(f"{self.prefix} is in use, {what} live in it: {shown}; end that, or say 'force: true'")


def _check_prefix(prefix: str) -> None:
    if not prefix.startswith("/") or prefix.strip("/") in _NEVER | {""}:
        raise ValueError(f"'prefix' must be a folder of its own, such as /opt/miniconda3, not '{prefix}'")
    if re.search(r"[^A-Za-z0-9/._+@=~-]", prefix) or ".." in prefix.split("/"):
        raise ValueError(
            f"'prefix' cannot be '{prefix}': Miniconda refuses spaces, and quotes or '..' break its scripts"
        )


def _script(name: str, *arguments: str, **variables: str) -> str:
    """Return a script of fleetenv.onhost with its variables and arguments set before it."""
    settings = "".join(f"{key}={sh(value)}\n" for key, value in variables.items())
    return f"{settings}set -- {sh(*arguments)}\n{on_host(name)}"
