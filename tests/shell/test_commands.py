"""`fleetenv ping` and `fleetenv run`, as a user sees them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from openssh import Account, Sshd, free_port


@pytest.fixture
def lab(sshd: Sshd, account: Account, tmp_path: Path) -> Path:
    """Three hosts that answer, and one that does not."""
    inventory = tmp_path / "hosts.yml"
    args = f"-F /dev/null -o UserKnownHostsFile={sshd.known_hosts}"
    inventory.write_text(
        f"""\
all:
  vars:
    ansible_host: 127.0.0.1
    ansible_port: {sshd.port}
    ansible_ssh_private_key_file: {sshd.key}
    ansible_ssh_common_args: {args}
  children:
    up:
      hosts:
        gpu[01:02]: {{ansible_user: root}}
        gpu03: {{ansible_user: {account.name}}}
    down:
      hosts:
        gpu09: {{ansible_port: {free_port()}}}
"""
    )
    return inventory


def fleetenv(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fleetenv", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)


def test_ping_tells_who_answers(lab: Path, account: Account) -> None:
    done = fleetenv("ping", "up", "-i", lab)
    lines = sorted(done.stdout.splitlines())
    assert done.returncode == 0, done.stderr
    assert [line.split(",")[0] for line in lines] == [
        "gpu01 | ok: root",
        "gpu02 | ok: root",
        f"gpu03 | ok: {account.name}",
    ]
    assert all(line.endswith("1 round trip") for line in lines)


def test_connection_variables_may_be_templates(lab: Path) -> None:
    done = fleetenv("ping", "gpu01", "-i", lab, "-e", "login=root", "-e", "ansible_user='{{ login }}'")
    assert done.stdout.startswith("gpu01 | ok: root"), done
    done = fleetenv("ping", "gpu01", "-i", lab, "-e", "ansible_user='{{ nobody_said }}'")
    assert done.returncode == 1
    assert "nobody_said" in done.stderr


def test_ping_tells_who_does_not_answer_and_why(lab: Path) -> None:
    done = fleetenv("ping", "all", "-i", lab)
    assert done.returncode == 4
    assert [line for line in done.stdout.splitlines() if "UNREACHABLE" in line and "connection refused" in line]
    assert done.stdout.count("| ok") == 3


def test_ping_as_another_user(lab: Path, account: Account, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(account.password + "\n")
    done = fleetenv("ping", "gpu03", "-i", lab, "-b", "--become-password-file", tmp_path / "password")
    assert (done.returncode, f"ok: {account.name}, becoming root" in done.stdout) == (0, True), done.stdout
    done = fleetenv("ping", "gpu03,gpu09", "-i", lab, "-b")
    assert done.returncode == 6
    assert "gpu03 | FAILED: cannot become root with sudo: a password is needed" in done.stdout


def test_run_shows_each_hosts_output(lab: Path) -> None:
    done = fleetenv("run", "up", "-i", lab, "-l", "!gpu03", "--", "printf", "%s|", "a b", "$HOME")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("| ok\na b|$HOME|") == 2


def test_one_word_is_text_for_the_shell(lab: Path) -> None:
    done = fleetenv("run", "gpu01", "-i", lab, "--", "echo $((6 * 7)) | tr 4 5; exit 3")
    assert (done.returncode, done.stdout) == (2, "gpu01 | FAILED: exit status 3\n52\n")


def test_run_on_a_host_that_is_down(lab: Path) -> None:
    assert fleetenv("run", "gpu09", "-i", lab, "--", "true").returncode == 4
    assert fleetenv("run", "all", "-i", lab, "--", "false").returncode == 6


def test_run_ends_a_command_that_takes_too_long(lab: Path) -> None:
    done = fleetenv("run", "gpu01", "-i", lab, "--task-timeout", "0.3", "--", "sleep 3456.7")
    assert (done.returncode, done.stdout) == (2, "gpu01 | FAILED: it took longer than 0.3 s, and was ended\n")
    assert subprocess.run(["pgrep", "-f", r"sleep 3456\.7"], capture_output=True).stdout == b""


def test_ctrl_c_ends_the_command_on_the_hosts_too(lab: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "fleetenv",
        "run",
        "gpu01",
        "-i",
        str(lab),
        "--",
        f"touch {tmp_path}/up; sleep 4567.8",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not (tmp_path / "up").exists():
        with contextlib.suppress(subprocess.TimeoutExpired):
            pytest.fail(f"it ended with {process.wait(0.05)}")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (130, b"fleetenv: interrupted\n")
    assert subprocess.run(["pgrep", "-f", r"sleep 4567\.8"], capture_output=True).stdout == b""


def test_one_line_a_host(lab: Path) -> None:
    done = fleetenv("run", "gpu01,gpu02", "-i", lab, "-o", "--", "printf 'a\\nb\\n\\033[31m'")
    assert sorted(done.stdout.splitlines()) == [f"gpu0{n} | ok | a\\nb\\n\\x1b[31m" for n in (1, 2)]


def test_a_terminal_gets_no_escapes_from_a_host(lab: Path) -> None:
    master, slave = os.openpty()
    command = [sys.executable, "-m", "fleetenv", "run", "gpu01", "-i", str(lab), "--", "printf '\\033]0;evil\\007\\n'"]
    subprocess.run(command, stdout=slave, stderr=slave, stdin=slave, check=True, timeout=60)
    shown = os.read(master, 10_000)
    assert b"\x1b" not in shown
    assert b"\\x1b]0;evil\\x07" in shown


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["ping", "nobody"], "'nobody'"),
        (["run", "up"], "required: COMMAND"),
        (["ping", "up", "-e", "ansible_port=ssh"], "ansible_port of host 'gpu01' cannot be 'ssh'; it must be a number"),
        (["ping", "up", "-e", "ansible_connection=carrier"], "must be one of ssh"),
        (["ping", "up", "-c", "carrier"], "must be one of ssh"),
        (["ping", "up", "-K"], "there is no terminal to ask for a password on"),
        (["ping", "up", "--ssh-common-args", "-o ForwardX=yes"], "the ssh option 'ForwardX' is not supported"),
        (["ping", "up", "-f", "0"], "'0' is not a number above 0"),
        (["ping", "up", "-e", "novalue"], "write key=value"),
        (["ping", "up", "-e", "@/no/file"], "cannot read /no/file"),
        (["ping", "up", "-b", "--become-method", "magic"], "'magic' is not supported; one of sudo"),
        (["ping", "up", "-e", "ansible_ssh_private_key_file=/no/key"], "cannot be '/no/key'; it must be a file"),
    ],
)
def test_bad_input_is_one_line_before_any_host_is_touched(lab: Path, words: list[str], told: str) -> None:
    done = fleetenv(*words, "-i", lab)
    assert done.returncode == 1
    assert told in done.stderr.splitlines()[-1], done.stderr
    assert done.stdout == ""
