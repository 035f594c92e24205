"""The linter: what is allowed in a spec, and yet will cost somebody an afternoon.

Rules are pure functions over a spec; what they know beside it (the project's policy, the lock, what channels offer) is
handed to them. A finding is silenced by `# fleetenv: ignore=CODE` on its line, or for a project in `fleetenv.toml`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from fleetenv.conda.channels import OFFICIAL_ALIAS, OFFICIAL_PKGS, ChannelConfig, without_credentials
from fleetenv.conda.lock import Lock
from fleetenv.conda.pinned import one_minor
from fleetenv.conda.policy import FILE, Policy, policy
from fleetenv.conda.spec import Requirement, Spec, normalized
from fleetenv.errors import InputError, Location
from fleetenv.severity import Severity
from fleetenv.source import shown

RULES = {
    "FE001": Severity.ERROR,  # python is not pinned
    "FE002": Severity.ERROR,  # a pip section without pip
    "FE003": Severity.WARNING,  # asked of pip, though conda has it
    "FE004": Severity.WARNING,  # a name that says too little
    "FE005": Severity.ERROR,  # a channel that the project does not allow
    "FE006": Severity.ERROR,  # defaults together with conda-forge
    "FE007": Severity.ERROR,  # a password or a token in the file
    "FE008": Severity.WARNING,  # a prefix, which is ignored
}
"""Every code, and how severe what it stands for is; docs/environments.md explains them."""

CONDA_NAMES = {
    "build": "python-build",
    "cupy-cuda11x": "cupy",
    "cupy-cuda12x": "cupy",
    "graphviz": "python-graphviz",
    "msgpack": "msgpack-python",
    "opencv-python": "opencv",
    "opencv-python-headless": "opencv",
    "pyqt5": "pyqt",
    "tables": "pytables",
    "torch": "pytorch",
}
"""Packages that have another name at conda-forge than at PyPI, of those that labs use most."""

_IGNORE = re.compile(r"#\s*fleetenv:\s*ignore\s*=\s*([A-Z0-9]+(?:\s*,\s*[A-Z0-9]+)*)")
_PASSWORD = re.compile(r"//[^/@\s$]*:[^/@\s$]+@|//[^/@:\s$]{20,}@")
_TOKEN = re.compile(r"://.*/t/[A-Za-z0-9-]+(?:/|\Z)")


class Finding(Struct, frozen=True):
    """One thing that should be otherwise: where, why, and what would be right."""

    code: str
    location: Location
    message: str
    hint: str

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return RULES[self.code]

    def __str__(self) -> str:
        return f"{self.location}: {self.code} {self.message}; {self.hint}"


class Known(Struct, frozen=True):
    """What the linter knows beside the spec."""

    policy: Policy = Policy()
    lock: Lock | None = None  # only if it is fresh
    conda: frozenset[str] = frozenset()  # what the spec's channels have; empty: not known


def lint(spec: Spec, lock: Lock | None = None, conda: frozenset[str] = frozenset()) -> list[Finding]:
    """Return what should be otherwise in a spec and the files that it extends, in the order of lines.

    Args:
        spec: The spec.
        lock: Its lock; a stale one is not looked at.
        conda: The names of all packages that its channels have, where that is known.

    Raises:
        InputError: the project's `fleetenv.toml` cannot be used.
    """
    fresh = lock if lock and lock.spec_digest == spec.digest else None
    known = Known(policy(spec.path.parent, tuple(RULES)), fresh, conda)
    found = [each for each in findings(spec, known) if each.code not in known.policy.ignore]
    silenced = {file: _silenced(file) for file in {each.location.file for each in found}}
    return [each for each in found if each.code not in silenced[each.location.file].get(each.location.line, ())]


def findings(spec: Spec, known: Known) -> list[Finding]:
    """Apply all rules; pure."""
    rules = (_python(spec, known), _pip(spec), _conda_has(spec, known), _name(spec, known), _channels(spec, known))
    found = [each for rule in (*rules, _mixed(spec), _secrets(spec), _prefix(spec)) for each in rule]
    return sorted(found, key=lambda each: (each.location, each.code))


def _silenced(file: str) -> dict[int, frozenset[str]]:
    """Read which codes do not count on which lines."""
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    matches = ((number, _IGNORE.search(line)) for number, line in enumerate(lines, 1))
    return {number: frozenset(re.findall(r"\w+", match[1])) for number, match in matches if match}


def _python(spec: Spec, known: Known) -> Iterator[Finding]:
    why = "python is not pinned: the next lock may bring another one, and every compiled package with it"
    wishes = [each for each in spec.conda if each.name == "python"]
    if wishes and not one_minor([each.text for each in wishes]):
        yield Finding("FE001", wishes[0].location, why, "write for example 'python=3.11'")
    elif not wishes and known.lock:
        locked = [one.version for each in known.lock.platforms.values() for one in each.conda if one.name == "python"]
        if locked:
            minor = ".".join(locked[0].split(".")[:2])
            yield Finding("FE001", spec.location, why, f"other packages bring {locked[0]}: add 'python={minor}'")


def _pip(spec: Spec) -> Iterator[Finding]:
    if spec.pip and not any(each.name == "pip" for each in spec.conda):
        why = "a pip section, but no pip in the dependencies: it would be installed by a pip that nothing pins"
        yield Finding("FE002", spec.pip[0].location, why, "add '- pip' to the dependencies")


def _conda_has(spec: Spec, known: Known) -> Iterator[Finding]:
    asked = {normalized(each.name) for each in spec.conda}
    for each in spec.pip:
        others = [name for name in (CONDA_NAMES.get(each.name), each.name) if name]
        if any(name in asked for name in others):
            hint = "leave it to conda, and take it out of the pip section"
            yield Finding("FE003", each.location, f"{each.name} is asked of conda and of pip", hint)
        elif _brought_by_conda(each, known.lock):
            why = f"pip is asked for {each.name}, which other packages have conda install already"
            yield Finding("FE003", each.location, why, "move it out of the pip section, among the dependencies")
        elif not each.direct_url and (have := [name for name in others if name in known.conda]):
            why = f"pip is asked for {each.name}, though the channels have {have[0]}"
            yield Finding(
                "FE003", each.location, why, f"conda first, pip last: move it up as '{have[0]}', if it is new enough"
            )


def _brought_by_conda(requirement: Requirement, lock: Lock | None) -> bool:
    if lock is None or ";" in requirement.text:  # a marker may be why it is not in the lock
        return False
    return not any(one.name == requirement.name for each in lock.platforms.values() for one in each.pip)


def _name(spec: Spec, known: Known) -> Iterator[Finding]:
    if not re.fullmatch(known.policy.names, spec.name):
        why = f"the name '{spec.name}' tells too little of whose environment this is, and what for"
        yield Finding("FE004", spec.name_at or spec.location, why, known.policy.name_rule)


def _channels(spec: Spec, known: Known) -> Iterator[Finding]:
    allowed = known.policy.channels
    if allowed is None:
        return
    good = {url for channel in allowed for url in _canonical(channel)}
    for channel, location in _channels_at(spec):
        if not good.issuperset(_canonical(channel)):
            why = f"the channel '{without_credentials(channel) if '://' in channel else channel}' is not allowed here"
            yield Finding(
                "FE005", location, why, f"{shown(known.policy.path or Path(FILE))} allows {', '.join(allowed)}"
            )


def _mixed(spec: Spec) -> Iterator[Finding]:
    channels = _channels_at(spec)
    forge = f"{OFFICIAL_ALIAS}/conda-forge"
    if not any(url == forge or url.startswith(f"{forge}/") for name, _ in channels for url in _canonical(name)):
        return
    for channel, location in channels:
        if any(url.startswith(f"{OFFICIAL_PKGS}/") for url in _canonical(channel)):
            why = f"'{channel}' together with conda-forge: their packages are built against different libraries"
            yield Finding("FE006", location, why, "take one of the two; conda-forge has nearly all that defaults have")


def _secrets(spec: Spec) -> Iterator[Finding]:
    why = "a password or a token in a file that belongs in git"
    hint = "keep it in a variable of the shell, as in https://conda.example.com/t/${TOKEN}/lab"
    for channel, location in _channels_at(spec):
        if _PASSWORD.search(channel) or _TOKEN.search(channel):
            yield Finding("FE007", location, why, hint)
    texts = [(each.value, each.location) for each in spec.pip_options] + [(e.text, e.location) for e in spec.pip]
    for text, location in texts:
        if _PASSWORD.search(text):
            yield Finding("FE007", location, why, "keep it in pip.conf or in a variable, as in https://${TOKEN}@...")


def _prefix(spec: Spec) -> Iterator[Finding]:
    if spec.prefix_at:
        why = "the prefix is ignored: where an environment lies is for each host to say"
        yield Finding("FE008", spec.prefix_at, why, "take it out")


def _channels_at(spec: Spec) -> list[tuple[str, Location]]:
    return [*spec.channels_at.items(), *((each.channel, each.location) for each in spec.conda if each.channel)]


def _canonical(channel: str) -> tuple[str, ...]:
    return ChannelConfig().expand(channel)


def cached_names(spec: Spec) -> frozenset[str]:
    """Return the names of all packages that a spec's channels have, from the cache; none when it has no pip section."""
    if not spec.pip:
        return frozenset()
    from fleetenv.conda.repodata import names, run  # what 'apply' does without
    from fleetenv.conda.solve import DEFAULT_PLATFORM
    from fleetenv.conda.sources import sources

    try:
        return run(names(sources(spec, offline=True), spec.settings.platforms or (DEFAULT_PLATFORM,)))
    except InputError:
        return frozenset()
