"""conda_env: a named environment with exactly the packages of a lock."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from msgspec import UNSET, Meta
from msgspec.structs import replace

from fleetenv.conda.channels import find_mirror
from fleetenv.conda.environment import SCRIPT, EnvironmentState, Subject, parse
from fleetenv.conda.lint import lint
from fleetenv.conda.lock import Lock, fresh_lock
from fleetenv.conda.plan import Plan
from fleetenv.conda.spec import Spec, read_spec
from fleetenv.conda.virtual import PLATFORMS
from fleetenv.conda.whoami import whoami
from fleetenv.errors import InputError, TaskFailed
from fleetenv.modules.base import Controller, Module, StateModule
from fleetenv.modules.requirements import platform_lock, require
from fleetenv.onhost.arrivals import FOLDER
from fleetenv.remote import Lookup, Offer, Run, Send, Step, sh
from fleetenv.source import Value
from fleetenv.state import Diff, Place

if TYPE_CHECKING:
    from fleetenv.onhost.request import Request

_MOST_COMING = 3  # of those that follow in a loop; more are not built ahead with one (onhost.ahead)


class CondaEnv(StateModule[EnvironmentState], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keep a named conda environment exactly as the lock of its spec says.

    ```yaml
    - conda_env: {spec: nlp_train.yml, prefix: /opt/miniconda3}
    - conda_env: {spec: "{{ item }}.yml", prefix: /opt/miniconda3, mirrors: [tuna, official], keep: 3}
      loop: "{{ conda_envs }}"
    - conda_env: {environment: nlp_summarization_2023q2, prefix: /opt/miniconda3, state: absent}
    ```

    The lock (`envs/NAME.lock`, made by `fleetenv lock`) holds every package's URL and hash; hosts never solve. Any
    difference (a package added, removed or overwritten by hand, a file touched, another lock) is mended by building a
    new generation beside the present one and switching to it when it works. Running jobs keep the one they have.
    """

    name: ClassVar[str] = "conda_env"

    spec: Annotated[str, Meta(min_length=1)] | None = None
    """The `environment.yml`, looked for in `envs` beside the role and the playbook. Needed unless `state: absent`."""
    prefix: str
    """Where Miniconda is."""
    environment: str | None = None
    """The environment's name; otherwise what the spec says."""
    state: Literal["present", "absent"] = "present"
    """Whether it should be there."""
    keep: Annotated[int, Meta(ge=1, le=100)] = 2
    """How many generations to keep, the current one included. One that a process uses is kept anyway."""
    mirrors: tuple[str, ...] = ()
    """Where to download conda packages, tried in order; otherwise what the host's .condarc says."""
    pip_index: str | None = None
    """The package index for the pip section; otherwise what the spec or the host's pip.conf says."""
    platforms: tuple[str, ...] = ()
    """What `apply --lock` locks for; otherwise what the spec's `fleetenv:` block says, else its present lock."""
    cuda: str | None = None
    """The CUDA that every host's driver supports at least, for `apply --lock`; `none`: no GPU."""
    glibc: str | None = None
    """The glibc that every host has at least, for `apply --lock`."""
    packages_via: Literal["host", "controller"] = "host"
    """Who downloads packages: each host, or the controller for all of them, through the SSH connection."""
    frozen: bool | None = None
    """Whether conda is to refuse changes by hand (CEP 22); otherwise what the spec's `freeze` says, else yes."""
    check: Literal["sampled", "full"] = "sampled"
    """Before the switch all files must be there; whether the hashes of some or of all of them are looked at."""
    verify_timeout: Annotated[float, Meta(gt=0)] = 600
    """Seconds that each of the spec's `verify` commands may take."""
    lock_timeout: Annotated[float, Meta(ge=0)] = 1800
    """Seconds to wait while another fleetenv changes environments of this prefix; then it fails with who does."""

    def __post_init__(self) -> None:
        """Refuse what no host could do."""
        if not re.fullmatch(r"/[^|\n]*[^|\n/]", self.prefix):
            raise ValueError(f"'prefix' must be where Miniconda is, such as /opt/miniconda3, not '{self.prefix}'")
        if self.environment is not None and not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", self.environment):
            raise ValueError(f"'environment' is a name of letters, digits, '_', '.' and '-', not '{self.environment}'")
        if self.spec is None and self.state == "present":
            raise ValueError("'spec' is needed, the environment.yml to build from")
        if self.spec is None and self.environment is None:
            raise ValueError("'environment' or 'spec' is needed to know what should be absent")
        for mirror in self.mirrors:
            try:
                find_mirror(mirror)
            except InputError as error:
                raise ValueError(f"'mirrors': {error}") from error

    def resolve(self, controller: Controller) -> LockedEnv:
        """Read the spec and its lock, once a run.

        Raises:
            InputError: there is no spec, or its lock is missing or stale.
        """
        plan: Plan | None = None
        if self.spec is not None and (self.state == "present" or self.environment is None):
            path = controller.find(self.spec, "envs")
            key = ("conda_env", path, self.state)
            plan = controller.remember(key, lambda: self._plan(path, controller))
        environment = self.environment or (plan.spec.name if plan else None)
        arguments = {field: getattr(self, field) for field in CondaEnv.__struct_fields__}
        arguments |= {"environment": environment, "offers": self._offers(plan, controller) if plan else {}}
        return LockedEnv(**arguments, plan=plan, check_mode=controller.check_mode)

    def _offers(self, plan: Plan, controller: Controller) -> Mapping[str, tuple[Offer, ...]]:
        if self.packages_via == "host" or plan.lock is None:
            return {}
        from fleetenv.conda.builder import fetch_runtime  # as below: what a run that changes nothing need not import
        from fleetenv.conda.store import PackageStore, offers

        store = controller.remember(PackageStore, PackageStore)
        spec, platforms, mirrors, index = plan.spec, plan.lock.platforms, self.mirrors, self.pip_index
        for machine, platform in PLATFORMS.items():
            if platform in platforms and not controller.check_mode:
                fetch_runtime(machine, index)  # what it says of a failure is told to hosts that need it
        key = (PackageStore, spec.path, mirrors, index)
        found: Mapping[str, tuple[Offer, ...]] = controller.remember(
            key, lambda: offers(store, spec, platforms, mirrors, index)
        )
        return found

    def _plan(self, path: Path, controller: Controller) -> Plan:
        spec = read_spec(path)
        if self.state == "absent":
            return Plan(spec, None)
        lock = self._relocked(spec, controller) if controller.relock else fresh_lock(spec)
        for finding in lint(spec, lock):
            controller.warn(str(finding))
        return Plan(spec, lock)

    def _relocked(self, spec: Spec, controller: Controller) -> Lock:
        from fleetenv.conda.relock import Wishes, relocked

        mirror = self.mirrors[0] if self.mirrors else None
        return relocked(spec, Wishes(self.platforms, self.glibc, self.cuda, mirror, self.pip_index), controller.warn)


