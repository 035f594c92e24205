"""Reaching a host and being let in: keys, passwords, host keys, jump hosts, and each reason why not in one line."""

# ruff: noqa: ASYNC221, ASYNC240 - a test has its event loop for itself
from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from openssh import Account, Sshd, free_port, keygen, start_sshd, stop_sshd

from fleetenv import shell
from fleetenv.errors import InputError, Unreachable
from fleetenv.remote import Run
from fleetenv.shell import Connect, Connection, KeyRing, Settings


@pytest.fixture(params=["asyncssh", "fabric", "workers"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def settings(way: str, sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("HOME", str(tmp_path))  # no key, no known_hosts, no configuration but the test's own
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    transport = "asyncssh" if way == "workers" else way
    return replace(sshd.settings(), transport=transport, ssh_config=None, connect_timeout=5)


@pytest.fixture
def connect(settings: Settings, connect: Connect) -> Connect:
    """After the environment is set: workers have that of the moment when they were started."""
    return connect


async def whoami(connection: Connection) -> str:
    return (await connection.talk([Run("id -un")]))[0].text.strip()


async def reason(connect: Connect, settings: Settings) -> str:
    with pytest.raises(Unreachable) as caught:
        await connect(settings)
    return str(caught.value)


async def test_nobody_listens(connect: Connect, settings: Settings) -> None:
    port = free_port()
    assert await reason(connect, replace(settings, port=port)) == f"127.0.0.1 port {port}: connection refused"


async def test_a_host_that_says_nothing(connect: Connect, settings: Settings) -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        told = await reason(connect, replace(settings, port=port, connect_timeout=0.5))
    assert told == f"no answer from 127.0.0.1 port {port} within 0.5 s"


async def test_a_name_that_does_not_exist(connect: Connect, settings: Settings) -> None:
    assert "cannot be resolved" in await reason(connect, replace(settings, address="no-such-host.invalid"))


async def test_a_host_that_speaks_something_else(connect: Connect, settings: Settings) -> None:
    async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(http, "127.0.0.1", 0) as server:
        told = await reason(connect, replace(settings, port=server.sockets[0].getsockname()[1]))
    assert told.startswith("127.0.0.1 port ")


async def test_a_key_that_is_refused(connect: Connect, settings: Settings, tmp_path: Path) -> None:
    keygen(tmp_path / "other")
    assert "login as root was refused" in await reason(connect, replace(settings, private_key=tmp_path / "other"))


async def test_no_key_at_all(connect: Connect, settings: Settings) -> None:
    assert "login as root was refused" in await reason(connect, replace(settings, private_key=None))


async def test_a_key_in_its_usual_place(connect: Connect, settings: Settings, sshd: Sshd, tmp_path: Path) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "id_ed25519").write_bytes(sshd.key.read_bytes())
    (tmp_path / ".ssh" / "id_ed25519").chmod(0o600)
    async with await connect(replace(settings, private_key=None)) as connection:
        assert await whoami(connection) == "root"


@pytest.mark.parametrize("way", ["asyncssh", "fabric"])
async def test_a_key_with_a_passphrase_is_asked_for_once(settings: Settings, sshd: Sshd, tmp_path: Path) -> None:
    key = tmp_path / "locked"
    key.write_bytes(sshd.key.read_bytes())
    key.chmod(0o600)
    subprocess.run(
        ["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", str(key)], check=True, stdout=subprocess.PIPE
    )
    asked: list[Path] = []

    def ask(path: Path) -> str:
        asked.append(path)
        return "open sesame"

    locked = replace(settings, private_key=key)
    ring = KeyRing(ask)
    for _ in range(2):
        async with await shell.connect(locked, ring) as connection:
            assert await whoami(connection) == "root"
    assert asked == [key]
    with pytest.raises(InputError, match=r"needs a passphrase"):
        await shell.connect(locked)
    with pytest.raises(InputError, match=r"passphrase of .* is wrong"):
        await shell.connect(locked, KeyRing(lambda path: "wrong"))


async def test_a_key_that_is_none(connect: Connect, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no key")
    for name in ("text", "missing"):
        with pytest.raises(InputError, match=f"cannot read the private key .*{name}"):
            await connect(replace(settings, private_key=tmp_path / name))


@pytest.fixture
def agent(sshd: Sshd, tmp_path: Path) -> Iterator[Path]:
    socket = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()  # it tells its socket once that is there
    subprocess.run(["ssh-add", "-q", str(sshd.key)], env={**os.environ, "SSH_AUTH_SOCK": str(socket)}, check=True)
    yield socket
    process.terminate()
    process.wait()


@pytest.mark.parametrize("way", ["asyncssh", "fabric"])
async def test_a_key_that_only_the_agent_has(settings: Settings, agent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
    async with await shell.connect(replace(settings, private_key=None)) as connection:
        assert await whoami(connection) == "root"


@pytest.mark.parametrize("way", ["asyncssh", "fabric"])
async def test_a_locked_key_is_left_to_the_agent_that_has_it(
    settings: Settings, sshd: Sshd, agent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "locked"
    key.write_bytes(sshd.key.read_bytes())
    key.chmod(0o600)
    subprocess.run(
        ["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", str(key)], check=True, stdout=subprocess.PIPE
    )
    (tmp_path / "locked.pub").write_bytes(sshd.key.with_suffix(".pub").read_bytes())
    monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
    async with await shell.connect(
        replace(settings, private_key=key), KeyRing(lambda path: pytest.fail("asked"))
    ) as connection:
        assert await whoami(connection) == "root"


async def test_a_password(connect: Connect, settings: Settings, account: Account) -> None:
    with_password = replace(settings, private_key=None, user=account.name, password=account.password)
    async with await connect(with_password) as connection:
        assert await whoami(connection) == account.name
    assert "login as" in await reason(connect, replace(with_password, password="wrong"))


async def test_an_unknown_host_key_is_refused_and_the_line_says_how_to_mend_it(
    connect: Connect, settings: Settings, tmp_path: Path
) -> None:
    told = await reason(connect, replace(settings, known_hosts=(tmp_path / "none",)))
    assert "its host key is not known (ssh-ed25519 SHA256:" in told
    assert f"ssh-keyscan -p {settings.port} 127.0.0.1 >> {tmp_path}/none" in told


async def test_a_changed_host_key_is_refused_even_when_new_ones_are_accepted(
    connect: Connect, settings: Settings, tmp_path: Path
) -> None:
    keygen(tmp_path / "another")
    known = tmp_path / "known"
    known.write_text(f"[127.0.0.1]:{settings.port} {(tmp_path / 'another.pub').read_text()}")
    for checking in ("yes", "accept-new"):
        told = await reason(connect, replace(settings, known_hosts=(known,), host_key_checking=checking))
        assert "its host key has CHANGED" in told
        assert f"ssh-keygen -f {known} -R [127.0.0.1]:{settings.port}" in told


async def test_a_hashed_entry_is_understood(connect: Connect, settings: Settings, sshd: Sshd, tmp_path: Path) -> None:
    known = tmp_path / "known"
    known.write_bytes(sshd.known_hosts.read_bytes())
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(known)], check=True, stderr=subprocess.PIPE)
    assert b"127.0.0.1" not in known.read_bytes()
    async with await connect(replace(settings, known_hosts=(known,))) as connection:
        assert await whoami(connection) == "root"


async def test_new_keys_are_accepted_once_when_many_connect_at_once(
    connect: Connect, settings: Settings, sshd: Sshd, tmp_path: Path
) -> None:
    known = tmp_path / ".ssh" / "known_hosts"
    accepting = replace(settings, known_hosts=(known,), host_key_checking="accept-new")
    connections = await asyncio.gather(*(connect(accepting) for _ in range(8)))
    for connection in connections:
        await connection.close()
    assert known.read_text() == f"[127.0.0.1]:{sshd.port} {sshd.host_key}\n"
    async with await connect(replace(settings, known_hosts=(known,))) as connection:
        assert await whoami(connection) == "root"


async def test_a_key_of_another_port_is_no_key_of_this_one(
    connect: Connect, settings: Settings, tmp_path: Path
) -> None:
    keygen(tmp_path / "another")
    known = tmp_path / "known"
    known.write_text(f"127.0.0.1 {(tmp_path / 'another.pub').read_text()}")
    async with await connect(replace(settings, known_hosts=(known,), host_key_checking="accept-new")) as connection:
        assert await whoami(connection) == "root"
    assert "not known" in await reason(connect, replace(settings, known_hosts=(tmp_path / "none",)))


@pytest.mark.parametrize("word", ["accept-new", "no"])
async def test_host_key_checking_may_be_set_in_ssh_config(
    connect: Connect, settings: Settings, tmp_path: Path, word: str
) -> None:
    config = tmp_path / "config"
    config.write_text(f"Host 127.*\n  StrictHostKeyChecking {word}\n  UserKnownHostsFile {tmp_path}/known\n")
    async with await connect(replace(settings, known_hosts=(), ssh_config=config)) as connection:
        assert await whoami(connection) == "root"
    assert (tmp_path / "known").exists() == (word == "accept-new")


async def test_no_checking_when_the_user_wants_none(connect: Connect, settings: Settings, tmp_path: Path) -> None:
    async with await connect(replace(settings, known_hosts=(tmp_path / "none",), host_key_checking="no")) as connection:
        assert await whoami(connection) == "root"


async def test_what_ssh_config_says_is_used(connect: Connect, settings: Settings, sshd: Sshd, tmp_path: Path) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text(
        f"Host gpu*\n  HostName 127.0.0.1\n  Port {sshd.port}\n  User root\n  IdentityFile {sshd.key}\n"
        f"  UserKnownHostsFile {sshd.known_hosts}\n"
    )
    plain = Settings("gpu01", "gpu01", transport=settings.transport)
    async with await connect(plain) as connection:
        assert await whoami(connection) == "root"


async def test_through_a_jump_host(
    connect: Connect, settings: Settings, sshd: Sshd, account: Account, tmp_path: Path
) -> None:
    bastion = start_sshd(tmp_path / "bastion", "AllowTcpForwarding yes")
    try:
        (tmp_path / "known").write_text(sshd.known_hosts.read_text() + bastion.known_hosts.read_text())
        (bastion.folder / "authorized_keys").write_text((sshd.folder / "authorized_keys").read_text())
        through = replace(settings, proxy_jump=f"root@127.0.0.1:{bastion.port}", known_hosts=(tmp_path / "known",))
        async with await connect(through) as connection:
            (answer,) = await connection.talk([Run("set -- $SSH_CONNECTION; echo $4; ps -o ppid= -p $PPID")])
            assert answer.text.splitlines()[0] == str(sshd.port)
        log = subprocess.run(["ss", "-tn"], stdout=subprocess.PIPE, text=True, check=True).stdout
        assert f"127.0.0.1:{bastion.port}" not in [line for line in log.splitlines() if "ESTAB" in line]
        assert "jump host" in await reason(connect, replace(through, known_hosts=sshd.settings().known_hosts))
    finally:
        stop_sshd(bastion)


@pytest.mark.parametrize("way", ["asyncssh", "workers"])  # paramiko connects anew for each host
async def test_hosts_share_the_connection_to_their_jump_host(
    connect: Connect, settings: Settings, sshd: Sshd, tmp_path: Path
) -> None:
    first, second = (start_sshd(tmp_path / name, "LogLevel VERBOSE") for name in ("first", "second"))
    try:
        key = (sshd.folder / "authorized_keys").read_text()
        for server in (first, second):
            (server.folder / "authorized_keys").write_text(key)
        (tmp_path / "known").write_text("".join(each.known_hosts.read_text() for each in (sshd, first, second)))
        via = f"root@127.0.0.1:{first.port},root@127.0.0.1:{second.port}"
        through = replace(settings, proxy_jump=via, known_hosts=(tmp_path / "known",))
        for _ in range(2):  # again, after the last one has left
            connections = await asyncio.gather(*(connect(through) for _ in range(10)))
            assert [await whoami(connection) for connection in connections] == ["root"] * 10
            await asyncio.gather(*(connection.close() for connection in connections))
        for server in (first, second):
            assert (server.folder / "log").read_text().count("Accepted publickey") == 2
    finally:
        for server in (first, second):
            stop_sshd(server)


async def test_through_a_proxy_command(connect: Connect, settings: Settings, sshd: Sshd, tmp_path: Path) -> None:
    script = "import socket,sys,threading,os\ns=socket.create_connection((sys.argv[1],int(sys.argv[2])))\n"
    script += "def up():\n  while d:=os.read(0,65536): s.sendall(d)\nthreading.Thread(target=up,daemon=True).start()\n"
    script += "while d:=s.recv(65536): os.write(1,d)\n"
    (tmp_path / "proxy.py").write_text(script)
    command = f"{sys.executable} {tmp_path}/proxy.py %h %p"
    async with await connect(replace(settings, proxy_command=command)) as connection:
        assert await whoami(connection) == "root"


async def test_a_host_that_falls_silent_is_lost(connect: Connect, settings: Settings) -> None:
    async with await connect(replace(settings, keepalive=0.2)) as connection:
        (answer,) = await connection.talk([Run("ps -o ppid= -p $PPID; echo $PPID")])
        daemon = int(answer.text.split()[1])
        os.kill(daemon, signal.SIGSTOP)
        try:
            with pytest.raises(Unreachable, match="connection was lost"):
                await asyncio.wait_for(connection.talk([Run("true")]), 10)
        finally:
            os.kill(daemon, signal.SIGCONT)


@pytest.mark.parametrize("way", ["asyncssh", "fabric"])
async def test_many_at_once(settings: Settings) -> None:
    ring = KeyRing()

    async def one(number: int) -> str:
        async with await shell.connect(settings, ring) as connection:
            return (await connection.talk([Run(f"echo {number}")]))[0].text

    count = 32 if settings.transport == "asyncssh" else 8
    assert await asyncio.gather(*(one(number) for number in range(count))) == [f"{n}\n" for n in range(count)]


@pytest.fixture
def odd_shell(sshd: Sshd, plain_account: Account, tmp_path: Path) -> Iterator[Path]:
    """A login shell that the test writes."""
    shell = plain_account.home / "shell"
    subprocess.run(["usermod", "-s", str(shell), plain_account.name], check=True)
    yield shell
    subprocess.run(["usermod", "-s", "/bin/bash", plain_account.name], check=True)


async def start(connect: Connect, settings: Settings, account: Account, shell: Path, text: str) -> Connection:
    shell.write_text(text)
    shell.chmod(0o755)
    return await connect(replace(settings, user=account.name, patience=1))


async def test_what_a_profile_prints_is_no_answer(
    connect: Connect, settings: Settings, plain_account: Account, odd_shell: Path
) -> None:
    text = "#!/bin/sh\necho Welcome to gpu01; echo '0 0'; echo warning >&2\nexec /bin/sh \"$@\"\n"
    async with await start(connect, settings, plain_account, odd_shell, text) as connection:
        assert [(r.text, r.error_text) for r in await connection.talk([Run("echo mine")])] == [("mine\n", "")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("#!/bin/sh\necho This account is not available.\nexit 1\n", "exit status 1: This account is not available"),
        ("#!/bin/sh\nkill -9 $$\n", "the user's shell does not start"),
        ("#!/bin/sh\nexec sleep 30\n", "no shell came within 1 s"),
        ("#!/bin/sh\nexec cat\n", "no shell came within 1 s"),
        ("#!/bin/sh\nexec yes\n", "too much was printed"),
        ("#!/bin/sh\nexec yes >&2\n", "too much was printed"),
    ],
)
async def test_a_login_without_a_usable_shell(
    connect: Connect, settings: Settings, plain_account: Account, odd_shell: Path, text: str, told: str
) -> None:
    async with await start(connect, settings, plain_account, odd_shell, text) as connection:
        with pytest.raises(Unreachable, match=told):
            await connection.talk([Run("echo mine")])


SHELLS = [Path("/bin") / name for name in ("bash", "dash", "csh", "tcsh", "zsh", "fish", "ksh")]


@pytest.mark.parametrize("path", [path for path in SHELLS if path.exists()], ids=lambda path: path.name)
async def test_any_login_shell_will_do(
    connect: Connect, settings: Settings, plain_account: Account, path: Path
) -> None:
    subprocess.run(["usermod", "-s", str(path), plain_account.name], check=True)
    try:
        async with await connect(replace(settings, user=plain_account.name)) as connection:
            assert await whoami(connection) == plain_account.name
    finally:
        subprocess.run(["usermod", "-s", "/bin/bash", plain_account.name], check=True)
