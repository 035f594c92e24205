"""Embedded hosts behave as SSH hosts do."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import asyncssh
import pytest

from fleetenv.lab.embedded import EmbeddedFleet, EmbeddedHost
from fleetenv.lab.nvidia_smi import A100


@pytest.fixture(scope="module")
def fleet(shared_embedded_fleet) -> EmbeddedFleet:
    return shared_embedded_fleet(2, gpus=A100)


def ssh(fleet: EmbeddedFleet, host: str, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = ["ssh", "-F", str(fleet.folder / "ssh_config"), "-o", "BatchMode=yes", host, *words]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=30)


def connect(fleet: EmbeddedFleet, host: EmbeddedHost, **more):
    options = {
        "username": host.user,
        "client_keys": [str(host.private_key)],
        "known_hosts": str(fleet.folder / "known_hosts"),
        "config": None,
    }
    return asyncssh.connect(host.address, host.port, **(options | more))


def test_status_and_both_outputs_come_back(fleet):
    done = ssh(fleet, "gpu01", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"out\n", b"err\n")


async def test_death_by_signal_is_told(fleet):
    async with connect(fleet, fleet["gpu01"]) as connection:
        done = await connection.run("kill -TERM $$")
    assert done.exit_signal is not None
    assert done.exit_signal[0] == "TERM"


async def test_signals_reach_the_process(fleet):
    async with connect(fleet, fleet["gpu01"]) as connection:
        process = await connection.create_process(
            "trap 'echo caught; exit 5' USR1; echo set; while :; do sleep 0.05; done"
        )
        assert await process.stdout.readline() == "set\n"
        process.send_signal("USR1")
        done = await process.wait()
    assert (done.stdout, done.exit_status) == ("caught\n", 5)


def test_thirty_megabytes_go_over_unharmed(fleet):
    data = os.urandom(30 << 20)
    done = ssh(fleet, "gpu01", "cat >big; cat big", stdin=data)
    assert len(done.stdout) == len(data)
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(data).digest()


def test_the_end_of_input_never_overtakes_its_data(fleet):
    data = os.urandom(3 << 20)
    for _ in range(10):
        assert int(ssh(fleet, "gpu01", "cat >big; wc -c <big", stdin=data).stdout) == len(data)


def test_a_slow_reader_gets_all(fleet):
    data = os.urandom(8 << 20)
    done = ssh(fleet, "gpu01", "sleep 0.3; wc -c", stdin=data)
    assert int(done.stdout) == len(data)


async def test_what_a_client_ran_ends_with_its_connection(fleet, eventually):
    connection = await connect(fleet, fleet["gpu01"])
    process = await connection.create_process("trap '' HUP; sleep 600 & echo $! $$; wait")
    inner, outer = map(int, (await process.stdout.readline()).split())
    connection.abort()
    await connection.wait_closed()
    eventually(lambda: not Path(f"/proc/{inner}").exists() and not Path(f"/proc/{outer}").exists())


def test_hosts_have_their_own_homes_names_and_gpus(fleet):
    ssh(fleet, "gpu01", "echo mine >note")
    assert ssh(fleet, "gpu01", "cat ~/note; hostname").stdout == b"mine\ngpu01\n"
    assert ssh(fleet, "gpu02", "cat ~/note").returncode != 0
    assert fleet["gpu01"].path("~/note").read_text() == "mine\n"
    assert ssh(fleet, "gpu02", "nvidia-smi -L").stdout.count(b"A100") == 8


def test_nothing_of_the_controllers_environment_is_seen(fleet):
    names = {line.split(b"=")[0] for line in ssh(fleet, "gpu01", "env").stdout.splitlines()}
    assert names <= {b"PATH", b"HOME", b"USER", b"LOGNAME", b"SHELL", b"TMPDIR", b"LANG", b"PWD", b"LC_ALL", b"_"}


def test_a_terminal_is_given_on_request(fleet):
    done = ssh(fleet, "gpu01", "-tt", "tty; stty -a >/dev/null && echo terminal")
    assert b"/dev/pts/" in done.stdout
    assert b"terminal" in done.stdout


async def test_only_the_fleets_key_opens_a_host(fleet):
    host = fleet["gpu01"]
    stranger = asyncssh.generate_private_key("ssh-ed25519")
    with pytest.raises(asyncssh.PermissionDenied):
        await connect(fleet, host, client_keys=[stranger])
    with pytest.raises(asyncssh.PermissionDenied):
        await connect(fleet, host, username="somebody-else")
    with pytest.raises(asyncssh.PermissionDenied):
        await connect(fleet, host, client_keys=None, agent_path=None, password="guess")


async def test_each_host_has_its_own_host_key(fleet):
    first, second = fleet["gpu01"], fleet["gpu02"]
    wrong = asyncssh.import_known_hosts(first.known_host.replace(str(first.port), str(second.port)))
    with pytest.raises(asyncssh.HostKeyNotVerifiable):
        await connect(fleet, second, known_hosts=wrong)


def test_all_that_ran_on_the_hosts_ends_with_the_fleet(embedded_fleet):
    with EmbeddedFleet(1) as fleet:
        ssh(fleet, "gpu01", "mkfifo pid; setsid sh -c 'echo $$ >pid; exec sleep 600' >/dev/null 2>&1 & cat pid >number")
        process = Path("/proc") / fleet["gpu01"].path("~/number").read_text().strip()
        assert process.exists()
    assert not process.exists()
    assert not fleet.folder.exists()


def test_thirty_two_hosts_at_once(embedded_fleet):
    fleet = embedded_fleet(32)
    running = [
        subprocess.Popen(["ssh", "-F", fleet.folder / "ssh_config", host.name, "hostname"], stdout=subprocess.PIPE)
        for host in fleet.hosts
    ]
    assert [process.communicate()[0].decode().strip() for process in running] == [host.name for host in fleet.hosts]
