"""One history of simulated hosts, and a `fleetenv serve` over it: real processes, shared by all tests."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from .simulated import Fleet, fill

ROOT = Path(__file__).parents[2]
TOKEN = "a-token-of-the-tests-own"
HOSTS = 46
RUNS = 12


@dataclass(frozen=True)
class Answer:
    """What the server said."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Server:
    """A running `fleetenv serve`."""

    process: subprocess.Popen[str]
    url: str
    file: Path

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 0

    def ask(
        self, path: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, body: str | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, {"Accept": "text/html", **(headers or {})})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def page(self, path: str) -> str:
        """Return a page that must be there."""
        answer = self.ask(path)
        assert answer.status == 200, answer.text
        return answer.text

    def data(self, path: str) -> Any:
        """Return the same page as JSON."""
        answer = self.ask(path, headers={"Accept": "application/json"})
        assert answer.status == 200, answer.text
        return answer.json


def start(file: Path, *words: str) -> Server:
    """Start the server on a free port, and wait until it has said where."""
    process = subprocess.Popen(
        [sys.executable, "-m", "fleetenv", "serve", "--history", str(file), "--port", "0", *words],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout is not None
    said = process.stdout.readline()
    if not said:
        _, problem = process.communicate(timeout=30)
        pytest.fail(f"it did not start: {problem}")
    return Server(process, said.split()[0], file)


def stop(server: Server) -> None:
    """End the server, if it still runs."""
    server.process.terminate()
    server.process.communicate(timeout=30)


@pytest.fixture(scope="session")
def history_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("history") / "history.db"
    fill(file, Fleet(HOSTS, hostile=True), RUNS)
    return file


@pytest.fixture(scope="session")
def dashboard(history_file: Path) -> Iterator[Server]:
    """On 127.0.0.1, without a token."""
    server = start(history_file)
    yield server
    stop(server)


@pytest.fixture(scope="session")
def guarded(history_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With [`TOKEN`][]."""
    file = tmp_path_factory.mktemp("token") / "token"
    file.write_text(TOKEN + "\n")
    server = start(history_file, "--token-file", str(file))
    yield server
    stop(server)
