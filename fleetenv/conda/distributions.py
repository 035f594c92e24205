"""Which Python distributions conda packages bring: found in the packages' own lists of files."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from fleetenv.conda.repodata import client
from fleetenv.conda.sources import Sources, without_secrets
from fleetenv.conda.spec import normalized
from fleetenv.errors import InputError

if TYPE_CHECKING:
    from rattler import Client, RepoDataRecord

_DISTRIBUTION = re.compile(r"(?:\A|/)site-packages/([^/-]+)-([^/-]+)(?:-[^/]*)?\.(?:dist|egg)-info(?:/|\Z)")


@dataclass(frozen=True, slots=True)
class Distribution:
    """One Python distribution that a conda package brings."""

    name: str
    version: str


async def provided(records: Sequence[RepoDataRecord], sources: Sources, cache: Path) -> list[Distribution]:
    """Find the distributions that conda packages bring; only those that need Python are looked into.

    Args:
        records: The packages.
        sources: Where to look into them; offline, what is not known yet and not a file of this machine is an error.
        cache: A folder for what was found.

    Raises:
        InputError: a package cannot be looked into.
    """
    http = None if sources.offline else client(sources.mirrors)
    wanted = [each for each in records if any(depend.split()[0] == "python" for depend in each.depends)]
    found = await asyncio.gather(*(_distributions(record, http, cache) for record in wanted))
    return sorted({each for distributions in found for each in distributions}, key=lambda each: each.name)


async def _distributions(record: RepoDataRecord, http: Client | None, cache: Path) -> list[Distribution]:
    known = cache / "distributions" / f"{record.sha256.hex() if record.sha256 else record.file_name}.json"
    try:
        return [Distribution(name, version) for name, version in json.loads(known.read_text())]
    except (OSError, ValueError, TypeError):
        pass  # not looked into yet
    paths = await _paths(record.url, http)
    matches = (_DISTRIBUTION.search(path) for path in paths)
    distributions = sorted({(normalized(match[1]), match[2]) for match in matches if match})
    known.parent.mkdir(parents=True, exist_ok=True)
    draft = known.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps(distributions))
    draft.replace(known)
    return [Distribution(name, version) for name, version in distributions]


async def _paths(url: str, http: Client | None) -> list[str]:
    """List a conda package's files; of a `.conda` file on a server only the index is fetched."""
    from rattler.exceptions import ExtractError, IoError
    from rattler.package_streaming import PackageArchive

    try:
        if url.startswith("file:"):
            archive = await PackageArchive.from_path(unquote(urlsplit(url).path))
        elif http is None:
            raise InputError(f"offline, but no lock was made yet that has {url}", hint="lock once with the network")
        else:
            archive = await PackageArchive.from_url(http, url)
        return [str(entry.relative_path) for entry in (await archive.paths_json()).paths]
    except (OSError, ExtractError, IoError) as error:
        raise InputError(f"cannot look into {url}: {without_secrets(str(error).splitlines()[0])}") from error
