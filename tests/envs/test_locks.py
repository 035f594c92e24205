"""Two hands on one host, and two hosts on one prefix."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fleetenv.conda.whoami import whoami
from fleetenv.errors import TaskFailed
from fleetenv.onhost.lock import Holder, Lock, holder_of
from fleetenv.onhost.report import Failure
from fleetenv.remote import Run

from .machine import Machine, Project, wait_for

HOLD = """\
import sys
from pathlib import Path
from fleetenv.onhost.lock import Holder, Lock
with Lock(Path(sys.argv[1]), Holder.this_process("bob@ctl02", "building nlp_train")).held(0):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(folder: Path, *before: str) -> subprocess.Popen[str]:
    """Hold a folder's lock in another process, until it is told to end."""
    process = subprocess.Popen(
        [*before, sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process


def this(folder: Path, lease: float = 60.0) -> Lock:
    return Lock(folder, Holder.this_process("alice@ctl01", "rolling back nlp_train"), lease)


def test_who_holds_it_is_said_to_whoever_cannot_wait(tmp_path: Path) -> None:
    other = hold(tmp_path)
    said = rf"is being changed by bob@ctl02: building nlp_train, since 20.*, process {other.pid} on "
    with pytest.raises(Failure, match=said), this(tmp_path).held(0.1):
        pass
    assert str(holder_of(tmp_path)).startswith("bob@ctl02: building nlp_train, since ")
    other.communicate()
    with this(tmp_path).held(0):
        assert holder_of(tmp_path)
    assert holder_of(tmp_path) is None
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_one_that_was_killed_holds_nothing_on_its_own_host(tmp_path: Path) -> None:
    other = hold(tmp_path)
    other.kill()
    other.communicate()
    assert (tmp_path / "lock.held").exists()
    assert holder_of(tmp_path) is None
    with this(tmp_path).held(0):
        assert holder_of(tmp_path)
    assert not (tmp_path / "lock.held").exists()


def test_a_host_that_died_is_waited_for_until_its_lease_is_over(tmp_path: Path) -> None:
    claim = tmp_path / "lock.held"
    claim.write_text(
        '{"who": "bob@ctl02", "what": "x", "host": "gpu09", "process": 1, "boot": "another", "since": 1, "token": "t"}'
    )
    with pytest.raises(Failure, match="process 1 on gpu09"), this(tmp_path).held(0.3):
        pass
    start = time.monotonic()
    with this(tmp_path, lease=0.5).held(20):
        assert time.monotonic() - start > 0.5


def test_a_host_that_lives_is_waited_for_however_long(tmp_path: Path) -> None:
    claim = tmp_path / "lock.held"
    claim.write_text("half a li")  # another host is about to write who it is
    signs = subprocess.Popen(
        [sys.executable, "-c", f"import os, time\nwhile True: os.utime({str(claim)!r}); time.sleep(0.05)"]
    )
    try:
        with pytest.raises(Failure, match="is being changed by another fleetenv"), this(tmp_path, lease=0.5).held(1.5):
            pass
    finally:
        signs.kill()
        signs.wait()


def test_who_stood_still_too_long_does_not_switch(tmp_path: Path) -> None:
    lock = this(tmp_path)
    with lock.held(0):
        lock.check()
        (tmp_path / "lock.held").unlink()
        other = hold_without_flock(tmp_path)
        with pytest.raises(
            Failure, match=r"stood still, and the lock was taken over \(bob@ctl02: .*nothing was switched"
        ):
            lock.check()
    assert (tmp_path / "lock.held").read_text() == other  # it is not ours any more


def hold_without_flock(folder: Path) -> str:
    text = (
        '{"who": "bob@ctl02", "what": "x", "host": "gpu09", "process": 1, "boot": "another", "since": 1, "token": "t"}'
    )
    (folder / "lock.held").write_text(text)
    return text


def test_a_task_waits_no_longer_than_it_should(machine: Machine, project: Project) -> None:
    project.lock("fleet-text")
    (machine.prefix / "envs" / ".fleetenv").mkdir(parents=True)
    other = hold(machine.prefix / "envs" / ".fleetenv")
    with pytest.raises(TaskFailed, match=r"envs is being changed by bob@ctl02: building nlp_train, since .*, process "):
        machine.apply(project.task(machine, lock_timeout=0))
    other.communicate()
    machine.apply(project.task(machine, lock_timeout=0))


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="makes mount namespaces")
def test_two_hosts_of_one_run_build_a_shared_prefix_once(machine: Machine, project: Project, tmp_path: Path) -> None:
    """The second host is simulated: its flock is its own, as on NFS with local locks, and so is its boot."""
    project.lock("fleet-text")
    task = project.task(machine)
    *before, build = task.converge(machine.diff(task))
    for step in before:
        machine.take(step)
    assert isinstance(build, Run)
    folder = machine.prefix / "envs" / ".fleetenv"
    folder.mkdir(parents=True)
    (folder / "lock").touch()
    own_lock, own_boot = tmp_path / "lock", tmp_path / "boot"
    own_lock.touch()
    own_boot.write_text("of the other host\n")
    other = f"mount --bind {own_lock} {folder}/lock && mount --bind {own_boot} /proc/sys/kernel/random/boot_id && "

    def start(prelude: str, name: str) -> subprocess.Popen[bytes]:
        with (tmp_path / name).open("wb") as log:
            process = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", "sh", "-c", f"{prelude}exec {build.script}"],
                stdin=subprocess.PIPE, stdout=log, stderr=log, env=machine.environment, cwd=machine.home,
            )  # fmt: skip
        assert process.stdin
        process.stdin.write(build.stdin)
        process.stdin.close()
        return process

    both = [start("", "first"), start(other, "second")]
    assert [each.wait(60) for each in both] == [0, 0]
    logs = [(tmp_path / name).read_text() for name in ("first", "second")]
    assert sum("another fleetenv has built" in log for log in logs) == 1
    assert any(f"waiting for {whoami()}: building nlp_train, since " in log for log in logs)
    assert len(machine.generations()) == 1
    assert not machine.diff(task)
    wait_for(lambda: not (folder / "lock.held").exists())
