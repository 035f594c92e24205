"""Hosts by environments: what was asked about, and what each host can run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fleetenv.gpu.fitness import Fit
from fleetenv.gpu.needs import Needs, order
from fleetenv.gpu.states import GpuHost


@dataclass(frozen=True)
class Environment:
    """An environment that was asked about."""

    lock: str | None  # the file; None: it is what hosts have installed
    needs: Mapping[str, Needs]  # by platform


@dataclass(frozen=True)
class Suited:
    """What one host can run."""

    platform: str
    gpus: GpuHost
    fits: Mapping[str, Fit]  # by the environment's name
    needs: Mapping[str, Needs]  # by which they were judged; nothing of those that are not locked for the platform


def installed(hosts: Iterable[Suited]) -> dict[str, Environment]:
    """Return all environments that hosts have; of those with the same name, the needs of the one of the newest CUDA."""
    found: dict[str, dict[str, Needs]] = {}
    for host in hosts:
        for name, one in host.needs.items():
            needs = found.setdefault(name, {})
            needs[host.platform] = max(needs.get(host.platform, one), one, key=lambda each: order(each.cuda))
    return {name: Environment(None, found[name]) for name in sorted(found)}
