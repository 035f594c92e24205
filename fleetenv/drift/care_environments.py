"""Findings about environments: those that nobody manages, and what was done by hand to any of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fleetenv.drift.about import About
from fleetenv.drift.finding import Finding
from fleetenv.drift.sections import Environment
from fleetenv.onhost.places import BASE

_MOST_NAMES = 5
_PIP = " (pip)"


def environment_findings(about: About, name: str, seen: Environment, *, asked: bool) -> Iterator[Finding]:
    """Yield what is wrong with one environment.

    Args:
        about: The host.
        name: What it goes by.
        seen: What was seen of it.
        asked: Whether it lies in a Miniconda that the playbook names; only there is everything looked at.
    """
    yield from _unmanaged(about, name, seen, asked=asked)
    if name == BASE and asked:
        yield from _base(about, seen)
    if about.named.is_told(seen.path):
        return  # the playbook's own finding says more, and building anew mends all of it
    if seen.unchecked:
        text = "there was no time left to look at its files: a host has a minute for all of them"
        yield about.finding("files-unchecked", name, text, about.commands.on(about.host, "verify", "--env", name))
    if seen.unread:
        packages = [record.rpartition("/")[2].rsplit("-", 2)[0] for record in seen.unread]
        mend = _mend(about, name, seen, packages)
        yield about.finding("unreadable-records", name, f"cannot be read: {_some(seen.unread)}", mend)
    for package, how in seen.overwritten.items():
        mend = _mend(about, name, seen, [package])
        yield about.finding("pip-over-conda", f"{name}: {package.partition(' ')[0]}", f"{package} {how}", mend)
    for kind in ("changed", "missing", "added"):
        files = {path: how.removeprefix(kind).strip() for path, how in seen.files.items() if how.startswith(kind)}
        if files:
            mend = _mend(about, name, seen, [how[1:-1] for how in files.values() if how])
            told = _some([f"{path} {how}".strip() for path, how in files.items()], seen.more_files)
            yield about.finding(f"files-{kind}", name, f"{kind}: {told}", mend)
    if seen.owners:
        path, how = next(iter(seen.owners.items()))
        others = len(seen.owners) - 1
        text = f"{path} {how}" + (f", and {others} more" if others else "")
        advice = about.there("sudo", "chown", "-R", "-h", seen.owner, f"{seen.path}/")
        yield about.finding("wrong-owner", name, text, advice)


def _unmanaged(about: About, name: str, seen: Environment, *, asked: bool) -> Iterator[Finding]:
    remove = about.there("conda", "env", "remove", "-p", seen.path)
    adopt = about.commands.on(about.host, "adopt", name, "-o", f"envs/{name.rpartition('/')[2]}.yml")
    if name == BASE or about.named.has("environment", seen.path):
        return
    if seen.dangling:
        text = f"is a link to {seen.dangling}, which is not there"
        if asked:
            yield about.finding("dangling-environment", name, text, about.there("rm", seen.path))
    elif not seen.prefix:
        text = f"{_count(seen)}, owned by {seen.owner}"
        yield about.finding("environment-elsewhere", name, text, f"{adopt}, or {remove}")
    elif asked and about.named.whole:
        if seen.generation:
            clean = about.commands.on(about.host, "clean", "--env", name)
            text = f"{seen.generation}, {_count(seen)}; no task of this playbook names it"
            yield about.finding("other-environment", name, text, f"if no other playbook does: {clean}")
        else:
            text = f"{_count(seen)}, owned by {seen.owner}; no task of the playbook names it"
            yield about.finding("extra-environment", name, text, f"{adopt}, or {remove}")


def _base(about: About, seen: Environment) -> Iterator[Finding]:
    if seen.added:
        remove = about.there("conda", "remove", "-p", seen.path, *seen.added)
        yield about.finding("base-packages", seen.path, f"conda has installed {_some(seen.added)}", remove)
    if seen.pip:
        names = [f"{name} {version}" for name, version in seen.pip.items()]
        remove = about.there(f"{seen.path}/bin/python", "-m", "pip", "uninstall", *seen.pip)
        yield about.finding("base-pip", seen.path, f"pip has installed {_some(names)}", remove)


def _mend(about: About, name: str, seen: Environment, packages: Sequence[str]) -> str:
    """Return what makes an environment's files those of its packages (`numpy 1.26.4`, `fire 0.5 (pip)`) again."""
    if about.named.has("environment", seen.path):  # apply has seen no difference: it must not trust this build
        return f"{about.there('rm', f'{seen.path}/conda-meta/fleetenv')}; then {about.apply()}"
    if seen.generation:
        return f"{about.commands.on(about.host, 'verify', '--env', name)}; then apply the playbook that names it"
    conda = sorted({each.partition(" ")[0] for each in packages if not each.endswith(_PIP)})
    pip = sorted({each.removesuffix(_PIP).replace(" ", "==") for each in packages if each.endswith(_PIP)})
    commands = []
    if conda:
        commands.append(about.there("conda", "install", "-p", seen.path, "--force-reinstall", *conda))
    if pip:
        commands.append(about.there(f"{seen.path}/bin/python", "-m", "pip", "install", "--force-reinstall", *pip))
    return "; ".join(commands) or about.commands.on(about.host, "verify", "--env", name)


def _count(seen: Environment) -> str:
    pip = f" and {len(seen.pip)} of pip" if seen.pip else ""
    return f"{len(seen.packages)} packages{pip}"


def _some(names: list[str], more: int = 0) -> str:
    left = len(names) - _MOST_NAMES + more
    return ", ".join(names[:_MOST_NAMES]) + (f" and {left} more" if left > 0 else "")
