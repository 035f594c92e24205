"""A job for GitLab CI: the environment is built in each job, from packages that are kept in the cache."""

from __future__ import annotations

from fleetenv.conda.export import Locked
from fleetenv.conda.export.ci import as_yaml, cache_key, checks
from fleetenv.conda.export.explicit import urls
from fleetenv.conda.export.requirements import hashed
from fleetenv.conda.export.script import MICROMAMBA, create, install_pip, written
from fleetenv.source import Value


def render(locked: Locked) -> str:
    """Return the job."""
    prefix = f"/tmp/envs/{locked.name}"  # noqa: S108  # of the job's own container
    build = [*written(urls(locked), "/tmp/explicit.txt"), create(prefix, "/tmp/explicit.txt")]  # noqa: S108
    if locked.platform.pip:
        build += written(hashed(locked), "/tmp/requirements.txt")  # noqa: S108
        build += install_pip(locked, prefix, "/tmp/requirements.txt")  # noqa: S108
    variables: dict[str, Value] = {name: value.replace("$", "$$") for name, value in locked.spec.variables.items()}
    places = {"CONDA_PKGS_DIRS": "$CI_PROJECT_DIR/.cache/conda", "PIP_CACHE_DIR": "$CI_PROJECT_DIR/.cache/pip"}
    job: dict[str, Value] = {
        "image": f"mambaorg/micromamba:{MICROMAMBA}",
        "variables": {**variables, **places},
        "cache": {"key": cache_key(locked), "paths": [".cache/conda/", ".cache/pip/"]},
        "before_script": ["\n".join([*build, ""]), f'export PATH="{prefix}/bin:$PATH"'],
        "script": [*checks(locked, prefix)],
    }
    return as_yaml({f"{locked.name}-environment": job}, locked)  # the name alone may be a keyword of GitLab's
