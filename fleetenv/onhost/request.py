"""What a builder is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class Request:
    """What is to be done. Made by conda_env, sent as JSON."""

    action: str  # build | remove
    prefix: str
    name: str
    keep: int = 2
    seen: str = ""  # the generation that was current when the controller decided to build
    runtime: str = ""  # the archive of py-rattler under PREFIX/.fleetenv; empty: installed there by pip
    runtime_sha256: str = ""
    runtime_version: str = ""
    digest: str = ""
    lock: str = ""
    platform: str = ""
    specs: Sequence[str] = ()
    routes: Sequence[Mapping[str, str]] = ()  # in order; empty: as this host's .condarc says
    via: str = "host"  # host | controller: who downloads packages
    wheels: Sequence[Mapping[str, object]] = ()
    pip_options: Sequence[str] = ()
    variables: Mapping[str, str] | None = None
    frozen: str = ""
    check: str = "sampled"  # whose files' hashes are looked at before the switch: sampled | full
    verify: Sequence[str] = ()  # commands that must succeed in the new generation before the switch
    verify_timeout: float = 600.0  # seconds for each
    owner: str = ""  # of the generation's folders; empty: who builds it
    group: str = ""
    mode: str = ""  # of the folders, octal
    who: str = ""  # user@controller, for whoever has to wait
    lock_timeout: float = 1800.0  # seconds to wait for another fleetenv
    coming: Sequence[Mapping[str, object]] = ()  # requests that will follow this one: may be carried out ahead in part
