"""The server as a process: how it starts, follows the history, and ends."""

import http.client
import os
import re
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from fleetenv.cli import main
from fleetenv.history.schema import VERSION

from .conftest import start, stop
from .simulated import Fleet, fill, record


@pytest.fixture
def small(tmp_path):
    """A history that a test may write to."""
    file = tmp_path / "history.db"
    fill(file, Fleet(3), 2)
    return file


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_though_a_browser_is_connected(history_file, how):
    server = start(history_file)
    with socket.create_connection(("127.0.0.1", server.port)) as idle:
        idle.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert idle.recv(12) == b"HTTP/1.1 200"
        server.process.send_signal(how)
        _, said = server.process.communicate(timeout=20)
    assert server.process.returncode == (130 if how is signal.SIGINT else -signal.SIGTERM)
    assert "Traceback" not in said


def test_new_runs_are_shown_while_it_runs_and_what_did_not_change_is_not_sent_again(small):
    server = start(small)
    try:
        first = server.ask("/runs")
        tag = first.headers["ETag"]
        assert first.headers["Cache-Control"] == "private, no-cache"
        again = server.ask("/runs", headers={"If-None-Match": tag})
        assert (again.status, again.body, again.headers["ETag"]) == (304, b"", tag)
        assert server.ask("/runs?format=json").headers["ETag"] != tag

        record(small, Fleet(4), datetime.now().astimezone())
        later = server.ask("/runs", headers={"If-None-Match": tag})
        assert later.status == 200
        assert "run 3" in later.text
        assert "gpu004" in server.page("/")

        small.rename(small.with_name("away.db"))
        gone = server.ask("/")
        assert gone.status == 503
        assert "there is no history yet" in gone.text
        fill(small, Fleet(1), 1)
        assert "1 host" in server.page("/")
    finally:
        stop(server)


def test_the_history_is_not_written(small):
    before = small.read_bytes()
    small.chmod(0o400)
    server = start(small)
    try:
        server.page("/")
        server.page("/gpus")
    finally:
        stop(server)
    assert small.read_bytes() == before
    assert [file.name for file in small.parent.iterdir()] == [small.name]


def test_on_an_address_that_others_reach_a_token_is_made_and_demanded(small):
    server = start(small, "--host", "0.0.0.0")
    try:
        token = re.fullmatch(r"token: (\S{32})\n", server.process.stdout.readline())[1]
        assert server.ask("/").status == 303
        assert server.ask("/", headers={"Authorization": f"Bearer {token}", "Host": "controller:8300"}).status == 200
    finally:
        server.process.terminate()
        said, complained = server.process.communicate(timeout=30)
    assert token not in said + complained
    assert "without --certificate everybody on the way can read the token" in complained


def certificate(folder):
    """Return the files of a certificate that signs itself, and of its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fleet")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1)
    )
    chain, private = folder / "fleet.pem", folder / "fleet.key"
    chain.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return chain, private


def test_https(small, tmp_path):
    chain, key = certificate(tmp_path)
    server = start(small, "--certificate", str(chain), "--key", str(key))
    try:
        assert server.url.startswith("https://127.0.0.1:")
        context = ssl.create_default_context(cafile=chain)
        context.check_hostname = False
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=context)
        connection.request("GET", "/runs")
        assert connection.getresponse().status == 200
        connection.close()
    finally:
        stop(server)


class Said(NamedTuple):
    status: int
    stderr: str


@pytest.fixture
def serve(capsys):
    """Runs `fleetenv serve` that cannot start."""
    return lambda *words: Said(main(["serve", *map(str, words)]), capsys.readouterr().err)


def test_what_cannot_be_served_is_said_in_a_line(serve, small, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = serve("--history", small, "--port", port)
    assert (done.status, done.stderr) == (
        1, f"fleetenv: cannot listen on 127.0.0.1 port {port}: Address already in use; "
        "give another one with --port, or 0 for any\n",
    )  # fmt: skip
    missing = tmp_path / "none.db"
    done = serve("--history", missing)
    assert done.status == 1
    assert f"there is no history yet at {missing}" in done.stderr
    assert not missing.exists()
    done = serve("--history", "x" * 300)
    assert (done.status, "File name too long" in done.stderr) == (1, True)
    done = serve("--history", small, "--host", "192.0.2.1")
    assert (done.status, "cannot listen on 192.0.2.1" in done.stderr) == (1, True)
    done = serve("--history", small, "--certificate", small, "--port", "0")
    assert (done.status, "cannot use the certificate" in done.stderr) == (1, True)
    done = serve("--history", small, "--port", "http")
    assert (done.status, "is not a port" in done.stderr) == (1, True)


@pytest.mark.parametrize(("version", "words"), [(VERSION + 1, "of a newer fleetenv"), (0, "of an older fleetenv")])
def test_a_history_of_another_version_is_refused(serve, small, version, words):
    with sqlite3.connect(small) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    done = serve("--history", small)
    assert done.status == 1
    assert words in done.stderr
    assert os.linesep not in done.stderr.rstrip()


def test_what_a_killed_run_left_half_written_is_neither_shown_nor_mended(serve, small, fleetenv_cli):
    killed = f"""if True:
        import os, sqlite3
        connection = sqlite3.connect({str(small)!r}, isolation_level=None)
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO host (name) VALUES (?)", [(f"half{{n:0999}}",) for n in range(100)])
        os._exit(9)
    """
    assert subprocess.run([sys.executable, "-c", killed]).returncode == 9
    done = serve("--history", small)
    assert (done.status, "'fleetenv history' mends it" in done.stderr) == (1, True)
    assert fleetenv_cli("history", "--history", small).status == 0
    server = start(small)
    assert "half0" not in server.page("/")
    stop(server)
