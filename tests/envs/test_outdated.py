"""fleetenv outdated: what newer versions a lock could have."""

from __future__ import annotations

import json
from typing import Any

from fleetenv.conda.relock import Wishes, relock
from fleetenv.conda.spec import read_spec

from .machine import Project


def test_what_could_be_newer_and_what_the_spec_allows(project: Project, fleetenv_cli: Any) -> None:
    index = ("--pip-index", project.channel.simple)
    path = project.spec("fleet-text=0.9", "fleet-tensor", "pip", pip=("fleet-plots", "fleet-metrics<0.2"))
    relock(read_spec(path), Wishes(pip_index=project.channel.simple))
    lock = path.with_suffix(".lock")
    before = lock.read_bytes()
    project.spec("fleet-text", "pip", pip=("fleet-plots", "fleet-metrics<0.2"))
    done = fleetenv_cli("outdated", path, *index)
    assert done.status == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"{lock}: 3 could be newer",
        "  package          locked  fits the spec  newest  channel  platforms",
        "  fleet-metrics *  0.1     0.1            0.2     pip      linux-64",
        "  fleet-text *     0.9     1.0            1.0     conda    linux-64",
        "  fleet-tensor     1.1     2.0            2.0     conda    linux-64",
    ]
    document = json.loads(fleetenv_cli("outdated", path, "--json", *index).stdout)
    assert document[str(path)][2] == {
        "package": "fleet-tensor",
        "locked": "1.1",
        "fits": "2.0",
        "newest": "2.0",
        "channel": "conda",
        "platforms": ["linux-64"],
        "direct": False,
    }
    assert lock.read_bytes() == before


def test_a_fresh_lock_of_the_newest_has_nothing_to_tell(project: Project, fleetenv_cli: Any) -> None:
    path = project.spec("fleet-text")
    done = fleetenv_cli("outdated", path)
    assert (done.status, f"there is no lock {path.with_suffix('.lock')}; run " in done.stderr) == (1, True)
    assert fleetenv_cli("lock", path).status == 0
    assert fleetenv_cli("outdated", path).stdout == f"{path.with_suffix('.lock')}: all is the newest\n"
