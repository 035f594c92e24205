"""Namespace hosts are machines of their own, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fleetenv.lab.namespaces import Account, NamespaceFleet
from fleetenv.lab.nvidia_smi import A100, V100, Fault, Gpus
from fleetenv.lab.temporary import temporary_folder

pytestmark = [pytest.mark.root, pytest.mark.sshd]


@pytest.fixture(scope="module")
def fleet(shared_namespace_fleet) -> NamespaceFleet:
    return shared_namespace_fleet(2, gpus={"gpu01": A100})


def ssh(fleet: NamespaceFleet, host: str, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = ["ssh", "-F", str(fleet.folder / "ssh_config"), "-o", "BatchMode=yes", host, *words]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=30)


def test_each_host_has_its_own_name_address_and_processes(fleet):
    name, address = ssh(fleet, "gpu01", "hostname; set -- $SSH_CONNECTION; echo $3").stdout.split()
    assert (name.decode(), address.decode()) == ("gpu01", fleet["gpu01"].address)
    assert int(ssh(fleet, "gpu02", "ls -d /proc/[0-9]* | wc -l").stdout) < 20


def test_files_of_one_host_are_seen_on_no_other(fleet, tmp_path):
    for path in ("/root/note", "/opt/note", "/etc/note", "/usr/bin/note", "/var/lib/note", "/tmp/note", "/note"):
        assert ssh(fleet, "gpu01", f"echo mine >{path}").returncode == 0
        assert fleet["gpu01"].path(path).read_text() == "mine\n"
        assert not fleet["gpu02"].path(path).exists()
        assert not Path(path).exists()


def test_a_host_can_change_and_delete_what_it_shares_without_harm(fleet):
    before = Path("/etc/services").read_bytes()
    assert ssh(fleet, "gpu01", "rm /usr/bin/diff /etc/services && ! ls /usr/bin/diff 2>/dev/null").returncode == 0
    assert Path("/etc/services").read_bytes() == before
    assert fleet["gpu02"].path("/etc/services").read_bytes() == before
    assert Path("/usr/bin/diff").exists()


def test_commands_from_outside_start_in_the_hosts_root(fleet):
    assert fleet["gpu01"].must_run("pwd; hostname") == "/\ngpu01\n"
    assert fleet["gpu01"].run("exit 7").status == 7


def test_nothing_of_the_controllers_own_is_seen(fleet):
    assert (
        ssh(fleet, "gpu01", "ls -A /root /home /opt /srv /tmp /mnt; cat /proc/1/environ").stdout.count(b".ssh\n") == 1
    )
    here = Path(__file__).parent
    assert not fleet["gpu01"].path(str(here)).exists()
    secret = Path("/etc/ssh/ssh_host_ed25519_key")
    if secret.exists():
        assert fleet["gpu01"].path(str(secret)).read_bytes() != secret.read_bytes()


def test_hard_links_work_across_homes_and_opt(fleet):
    done = ssh(
        fleet, "gpu01", "mkdir -p /opt/pkgs && echo x >/opt/pkgs/a && ln /opt/pkgs/a /root/b && stat -c %h /root/b"
    )
    assert done.stdout == b"2\n"


def test_hosts_reach_each_other_and_this_machine(fleet, web, tmp_path):
    (tmp_path / "hello").write_text("hello")
    served = web(tmp_path, address=fleet.gateway)
    done = ssh(fleet, "gpu01", f"curl -fsS {served.url('hello', fleet.gateway)} && : </dev/tcp/gpu02/22")
    assert (done.returncode, done.stdout) == (0, b"hello")
    assert served.requests == ["/hello"]


def test_a_jump_host_leads_to_its_neighbour(fleet):
    proxy = f"ssh -F {fleet.folder / 'ssh_config'} -W %h:%p gpu01"
    done = ssh(fleet, "gpu02", "-o", f"ProxyCommand={proxy}", "echo $SSH_CLIENT")
    assert done.stdout.split()[0].decode() == fleet["gpu01"].address


def test_gpus_are_simulated_where_described_and_absent_elsewhere(fleet):
    assert ssh(fleet, "gpu01", "nvidia-smi -q -x").stdout.count(b"fleetenv lab: simulated") == 1
    assert ssh(fleet, "gpu02", "nvidia-smi").returncode == 127
    fleet["gpu02"].set_gpus(V100)
    assert ssh(fleet, "gpu02", "nvidia-smi -L").stdout.count(b"V100") == 8
    assert b"470.82.01" in ssh(fleet, "gpu02", "cat /proc/driver/nvidia/version").stdout
    fleet["gpu02"].set_gpus(Gpus(fault=Fault.NO_DRIVER))
    assert ssh(fleet, "gpu02", "nvidia-smi").returncode == 9


def test_a_cut_cable_silences_a_host_until_it_is_mended(fleet):
    host = fleet["gpu02"]
    host.cut()
    assert ssh(fleet, "gpu02", "-o", "ConnectTimeout=1", "true").returncode == 255
    host.mend()
    assert ssh(fleet, "gpu02", "-o", "ConnectTimeout=10", "true").returncode == 0


def test_without_sshd_connections_are_refused(fleet):
    host = fleet["gpu02"]
    host.kill_sshd()
    assert b"Connection refused" in ssh(fleet, "gpu02", "true").stderr
    host.start_sshd()
    assert ssh(fleet, "gpu02", "true").returncode == 0


def test_a_full_disk_is_full(fleet):
    host = fleet["gpu01"]
    host.limit("/opt/small", 4)
    host.fill("/opt/small", leave=65536)
    done = ssh(fleet, "gpu01", "head -c 1000000 /dev/zero >/opt/small/more")
    assert b"No space left on device" in done.stderr


def test_a_read_only_folder_refuses_root(fleet):
    host = fleet["gpu01"]
    host.must_run("mkdir -p /opt/fixed")
    host.make_read_only("/opt/fixed")
    assert b"Read-only file system" in ssh(fleet, "gpu01", "touch /opt/fixed/file").stderr


def test_orphans_are_reaped(fleet, eventually):
    host = fleet["gpu01"]
    ssh(fleet, "gpu01", "for i in 1 2 3; do setsid sh -c 'sleep 0.1' >/dev/null 2>&1 & done")
    eventually(lambda: host.must_run("grep -l '^State:.Z' /proc/[0-9]*/status; :") == "")


def test_a_killed_host_falls_silent_alone(namespace_fleet):
    fleet = namespace_fleet(2)
    fleet["gpu01"].kill()
    assert ssh(fleet, "gpu01", "-o", "ConnectTimeout=1", "true").returncode == 255
    assert ssh(fleet, "gpu02", "true").returncode == 0


@pytest.mark.parametrize(("sudo", "password"), [("nopasswd", ""), ("password", "correct horse"), ("none", "")])
def test_a_named_user_has_sudo_as_asked(namespace_fleet, sudo, password):
    fleet = namespace_fleet(1, account=Account("ops", password=password, sudo=sudo))
    assert ssh(fleet, "gpu01", "id -un; pwd").stdout == b"ops\n/home/ops\n"
    assert (ssh(fleet, "gpu01", "sudo -n id -un").stdout == b"root\n") is (sudo == "nopasswd")
    answered = ssh(fleet, "gpu01", "sudo -S -p '' id -un", stdin=password.encode() + b"\n")
    assert (answered.stdout == b"root\n") is (sudo != "none")
    assert not fleet["gpu01"].path("/etc/lab-accounts").exists()


def test_files_may_lie_on_a_real_disk(namespace_fleet, tmp_path):
    fleet = namespace_fleet(1, disk=tmp_path)
    assert ssh(fleet, "gpu01", "echo x >/opt/file; stat -f -c %T /opt").stdout.strip() != b"tmpfs"
    assert list(tmp_path.glob("gpu01*/opt/file"))


_OWNER = """
import sys
from fleetenv.lab.namespaces import NamespaceFleet
with NamespaceFleet(2) as fleet:
    print(fleet.hosts[0].process, fleet.gateway, fleet.folder, flush=True)
    sys.stdin.read()
