"""The explicit list with MD5 instead of SHA-256: all that conda before 24.9 reads after the `#`."""

from __future__ import annotations

from fleetenv.conda.export import Locked
from fleetenv.conda.export.explicit import commented, urls
from fleetenv.errors import InputError


def render(locked: Locked) -> str:
    """Return the list, each package after those that it depends on.

    Raises:
        InputError: the lock does not have the MD5 of a package.
    """
    from rattler import LockFile

    environment = LockFile.from_path(locked.lock.path).default_environment()
    records = environment.conda_repodata_records().get(locked.platform.platform, []) if environment else []
    known = {record.url: record.md5.hex() for record in records if record.md5}
    if lacking := [each.name for each in locked.platform.conda if each.url not in known]:
        raise InputError(f"{locked.lock.path} has no MD5 of {', '.join(lacking)}", hint="use --to explicit")
    return commented(locked, "any conda", urls(locked, lambda package: known[package.url]))
