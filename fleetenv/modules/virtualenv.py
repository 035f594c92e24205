"""virtualenv: a layer of pip packages on top of a managed environment."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta

from fleetenv.conda.beneath import Beneath
from fleetenv.conda.inquiry import LAYERS, Inquiry
from fleetenv.conda.requirements_file import Requirements, check_wheels_only, read_requirements
from fleetenv.conda.whoami import whoami
from fleetenv.errors import MissingFile, TaskFailed
from fleetenv.modules.accounts import check_name
from fleetenv.modules.base import Controller, StateModule
from fleetenv.modules.hostpath import check_path
from fleetenv.modules.virtualenvstate import SCRIPT, Subject, VirtualenvState, parse
from fleetenv.onhost.arrivals import FOLDER
from fleetenv.onhost.layers import ARRIVALS
from fleetenv.onhost.virtualenv import Outcome, Request
from fleetenv.remote import Lookup, Offer, Step
from fleetenv.source import Value
from fleetenv.state import Diff, Place

if TYPE_CHECKING:
    from fleetenv.conda.layerwheels import LayerWheels
    from fleetenv.onhost.wheels import Wheel

_BUILDER = Inquiry("virtualenv", (*LAYERS, "interpreter", "pip", "virtualenv"), Outcome)
_FETCHING = Inquiry(
    "virtualenv",
    (
        *_BUILDER.modules, "arrivals", "download", "indexes", "supply", "transfer", "wheelcache", "wheels",
        "fleetenv.conda.channels", "fleetenv.conda.mirrors", "fleetenv.errors",
    ),
    Outcome,
)  # fmt: skip


class Virtualenv(StateModule[VirtualenvState], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keep a virtualenv on top of an environment's interpreter, with what a requirements file says.

    ```yaml
    - virtualenv:
        path: /data/venvs/summarize
        environment: nlp_train
        prefix: /opt/miniconda3
        requirements: summarize.txt
        system_site_packages: true
    - virtualenv: {path: /data/venvs/old, prefix: /opt/miniconda3, state: absent}
    ```

    A virtualenv is built beside the present one and becomes current by one rename when it works, as environments do.
    Jobs keep the one that they started in, with the generation of the environment beneath it. When that environment
    gets a new generation, the virtualenv is built anew upon it. Each package that is pinned (`==`) is compared with
    what is installed; packages added, changed or removed by hand show as well. Lines with `--hash` make pip check
    every file. Files named with `-r` and `-c` are read on the controller.
    """

    name: ClassVar[str] = "virtualenv"

    path: str
    """Where users find it: a symbolic link to the current generation in `.fleetenv` beside it."""
    environment: str | None = None
    """The environment beneath it, by name."""
    prefix: str
    """Where Miniconda is."""
    python: str | None = None
    """Another interpreter on the host, instead of an environment's."""
    requirements: Annotated[str, Meta(min_length=1)] | None = None
    """A requirements file of the controller, looked for in `files` and `envs` beside the role and the playbook."""
    system_site_packages: bool = False
    """Whether the packages of the environment beneath it can be imported, too."""
    state: Literal["present", "absent"] = "present"
    """Whether it should be there; `absent` spares generations that a process uses until a later run."""
    on_base_change: Literal["rebuild", "report"] = "rebuild"
    """When the environment beneath it has a new generation: build anew upon that, or only tell (`base_changed`)."""
    keep: Annotated[int, Meta(ge=1, le=100)] = 2
    """How many generations to keep, the current one included. One that a process uses is kept anyway."""
    pip_index: str | None = None
    """The package index; otherwise what the requirements or the host's pip.conf say."""
    packages_via: Literal["host", "controller"] = "host"
    """Who downloads packages: each host's pip, or the controller for all of them, through the SSH connection."""
    owner: str | None = None
    """Who owns it: a user's name or number; otherwise whoever the task runs as."""

    def __post_init__(self) -> None:
        """Refuse what no host could do."""
        for argument, path in (("path", self.path), ("prefix", self.prefix), ("python", self.python)):
            if path is None:
                continue
            check_path(path)
            if re.search(r"[|\n:]|/\Z", path) or (path.startswith("~") and argument != "path"):
                raise ValueError(
                    f"'{argument}' must be an absolute path without '|', ':' or '/' at its end, not '{path}'"
                )
        if self.path.startswith(f"{self.prefix}/"):
            raise ValueError(f"'path' must not be below {self.prefix}: virtualenvs are no environments of conda's")
        if self.state == "present" and (self.environment is None) == (self.python is None):
            raise ValueError("one of 'environment' and 'python' is needed, and only one: what it is built upon")
        if self.environment is not None and not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", self.environment):
            raise ValueError(f"'environment' is a name of letters, digits, '_', '.' and '-', not '{self.environment}'")
        if self.owner is not None and not self.owner.isdecimal():
            check_name(self.owner)
        if self.pip_index is not None and re.search(r"\s", self.pip_index):
            raise ValueError("'pip_index' must be a URL")

    def resolve(self, controller: Controller) -> PreparedVirtualenv:
        """Read the requirements, once a run.

        Raises:
            InputError: they cannot be read, or hold something that would not mean the same on each host.
        """
        wishes = Requirements()
        if self.requirements is not None and self.state == "present":
            path = _find(self.requirements, controller)
            wishes = controller.remember(("virtualenv", path), lambda: read_requirements(path))
            if self.packages_via == "controller":
                check_wheels_only(wishes, path)
        arguments = {each: getattr(self, each) for each in Virtualenv.__struct_fields__}
        wheels = self._wheels(wishes, controller) if self.packages_via == "controller" else None
        return PreparedVirtualenv(**arguments, wishes=wishes, wheels=wheels, check_mode=controller.check_mode)

    def _wheels(self, wishes: Requirements, controller: Controller) -> LayerWheels:
        from fleetenv.conda.layerwheels import LayerWheels  # what most runs need not import
        from fleetenv.conda.store import PackageStore

        store = controller.remember(PackageStore, PackageStore)
        key = (LayerWheels, wishes.digest, self.pip_index)
        found: LayerWheels = controller.remember(key, lambda: LayerWheels(wishes, self.pip_index, store))
        return found


