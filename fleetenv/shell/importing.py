"""asyncssh is imported by a thread, once for all hosts: while the controller plans, and lines are being opened."""

from __future__ import annotations

import asyncio
import os
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_LOADER_CACHE = Path("/etc/ld.so.cache")


async def asyncssh_imported() -> None:
    """Wait until asyncssh, and what speaks through it, can be imported without further ado."""
    await asyncio.wrap_future(import_asyncssh())


@cache
def import_asyncssh() -> Future[None]:
    """Begin to import it."""
    return ThreadPoolExecutor(1).submit(_import)


def _import() -> None:
    """Import it, without what takes a third of the time and changes nothing.

    For each of two optional libraries it calls `find_library`, which asks ldconfig, then gcc and two linkers: ten
    processes, 20 ms. Where the loader's cache does not name a library, asyncssh could not load what those might find.
    For certificates of the X.509 kind it imports the half of cryptography, 15 ms, and then misses OpenSSL.
    """
    import ctypes.util

    if find_spec("OpenSSL") is None:
        sys.modules["asyncssh.crypto.x509"] = None  # type: ignore[assignment]  # its import fails at once
    find_library = ctypes.util.find_library
    with_cache = not os.environ.get("LD_LIBRARY_PATH") and _LOADER_CACHE.is_file()
    known = _LOADER_CACHE.read_bytes() if with_cache else b""

    def find(name: str) -> str | None:
        return find_library(name) if not known or b"/lib%s.so" % os.fsencode(name) in known else None

    ctypes.util.find_library = find
    try:
        from fleetenv.shell import over_asyncssh  # noqa: F401
    finally:
        ctypes.util.find_library = find_library
