"""What a builder is asked for, from a conda_env task and what was found of its host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetenv.conda.mirrors import mirror_route
from fleetenv.conda.whoami import whoami
from fleetenv.modules.requirements import platform_lock
from fleetenv.onhost.request import Request

if TYPE_CHECKING:
    from fleetenv.conda.environment import EnvironmentState
    from fleetenv.modules.conda_env import LockedEnv


def build_request(task: LockedEnv, found: EnvironmentState) -> Request:
    """Ask for the environment that a task's lock has for a host.

    Raises:
        TaskFailed: the lock has no packages for the host's platform.
    """
    from fleetenv.conda.builder import rattler_version, runtime  # what a run that changes nothing need not import

    locked = platform_lock(task.plan, found, task.title)
    assert task.plan
    assert task.plan.lock
    spec = task.plan.spec
    packed = runtime(str(found.machine), zstd=found.zstd is True)
    direct = {each.name for each in spec.pip if each.direct_url}
    options = [
        f"{each.option} {each.value}" for each in spec.pip_options if not task.pip_index or each.option != "--index-url"
    ]
    return Request(
        action="build",
        prefix=task.prefix,
        name=task.title,
        keep=task.keep,
        seen=found.generation if isinstance(found.generation, str) else "",
        runtime=packed.name if packed else "",
        runtime_sha256=packed.sha256 if packed else "",
        runtime_version=packed.version if packed else rattler_version(),
        digest=task.plan.digests[locked.platform],
        lock=task.plan.lock.text,
        platform=locked.platform,
        via=task.packages_via,
        routes=[mirror_route(mirror) for mirror in task.mirrors],
        specs=[each.text for each in spec.conda],
        wheels=[
            {
                "name": each.name,
                "version": each.version,
                "url": each.url,
                "sha256": each.sha256,
                "direct": each.name in direct,
            }
            for each in locked.pip
        ],
        pip_options=options + ([f"--index-url {task.pip_index}"] if task.pip_index else []),
        variables=spec.variables,
        frozen=f"fleetenv keeps this environment as {spec.path.name} says: change that file" if task.freezes else "",
        check=task.check,
        verify=spec.settings.verify,
        verify_timeout=task.verify_timeout,
        owner=spec.settings.owner or "",
        group=spec.settings.group or "",
        mode=spec.settings.mode or "",
        who=whoami(),
        lock_timeout=task.lock_timeout,
    )
