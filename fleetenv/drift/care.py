"""Findings about what no playbook speaks of and nobody should do: made of a snapshot and what the playbook names."""

from __future__ import annotations

from collections.abc import Iterator

from fleetenv.drift.about import About
from fleetenv.drift.care_environments import environment_findings
from fleetenv.drift.condarc import UNREADABLE
from fleetenv.drift.finding import Finding
from fleetenv.drift.sections import Kernel, Miniconda, Sections, Virtualenv
from fleetenv.remote import sh

_INSTALLER = "bash Miniconda3-latest-Linux-$(uname -m).sh"


def care_findings(about: About, seen: Sections) -> Iterator[Finding]:
    """Yield what is unmanaged, or mismanaged, on one host."""
    for path, miniconda in seen.miniconda.items():
        yield from _miniconda(about, path, miniconda)
    for name, environment in seen.environments.items():
        asked = environment.prefix in seen.miniconda and seen.miniconda[environment.prefix].asked
        yield from environment_findings(about, name, environment, asked=asked)
    for path, virtualenv in seen.virtualenvs.items():
        yield from _virtualenv(about, path, virtualenv)
    for path, kernel in seen.kernels.items():
        yield from _kernel(about, path, kernel)
    yield from _settings(about, seen)


def _miniconda(about: About, path: str, seen: Miniconda) -> Iterator[Finding]:
    private = "" if seen.asked else path
    if not seen.asked:
        text = f"conda {seen.conda or '(unknown)'}, owned by {seen.owner}; no task of the playbook speaks of it"
        adopt = about.commands.on(about.host, "adopt", f"{path}/envs/NAME", "-o", "envs/NAME.yml")
        yield about.finding("other-miniconda", path, text, f"to take over one of its environments: {adopt}", path=path)
    if seen.lacks and not about.named.is_told(path):
        installer = f"on {about.host}: {_INSTALLER} -b -u -p {sh(path)}"  # spares the environments that are there
        mend = about.apply() if about.named.has("miniconda", path) else installer
        yield about.finding("unfinished-miniconda", path, seen.lacks, mend, path=private)
    for folder in seen.writable:
        text = "everybody may write into it, and so exchange programs that others run"
        yield about.finding("world-writable", folder, text, about.there("sudo", "chmod", "o-w", folder), path=private)
    for left, what in seen.leftovers.items():
        yield about.finding("leftover", left, what, about.commands.on(about.host, "clean", "--prefix", path))


def _virtualenv(about: About, path: str, seen: Virtualenv) -> Iterator[Finding]:
    if seen.works or about.named.is_told(path):
        return
    mend = about.apply() if about.named.has("virtualenv", path) else about.there("rm", "-r", path)
    yield about.finding("orphan-virtualenv", path, f"its interpreter is gone: {seen.base}", mend, path=path)


def _kernel(about: About, path: str, seen: Kernel) -> Iterator[Finding]:
    if not seen.gone or about.named.is_told(path):
        return
    mend = about.apply() if about.named.has("kernel", path) else about.there("rm", "-r", path)
    yield about.finding("stale-kernel", path, f"starts {seen.program}, which is not there", mend, path=path)


def _settings(about: About, seen: Sections) -> Iterator[Finding]:
    """Find settings that contradict those of a Miniconda which the playbook names: conda would go by the others."""
    own = [f"{path}/.condarc" for path, each in seen.miniconda.items() if each.asked]
    others = {f"{path}/.condarc" for path, each in seen.miniconda.items() if not each.asked}  # these count there only
    for path, settings in seen.condarc.items():
        if UNREADABLE in settings:
            mend = about.there("conda", "config", "--file", path, "--validate")
            yield about.finding("condarc-unreadable", path, "is no YAML mapping", mend, path=path)
        elif path not in own and path not in others:
            yield from _conflict(about, path, settings, {each: seen.condarc.get(each, {}) for each in own})


def _conflict(about: About, path: str, settings: dict[str, str], own: dict[str, dict[str, str]]) -> Iterator[Finding]:
    told = {
        key: f"{key} is {value} here, {ours[key]} in {place}"
        for place, ours in own.items()
        for key, value in settings.items()
        if key in ours and ours[key] != value
    }
    if told:
        mend = about.there("conda", "config", "--file", path, *(word for key in told for word in ("--remove-key", key)))
        yield about.finding("condarc-conflict", path, "; ".join(told.values()), mend, path=path)