class LockedEnv(CondaEnv, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A conda_env task together with its spec and its lock."""

    plan: Plan | None
    check_mode: bool
    offers: Mapping[str, tuple[Offer, ...]] = {}
    """For each platform what the controller downloads for hosts."""
    coming: tuple[LockedEnv, ...] = ()
    """What comes after it, in the same loop or in the next tasks, and is built in the same prefix."""

    def places(self) -> tuple[Place, ...]:
        """Return the environment, and the Miniconda that it belongs to."""
        return Place("miniconda", self.prefix), Place("environment", f"{self.prefix}/envs/{self.title}")

    def observe(self) -> Lookup[EnvironmentState | None]:
        """Return the question, the same for all environments of a host but for its subject."""
        digests = tuple(self.plan.digests.values()) if self.plan else ()
        subject = Subject(
            prefix=self.prefix,
            name=self.title,
            digests=digests,
            needs_cuda=self.plan is not None and self.plan.needs_cuda,
            needs_access=self.plan is not None and self.plan.needs_access,
        )
        return Lookup(SCRIPT, parse, str(subject))

    def desired(self, found: EnvironmentState | None) -> EnvironmentState:
        """Return what the lock says for this host's platform.

        Raises:
            TaskFailed: the host cannot have it: no Miniconda, another platform, too old a driver or glibc.
        """
        assert found is not None  # parse always gives a state
        if self.state == "absent":
            return EnvironmentState(present=False)
        if not found.miniconda and not self.check_mode:
            task = f"a task 'miniconda: {{prefix: {self.prefix}, ...}}' before this one installs it"
            raise TaskFailed(f"there is no Miniconda in {self.prefix}: {task}")
        locked = platform_lock(self.plan, found, self.title)
        require(locked.conda, found, self.title)
        assert self.plan
        packages, pip = self.plan.wanted[locked.platform]
        settings = self.plan.spec.settings
        return EnvironmentState(
            present=True,
            managed=True,
            packages=packages,
            pip=pip,
            variables=self.plan.spec.variables,
            frozen=self.freezes,
            owner=settings.owner or UNSET,
            group=settings.group or UNSET,
            mode=settings.mode.zfill(4) if settings.mode else UNSET,
            files={},
        )

    def converge(self, diff: Diff[EnvironmentState]) -> Iterator[Step]:
        """Send what the host lacks to build environments, and let it build or remove this one.

        Raises:
            TaskFailed: it is to be removed, but there is no Miniconda (any more) to do that with.
        """
        import dataclasses  # all this is what a run that changes nothing need not import

        from fleetenv.conda.builder import encoded, fetch_runtime, program, runtime
        from fleetenv.modules.buildrequest import build_request
        from fleetenv.onhost.request import Request

        found = diff.found
        assert found is not None
        if self.state == "absent" and not found.miniconda:
            raise TaskFailed(f"there is no Miniconda in {self.prefix}: remove {self.prefix}/envs/{self.title} by hand")
        folder = f"{self.prefix}/.fleetenv"
        builder = program()
        tools = found.tools if isinstance(found.tools, tuple) else ()
        yield Run(sh("mkdir", "-p", folder))
        if builder.name not in tools:
            yield Send(builder.data, f"{folder}/{builder.name}", mode=0o644)
        request = Request("remove", self.prefix, self.title, who=whoami(), lock_timeout=self.lock_timeout)
        offers: tuple[Offer, ...] = ()
        if self.state == "present":
            coming = list(self._coming(found))
            request = dataclasses.replace(
                build_request(self, found), coming=[dataclasses.asdict(each) for each in coming]
            )
            needed = [*self.offers.get(request.platform, ())]
            for each in self.coming:
                needed += each.offers.get(request.platform, ())
            offers = tuple({each.sha256: each for each in needed}.values())
            has_rattler = request.runtime or f"py-rattler-{request.runtime_version}" in tools
            if offers and not has_rattler and not self.check_mode:
                why = fetch_runtime(str(found.machine), self.pip_index)
                raise TaskFailed(f"the controller cannot get py-rattler for {found.machine}: {why}")
            if request.runtime and f"py-rattler-{request.runtime_version}" not in tools:
                packed = runtime(str(found.machine), zstd=found.zstd is True)
                assert packed
                yield Send(packed.path, f"{folder}/{packed.name}", mode=0o644)
        build = sh(f"{self.prefix}/bin/python", "-I", f"{folder}/{builder.name}")
        yield Run(build, stdin=encoded(request), offers=offers, arrivals=f"{self.prefix}/pkgs/{FOLDER}")

    def followed_by(self, others: Iterable[Module]) -> LockedEnv:
        """Let the host begin with other environments of the same prefix while this one is compiled and checked."""
        mine = (self.prefix, self.packages_via)
        environments = (each for each in others if isinstance(each, LockedEnv) and each.state == "present")
        coming = (each for each in environments if (each.prefix, each.packages_via) == mine)
        coming = (each for each in coming if each.environment != self.environment)
        return replace(self, coming=tuple(islice(coming, _MOST_COMING)))  # more would be sent with each of a long loop

    def _coming(self, found: EnvironmentState) -> Iterator[Request]:
        """Say what environments that come later ask for, as far as it is known that this host can have them."""
        from fleetenv.modules.buildrequest import build_request  # as above

        for each in self.coming:
            with suppress(TaskFailed):  # told at its turn
                require(platform_lock(each.plan, found, each.title).conda, found, each.title)
                if found.driver is not UNSET or not (each.plan and each.plan.needs_cuda):
                    yield build_request(each, found)

    def returns(self, found: EnvironmentState | None) -> Mapping[str, Value]:
        """Return where the environment is, and which generation of it."""
        if found is None or not found.present:
            return {}
        generation = found.generation if isinstance(found.generation, str) else None
        return {"path": f"{self.prefix}/envs/{self.title}", "generation": generation}

    @property
    def title(self) -> str:
        """The environment's name."""
        assert self.environment
        return self.environment

    @property
    def freezes(self) -> bool:
        """Whether conda is to refuse changes by hand."""
        assert self.plan
        return self.plan.spec.settings.freeze is not False if self.frozen is None else self.frozen
