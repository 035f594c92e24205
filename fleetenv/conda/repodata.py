"""What channels offer: their repodata, fetched and cached by py-rattler."""

from __future__ import annotations

import asyncio
import atexit
import time
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from fleetenv.conda.sources import Sources, without_secrets
from fleetenv.errors import InputError

if TYPE_CHECKING:
    from rattler import Client, Gateway, RepoDataRecord

T = TypeVar("T")


class ChannelsUnreadable(InputError):
    """A channel cannot be read: it cannot be reached, is none, or (offline) is not in the cache."""


def run(work: Coroutine[object, object, T]) -> T:
    """Run a coroutine of py-rattler's to its end.

    An error leaves py-rattler's own threads a moment of work with Python objects, and nothing to wait for; without
    that moment the interpreter may crash at its exit (seen with 0.28).
    """
    atexit.unregister(_let_threads_finish)
    atexit.register(_let_threads_finish)
    return asyncio.run(work)


def _let_threads_finish() -> None:
    time.sleep(0.05)


def client(mirrors: Mapping[str, Sequence[str]]) -> Client:
    """Return an HTTP client of py-rattler's that goes to the mirrors instead of the canonical URLs."""
    from rattler.networking import AuthenticationMiddleware, Client, MirrorMiddleware, RetryMiddleware

    # Mirrors come after the retries, so that each try may go to the next mirror.
    return Client(
        [
            RetryMiddleware(3),
            MirrorMiddleware({canonical: list(urls) for canonical, urls in mirrors.items()}),
            AuthenticationMiddleware(),
        ]
    )


def gateway(sources: Sources) -> Gateway:
    """Return what reads these channels; offline, the cached copies of any age."""
    from rattler import Gateway, SourceConfig

    return Gateway(
        cache_dir=sources.cache,
        default_config=SourceConfig(cache_action="force-cache-only" if sources.offline else "cache-or-fetch"),
        client=client(sources.mirrors),
    )


async def records(
    sources: Sources, platform: str, names: Iterable[str], repodata: Gateway | None = None
) -> list[list[RepoDataRecord]]:
    """Return all packages of these names that each channel has for a platform, `noarch` ones included.

    Raises:
        ChannelsUnreadable: a channel cannot be read.
    """
    from rattler import Channel
    from rattler.exceptions import GatewayError

    try:
        return await (repodata or gateway(sources)).query(
            [Channel(url) for url in sources.channels],
            [platform, "noarch"],  # type: ignore[list-item]  # a str of py-rattler's Literal
            list(names),
            recursive=False,
        )
    except GatewayError as error:
        raise unreadable(sources, error) from error


async def names(sources: Sources, platforms: Iterable[str]) -> frozenset[str]:
    """Return the names of all packages that the channels have for some platforms.

    Raises:
        ChannelsUnreadable: a channel cannot be read.
    """
    from rattler import Channel
    from rattler.exceptions import GatewayError

    try:
        found = await gateway(sources).names(
            [Channel(url) for url in sources.channels],
            [*platforms, "noarch"],  # type: ignore[list-item]  # a str of py-rattler's Literal
        )
    except GatewayError as error:
        raise unreadable(sources, error) from error
    return frozenset(each.normalized for each in found)


def unreadable(sources: Sources, error: Exception) -> ChannelsUnreadable:
    """Say what is wrong with the channels, in one line and without secrets."""
    lines = str(error).replace("Caused by: ", "").splitlines()
    reason = without_secrets(f"{lines[0]}: {lines[-1]}" if len(lines) > 1 else lines[0])
    what = f"cannot read the channels ({', '.join(sources.channels)}): {reason}"
    if sources.offline:
        return ChannelsUnreadable(what, hint="offline, only channels that were read before can be used")
    return ChannelsUnreadable(
        what, hint="a mirror is named by --mirror, by the task's 'mirrors', or in a .condarc on this machine"
    )