"""


def test_nothing_is_left_when_the_owner_is_killed(eventually):
    owner = subprocess.Popen([sys.executable, "-c", _OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    pid, gateway, folder = owner.stdout.readline().split()
    card = f"fleet{gateway.split('.')[2]}"
    assert Path(f"/sys/class/net/{card}").exists()
    os.kill(owner.pid, signal.SIGKILL)
    owner.communicate()
    eventually(lambda: not Path(f"/proc/{pid}").exists() and not Path(f"/sys/class/net/{card}").exists())
    with temporary_folder():
        assert not Path(folder).exists()


def test_two_fleets_live_side_by_side(namespace_fleet):
    one, other = namespace_fleet(1), namespace_fleet(1)
    assert one.hosts[0].address != other.hosts[0].address
    assert ssh(one, "gpu01", "true").returncode == ssh(other, "gpu01", "true").returncode == 0


def test_thirty_two_hosts_at_once(namespace_fleet):
    fleet = namespace_fleet(32)
    running = [
        subprocess.Popen(["ssh", "-F", fleet.folder / "ssh_config", host.name, "hostname"], stdout=subprocess.PIPE)
        for host in fleet.hosts
    ]
    assert [process.communicate()[0].decode().strip() for process in running] == [host.name for host in fleet.hosts]
