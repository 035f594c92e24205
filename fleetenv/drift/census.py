"""What a drift run asks of a host beside the playbook, and how the answers become a snapshot.

Three questions in one message: facts (sh), GPUs (sh, the same question that gpu_driver asks, so that it is often
answered already), and all that belongs to conda, by a program for Miniconda's own Python or else the host's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec import Struct

from fleetenv.conda.inquiry import PROGRAM, Inquiry
from fleetenv.drift.sections import conda_sections, disks_of, facts_section, gpu_section, plain
from fleetenv.drift.snapshot import Snapshot
from fleetenv.errors import HostError, TaskFailed
from fleetenv.gpu.probe import gpu_probe
from fleetenv.gpu.states import GpuHost
from fleetenv.onhost.census import Census
from fleetenv.onhost.census_disks import Disk
from fleetenv.remote import Completed, Probe, sh
from fleetenv.state import Place

_MODULES = (
    "answering", "census", "census_disks", "census_environments", "census_layers", "census_prefixes", "contents",
    "generations", "interpreter", "lock", "places", "processes", "records", "report", "verification",
)  # fmt: skip
_CENSUS = Inquiry("census", _MODULES, Census)
_NO_PYTHON = b"no python\n"
_SECONDS = 240
_GRACE = 60  # and then the host's own timeout(1) has not helped, or is not there
_MOST_HOMES = 1000
_DEEP_SECONDS = 3600  # to read every file of every environment

# One of the asked Minicondas' Pythons, else the host's; never that of a Miniconda that was only found there: it is code
# of whoever owns it.
_SCRIPT = """\
limit=
command -v timeout >/dev/null 2>&1 && limit="timeout -k 5 {seconds}"
for python in {pythons} python3 /usr/libexec/platform-python; do
  command -v "$python" >/dev/null 2>&1 || continue
  "$python" -I -S -c 'import sys; sys.exit(sys.version_info < (3, 10))' </dev/null >/dev/null 2>&1 || continue
  exec $limit "$python" -I -S -c {program}
done
printf 'no python\\n'
"""

_FACTS = r"""
LC_ALL=C; export LC_ALL
printf 'kernel %s\narch %s\n' "$(uname -r)" "$(uname -m)"
sed -n 's/^PRETTY_NAME=/os /p' /etc/os-release 2>/dev/null | head -c 1000
printf 'libc %s\n' "$(getconf GNU_LIBC_VERSION 2>/dev/null)"
sed -n -e 's/^processor.*/cpu/p' -e 's/^model name[^:]*: /model /p' /proc/cpuinfo 2>/dev/null | sort | uniq -c
sed -n 's/^MemTotal: */memory /p' /proc/meminfo 2>/dev/null
"""


class Seen(Struct, frozen=True):
    """All that was asked of one host. `gpus` is None where the probe was not understood; `failed` says what was not."""

    snapshot: Snapshot
    gpus: GpuHost | None = None
    homes: tuple[str, ...] = ()  # folders in which users keep what is theirs
    failed: tuple[str, ...] = ()
    disks: Mapping[str, Disk] = {}  # by mount point


def questions(
    places: Iterable[Place], prefixes: Sequence[str], *, all_homes: bool, deep: bool
) -> Sequence[Probe[object]]:
    """Return what to ask a host, given what its playbook speaks of there.

    Args:
        places: The playbook's.
        prefixes: The Minicondas that are the playbook's, or the inventory's.
        all_homes: Whether to look into all users' homes, and not only into that of whoever asks.
        deep: Whether to compare the content of every file with its package's.
    """
    paths: dict[str, list[str]] = {}
    for place in places:
        if place.path not in paths.setdefault(place.kind, []):
            paths[place.kind].append(place.path)
    asked = _CENSUS.asked(
        prefixes=prefixes,
        virtualenv_paths=paths.get("virtualenv", []),
        kernel_folders=[path.rpartition("/")[0] for path in paths.get("kernel", [])],
        all_homes=all_homes,
        deep=deep,
    )
    seconds = _DEEP_SECONDS if deep else _SECONDS
    script = _SCRIPT.format(
        seconds=seconds,
        pythons=sh(*(f"{prefix}/bin/python" for prefix in prefixes)),
        program=sh(PROGRAM),
    )
    patience = seconds + _GRACE
    return Probe(_FACTS, facts_section), gpu_probe(), Probe(script, _read, stdin=asked, timeout=patience)


def seen(answers: Sequence[object], prefixes: Sequence[str]) -> Seen:
    """Put the answers to [`questions`][] together.

    Args:
        answers: In the order of the questions; an error where there is none.
        prefixes: The Minicondas that were asked for; environments of the first go by their names alone.
    """
    facts, gpus, census = (*answers, None, None, None)[:3]
    gpus = getattr(gpus, "seen", gpus)  # a gpu_driver task has had this very question answered, in its own form
    snapshot: Snapshot = {}
    failed = tuple(str(answer) for answer in answers if isinstance(answer, HostError))
    if isinstance(facts, Mapping):
        snapshot["facts"] = dict(facts)
    if isinstance(gpus, GpuHost):
        snapshot["gpus"] = gpu_section(gpus)
    if isinstance(census, Census):
        try:
            snapshot |= plain(conda_sections(census, prefixes))
        except ValueError as error:
            failed = (*failed, str(error))
    homes = tuple(census.homes[:_MOST_HOMES]) if isinstance(census, Census) else ()
    disks = disks_of(census) if isinstance(census, Census) else {}
    return Seen(snapshot, gpus if isinstance(gpus, GpuHost) else None, homes, failed, disks)


def _read(completed: Completed) -> Census | None:
    """Read the census; None: there is no Python on the host that could take it.

    Raises:
        TaskFailed: the host could not take it, or what it said is none.
    """
    if completed.stdout == _NO_PYTHON:
        return None
    if completed.status in (124, 137):
        raise TaskFailed("the host took too long to list what it has, or has too little memory")
    try:
        return _CENSUS.read(completed)
    except msgspec.ValidationError as error:
        raise TaskFailed(f"the host's answer is not understood: {error}") from error
