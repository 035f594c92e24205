"""How fast mirrors are as hosts see them: one question to a host, and its answer. Pure.

A host fetches the beginning of one file that every mirror has, conda-forge's index of packages, from one mirror after
the other. The amounts are bounded, in bytes and in time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fleetenv.conda.channels import Mirror
from fleetenv.remote import Completed, Run, on_host, sh

FILE = "conda-forge/noarch/repodata.json.zst"
MOST_BYTES = 4_000_000
MOST_SECONDS = 8.0  # for each mirror


@dataclass(frozen=True, slots=True)
class MirrorSpeed:
    """What a host saw of a mirror: either a speed or an error."""

    latency: float | None = None  # seconds until the answer began; None: what the host has does not tell
    bytes: int = 0
    seconds: float = 0.0  # in all
    error: str | None = None

    @property
    def rate(self) -> float:
        """Bytes a second, once the answer has begun; 0 when there was none."""
        if self.error is not None or not self.bytes:
            return 0.0
        return self.bytes / max(self.seconds - (self.latency or 0.0), 0.001)


@dataclass(frozen=True)
class HostMirrors:
    """What a host saw of all mirrors, and what it measured with: python, curl or wget."""

    tool: str
    mirrors: Mapping[str, MirrorSpeed]

    @property
    def fastest(self) -> str | None:
        """The mirror of the highest rate; None when none answered."""
        best = max(self.mirrors, key=lambda name: self.mirrors[name].rate, default=None)
        return best if best is not None and self.mirrors[best].rate else None


def question(mirrors: Mapping[str, Mirror]) -> Run:
    """Return the step that measures mirrors. Their URLs travel on standard input: one may hold a password."""
    script, program = on_host("mirror_speed.sh"), on_host("mirror_speed.py")
    urls = "".join(f"{number} {mirror.cloud}/{FILE}\n" for number, mirror in enumerate(mirrors.values()))
    words = sh("set", "--", MOST_BYTES, f"{MOST_SECONDS:g}", program)
    timeout = 30 + 2 * MOST_SECONDS * len(mirrors)
    return Run(f"{words}\n{script}", stdin=urls.encode(), timeout=timeout, may_fail=True)


def parse(completed: Completed, mirrors: Mapping[str, Mirror]) -> HostMirrors:
    """Read what a host answered. Lines that the script cannot have written are passed over.

    Raises:
        ValueError: the host has nothing to measure with, or the answer is none.
    """
    names = list(mirrors)
    tool = ""
    found: dict[str, MirrorSpeed] = {}
    for line in completed.text.splitlines():
        word, _, rest = line.partition(" ")
        number, _, said = rest.partition(" ")
        if word == "tool":
            tool = rest
        elif number.isdigit() and int(number) < len(names):
            found[names[int(number)]] = MirrorSpeed(error=said[:200]) if word == "error" else _speed(said)
    if tool == "none":
        raise ValueError("it has neither Miniconda nor python3, curl or wget to measure with")
    if not tool:
        raise ValueError(f"it did not measure: {completed.error_text.strip()[-200:] or 'no answer'}")
    return HostMirrors(tool, {name: found.get(name, MirrorSpeed(error="was not measured")) for name in names})


def _speed(said: str) -> MirrorSpeed:
    try:
        latency, count, seconds = (float(word.replace(",", ".")) for word in said.split())
    except ValueError:
        return MirrorSpeed(error="the answer cannot be understood")
    if not 0 < seconds < 1e6 or not 0 <= count < 1e12 or not 0 <= latency < 1e6:
        return MirrorSpeed(error="the answer cannot be understood")
    if not count:
        return MirrorSpeed(error=f"not a byte in {seconds:.0f} s")
    return MirrorSpeed(latency or None, int(count), seconds)
