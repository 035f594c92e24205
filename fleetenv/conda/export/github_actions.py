"""A workflow for GitHub Actions: the environment is built once for each lock, and kept in the cache."""

from __future__ import annotations

from fleetenv.conda.export import Locked
from fleetenv.conda.export.ci import as_yaml, cache_key, checks
from fleetenv.conda.export.explicit import urls
from fleetenv.conda.export.requirements import hashed
from fleetenv.conda.export.script import MICROMAMBA, create, install_pip, written
from fleetenv.source import Value

_RUNNERS = {"linux-64": "ubuntu-24.04", "linux-aarch64": "ubuntu-24.04-arm"}
_MISSED = "steps.cache.outputs.cache-hit != 'true'"


def render(locked: Locked) -> str:
    """Return the workflow."""
    name = locked.name
    prefix = f'"$HOME"/envs/{name}'
    build = [*written(urls(locked), '"$RUNNER_TEMP"/explicit.txt'), create(prefix, '"$RUNNER_TEMP"/explicit.txt')]
    if locked.platform.pip:
        build += written(hashed(locked), '"$RUNNER_TEMP"/requirements.txt')
        build += install_pip(locked, prefix, '"$RUNNER_TEMP"/requirements.txt')
    job: dict[str, Value] = {
        "runs-on": _RUNNERS.get(locked.platform.platform, ["self-hosted", locked.platform.platform]),
        "env": {key: value.replace("${{", "${{ '${{' }}") for key, value in locked.spec.variables.items()},
        "steps": [
            {"uses": "actions/checkout@v4"},
            {
                "id": "cache",
                "uses": "actions/cache@v4",
                "with": {"path": f"~/envs/{name}", "key": cache_key(locked)},
            },
            {
                "if": _MISSED,
                "uses": "mamba-org/setup-micromamba@v2",
                "with": {"micromamba-version": f"{MICROMAMBA}-0"},
            },
            {"name": "Build the environment", "if": _MISSED, "run": "\n".join([*build, ""])},
            {"run": f'echo "$HOME/envs/{name}/bin" >>"$GITHUB_PATH"'},
            {"name": "Check it", "run": "\n".join([*checks(locked, prefix), ""])},
        ],
    }
    if not locked.spec.variables:
        del job["env"]
    document: dict[str, Value] = {"name": name, "on": ["push", "pull_request"], "jobs": {"environment": job}}
    return as_yaml(document, locked)
