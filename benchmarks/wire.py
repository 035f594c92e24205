"""The relay's process, as the benchmark sees it: a fleet behind it, and what went over the wire."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import msgspec

from benchmarks.relay import Passed
from fleetenv.lab import fleet
from fleetenv.lab.namespace_host import NamespaceHost

_ROOT = Path(__file__).parent.parent
_ADDRESS = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class FarHost:
    """A host as it is seen through the relay; see `fleetenv.lab.fleet.Listed`."""

    name: str
    user: str
    private_key: Path
    known_host: str
    port: int
    address: str = _ADDRESS
    variables: Mapping[str, str] = field(default_factory=dict)


class Wire:
    """A relay to some hosts, running while the context is open.

    Args:
        hosts: They.
        round_trip: Seconds of delay, there and back.
    """

    def __init__(self, hosts: Sequence[NamespaceHost], round_trip: float) -> None:
        places = [f"{host.address}:{host.port}" for host in hosts]
        words = [sys.executable, "-m", "benchmarks.relay", str(round_trip), *places]
        self._relay = subprocess.Popen(words, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        ports = msgspec.json.decode(self._line(), type=list[int])
        self.hosts = [
            FarHost(
                name=host.name,
                user=host.user,
                private_key=host.private_key,
                known_host=fleet.known_host(_ADDRESS, port, host.host_key.public),
                port=port,
            )
            for host, port in zip(hosts, ports, strict=True)
        ]

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._relay.stdin is not None
        self._relay.stdin.close()
        self._relay.wait()

    def passed(self) -> list[Passed]:
        """Return what has passed to each host since the last call."""
        assert self._relay.stdin is not None
        self._relay.stdin.write("\n")
        self._relay.stdin.flush()
        return msgspec.json.decode(self._line(), type=list[Passed])

    def _line(self) -> str:
        assert self._relay.stdout is not None
        line = self._relay.stdout.readline()
        if not line:
            raise RuntimeError("the relay has ended; what it said stands above")
        return line
