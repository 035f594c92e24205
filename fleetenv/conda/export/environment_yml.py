"""An `environment.yml` with exact versions and builds, as `conda env export` writes them."""

from __future__ import annotations

from fleetenv.conda.exact import channels_of, exact_specs, spec_text
from fleetenv.conda.export import Locked
from fleetenv.conda.export.requirements import requirement
from fleetenv.source import Value


def render(locked: Locked) -> str:
    """Return the file."""
    packages = sorted(locked.platform.conda, key=lambda package: package.name)
    dependencies: list[Value] = [*exact_specs(packages)]
    if locked.platform.pip:
        pip = [requirement(locked, each) for each in locked.platform.pip]
        dependencies.append({"pip": [*locked.pip_options, *pip]})
    document: dict[str, Value] = {
        "name": locked.name,
        "channels": [*channels_of(packages)],
        "dependencies": dependencies,
    }
    if locked.spec.variables:
        document["variables"] = dict(locked.spec.variables)
    return spec_text(document, [f"{locked.title}. Written by 'fleetenv export': do not edit."])