class PreparedVirtualenv(Virtualenv, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A virtualenv task together with its requirements."""

    wishes: Requirements
    wheels: LayerWheels | None
    """What the controller downloads for it."""
    check_mode: bool

    def places(self) -> tuple[Place, ...]:
        """Return the virtualenv, and the Miniconda whose Python builds it."""
        return Place("miniconda", self.prefix), Place("virtualenv", self.path)

    def observe(self) -> Lookup[VirtualenvState | None]:
        """Return the question, the same for all virtualenvs of a host but for its subject."""
        return Lookup(SCRIPT, parse, str(Subject(self.path, self._python, self._needs_beneath)))

    def desired(self, found: VirtualenvState | None) -> VirtualenvState:
        """Return the virtualenv that should be there.

        Raises:
            TaskFailed: there is no interpreter to build it upon, or something else is in its place.
        """
        assert found is not None  # parse always gives a state
        if found.present and not found.base and found.generation is None:
            raise TaskFailed(f"{self.path} is there already, and is no virtualenv")
        if self.state == "absent":
            return VirtualenvState(present=False)
        if found.interpreter is None and not self.check_mode:
            raise TaskFailed(f"there is no working {self._python}: a task before this one must make it")
        follows = self.on_base_change == "rebuild" or not found.managed or not found.works
        base = found.interpreter.rpartition("/")[0] if isinstance(found.interpreter, str) else UNSET
        version = found.version if isinstance(found.version, str) else UNSET
        owned = self.owner or ""
        return VirtualenvState(
            present=True,
            managed=True,
            works=True,
            base=base if follows else UNSET,
            python=version if follows else UNSET,
            requirements=self._digest[:12],
            packages=self._packages(found),
            owner=owned if owned and not owned.isdecimal() else UNSET,
            uid=int(owned) if owned.isdecimal() else UNSET,
        )

    def converge(self, diff: Diff[VirtualenvState]) -> Iterator[Step]:
        """Build or remove the virtualenv.

        Raises:
            TaskFailed: the controller is to download its packages, and finds none that fit.
        """
        found = diff.found
        assert found is not None
        offers: tuple[Offer, ...] = ()
        generation = found.generation if isinstance(found.generation, str) else ""
        request = Request("remove", str(found.path), who=whoami())
        if self.state == "present":
            options = [f"--index-url {self.pip_index}"] if self.pip_index else []
            lines = [line for line in self.wishes.lines if not (self.pip_index and _names_index(line))]
            wheels, offers = self._offered(found)
            request = Request(
                action="build",
                path=str(found.path),
                seen=generation,
                keep=self.keep,
                python=str(found.interpreter),
                digest=hashlib.sha256(f"{self._digest} {found.interpreter}".encode()).hexdigest(),
                wishes_digest=self._digest,
                requirements=[*options, *lines],
                constraints=self.wishes.constraints,
                hashed=self.wishes.hashed,
                system_site_packages=self.system_site_packages,
                pinned=sorted(self.wishes.pins),
                via=self.packages_via,
                wheels=[asdict(each) for each in wheels],
                owner=self.owner or "",
                who=whoami(),
            )
        step = (_FETCHING if offers else _BUILDER).ask(self.prefix, **asdict(request))
        arrivals = f"{str(found.path).rpartition('/')[0]}/.fleetenv/{ARRIVALS}/{FOLDER}"
        yield msgspec.structs.replace(step, may_fail=False, offers=offers, arrivals=arrivals if offers else "")

    def _offered(self, found: VirtualenvState) -> tuple[list[Wheel], tuple[Offer, ...]]:
        """Return what the controller downloads for this host."""
        if self.wheels is None or self.check_mode or not self.wishes.lines or not isinstance(found.beneath, Beneath):
            return [], ()
        return self.wheels.for_host(found.beneath)

    def returns(self, found: VirtualenvState | None) -> Mapping[str, Value]:
        """Return where the virtualenv is, what it is built upon, and whether that is not the current base any more."""
        if found is None or not found.present:
            return {}
        base = found.base if isinstance(found.base, str) else None
        now = found.interpreter.rpartition("/")[0] if isinstance(found.interpreter, str) else base
        generation = found.generation if isinstance(found.generation, str) else None
        return {"path": str(found.path), "generation": generation, "base": base, "base_changed": base != now}

    @property
    def _needs_beneath(self) -> bool:
        """Whether the packages of the environment decide what the controller downloads."""
        return self.wheels is not None and self.system_site_packages and bool(self.wishes.lines)

    @property
    def _python(self) -> str:
        if self.environment is not None:
            return f"{self.prefix}/envs/{self.environment}/bin/python"
        return self.python or ""

    @property
    def _digest(self) -> str:
        """SHA-256 of all that decides what is in it, but for the interpreter."""
        meaning = [self.wishes.digest, self.system_site_packages]
        return hashlib.sha256(json.dumps(meaning).encode()).hexdigest()

    def _packages(self, found: VirtualenvState) -> dict[str, str]:
        """Return what should be installed: what was when it was built, with the versions that are pinned."""
        installed = found.packages if isinstance(found.packages, Mapping) else {}
        recorded = found.recorded if isinstance(found.recorded, Mapping) else {}
        lent = found.lent if isinstance(found.lent, Mapping) and self.system_site_packages else {}
        wanted = dict(recorded)
        for name, pin in self.wishes.pins.items():
            version = installed.get(name)
            if version is None and pin.allows(lent.get(name, "")):
                continue
            if version is not None and pin.allows(version):
                wanted[name] = version
            elif version is not None or not pin.conditional:
                wanted[name] = " or ".join(pin.versions)
        return wanted


def _find(requirements: str, controller: Controller) -> Path:
    try:
        return controller.find(requirements, "files")
    except MissingFile as missing:
        try:
            return controller.find(requirements, "envs")
        except MissingFile:
            raise missing from None


def _names_index(line: str) -> bool:
    return re.match(r"(?:-i|--index-url)(?:[ =]|\Z)", line) is not None
