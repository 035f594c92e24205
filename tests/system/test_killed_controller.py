"""A controller that is killed leaves nothing that the next run cannot bring to its end."""

from __future__ import annotations

import random
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from fleetenv.lab.nvidia_smi import A100

pytestmark = [pytest.mark.root, pytest.mark.sshd]

TIMES = 12


def test_whatever_moment_the_controller_dies_the_next_run_converges(namespace_fleet, site, standin_installer):
    fleet = namespace_fleet(TIMES + 2, gpus=A100)
    here = site(fleet)
    here.variables |= {
        "conda_installer": str(standin_installer.path),  # of the real one so many do not fit into memory
        "conda_installer_sha256": standin_installer.sha256,
        "conda_envs": ["nlp"],
    }
    seed = random.randrange(1 << 32)
    moments = random.Random(seed)

    assert here.apply("-l", "gpu01").status == 0  # fills the controller's caches
    started = time.monotonic()
    assert here.apply("-l", "gpu02").status == 0
    whole = time.monotonic() - started

    def kill_after(host: str, seconds: float) -> bool:
        """Start a first apply of one host and kill it then; say whether it was still at work."""
        controller = here.cli.start(*here.words("apply", "-l", host), cwd=here.folder, stdout=subprocess.DEVNULL)
        try:
            controller.wait(seconds)
        except subprocess.TimeoutExpired:
            controller.kill()
        return controller.wait() == -9

    victims = [host.name for host in fleet.hosts[2:]]
    with ThreadPoolExecutor(2) as pool:
        at_work = list(pool.map(kill_after, victims, [moments.uniform(0.05, 0.9) * whole for _ in victims]))
    assert sum(at_work) >= TIMES / 4, f"most runs were over before they were killed (seed {seed})"

    again = here.apply()
    assert again.status == 0, f"seed {seed}: {again.stdout}{again.stderr}"
    ask = f"{here.environment('nlp')}/bin/python -c 'import fleet_text; print(fleet_text.__version__)'"
    assert {host.must_run(ask) for host in fleet.hosts} == {"1.0\n"}
    assert here.apply().status == 0
    assert set(here.counts("changed").values()) == {0}, f"seed {seed}"
