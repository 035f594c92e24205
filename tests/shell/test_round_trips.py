"""How often a host is waited for, counted on the wire: what a run over a long way costs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from openssh import Sshd, keygen

from fleetenv.remote import Run
from fleetenv.shell import Settings, connect

ROOT = Path(__file__).parents[2]


class Counter:
    """The benchmarks' relay to the server: it counts. What crosses on the way counts once, so there has to be a way."""

    def __init__(self, port: int) -> None:
        words = [sys.executable, "-m", "benchmarks.relay", "0.4", f"127.0.0.1:{port}"]
        self.process = subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        (self.port,) = self._line()

    def _line(self) -> list[int]:
        assert self.process.stdout
        return list(json.loads(self.process.stdout.readline()))

    def trips(self) -> int:
        """Round trips since this was asked last."""
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        (passed,) = self._line()
        return int(passed["round_trips"])  # type: ignore[index]  # a mapping here


@pytest.fixture
def counter(sshd: Sshd) -> Iterator[Counter]:
    counter = Counter(sshd.port)
    yield counter
    assert counter.process.stdin
    counter.process.stdin.close()
    counter.process.wait()


@pytest.fixture
def settings(sshd: Sshd, counter: Counter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / "known_hosts").write_text(f"[127.0.0.1]:{counter.port} {sshd.host_key}\n")
    return replace(sshd.settings(), port=counter.port, known_hosts=(tmp_path / "known_hosts",))


async def test_a_login_and_a_message_take_eight(settings: Settings, counter: Counter) -> None:
    """TCP, the versions, the keys, the service, the login, the channel, the shell, and the message."""
    async with await connect(settings) as connection:
        await connection.talk([Run("true"), Run("id"), Run("cat", stdin=b"x" * 10_000)])
    assert counter.trips() == 8


async def test_each_further_message_takes_one(settings: Settings, counter: Counter) -> None:
    async with await connect(settings) as connection:
        await connection.talk([Run("true")])
        counter.trips()
        for _ in range(5):
            await connection.talk([Run("true"), Run("id")])
        assert counter.trips() == 5


async def test_a_key_that_is_refused_gives_way_to_the_next(
    settings: Settings, counter: Counter, sshd: Sshd, tmp_path: Path
) -> None:
    keygen(tmp_path / "other")
    config = tmp_path / "config"
    config.write_text(f"IdentityFile {sshd.key}\n")
    async with await connect(replace(settings, private_key=tmp_path / "other", ssh_config=config)) as connection:
        (answer,) = await connection.talk([Run("echo in")])
    assert answer.text == "in\n"
