"""`fleetenv lab up` and `down`, as a user types them."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def lab(fleetenv_cli, tmp_path):
    """The command line in a folder of its own; what it left running is ended."""
    yield lambda *words: fleetenv_cli("lab", *words, cwd=tmp_path)
    if (tmp_path / ".lab/hosts").exists():
        fleetenv_cli("lab", "down", cwd=tmp_path)


def ssh(folder: Path, host: str, command: str) -> str:
    done = subprocess.run(["ssh", "-F", folder / ".lab/ssh_config", host, command], capture_output=True, text=True)
    return done.stdout


def test_hosts_outlive_the_command_that_starts_them(lab, tmp_path):
    up = lab("up", "2")
    assert (up.status, up.stderr) == (0, "")
    assert "2 simulated hosts are up. Their GPUs are simulated, too" in up.stdout
    assert ssh(tmp_path, "gpu02", "hostname") == "gpu02\n"


def test_down_ends_the_hosts_and_all_that_runs_on_them(lab, tmp_path, eventually):
    lab("up", "1")
    job = ssh(tmp_path, "gpu01", "setsid sleep 600 >/dev/null 2>&1 & echo $!").strip()
    down = lab("down")
    assert (down.status, down.stdout) == (0, "the simulated hosts of .lab are down\n")
    assert not Path(f"/proc/{job}").exists()
    assert ssh(tmp_path, "gpu01", "true; hostname") == ""


def test_hosts_come_back_with_their_files_and_keys(lab, tmp_path):
    lab("up", "1")
    ssh(tmp_path, "gpu01", "echo kept >note")
    lab("down")
    assert lab("up", "2").status == 0
    assert ssh(tmp_path, "gpu01", "cat note") == "kept\n"


def test_up_twice_is_refused(lab, tmp_path):
    lab("up", "1")
    again = lab("up", "1")
    assert (again.status, again.stdout) == (1, "")
    assert again.stderr == "fleetenv: the lab in .lab is up already; 'fleetenv lab down' ends it\n"
    assert ssh(tmp_path, "gpu01", "hostname") == "gpu01\n"


def test_a_lab_whose_process_is_gone_can_be_started_again(lab, tmp_path, eventually):
    lab("up", "1")
    process = int((tmp_path / ".lab/lab.pid").read_text())
    os.kill(process, signal.SIGKILL)
    eventually(lambda: not Path(f"/proc/{process}/exe").exists())
    assert lab("up", "1").status == 0
    assert ssh(tmp_path, "gpu01", "hostname") == "gpu01\n"


def test_down_never_ends_a_process_that_is_not_the_labs(lab, tmp_path):
    lab("up", "1")
    assert lab("down").status == 0
    stranger = subprocess.Popen(["sleep", "600"])
    try:
        (tmp_path / ".lab/lab.pid").write_text(f"{stranger.pid}\n")
        assert lab("down").stdout == "the simulated hosts of .lab were not running\n"
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_purge_removes_what_the_lab_made_and_nothing_else(lab, tmp_path):
    lab("up", "1")
    (tmp_path / ".lab/mine").write_text("mine")
    assert lab("down", "--purge").status == 0
    assert [path.name for path in (tmp_path / ".lab").iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("up", "0"), "a lab needs at least one host"),
        (("down",), "there is no lab in .lab; --folder says where it is"),
    ],
)
def test_mistakes_are_told_in_a_line(lab, words, message):
    done = lab(*words)
    assert (done.status, done.stderr) == (1, f"fleetenv: {message}\n")
