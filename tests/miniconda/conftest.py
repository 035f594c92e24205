from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from fleetenv.lab.channel import LabChannel
from fleetenv.lab.installer import Installer, build_installer
from tests.conftest import CommandLine


@pytest.fixture(scope="session")
def channel(lab_channel: LabChannel) -> LabChannel:
    return lab_channel


@pytest.fixture(scope="session")
def installers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("installers")


@pytest.fixture(scope="session")
def lab(channel: LabChannel, installers: Path) -> Installer:
    """The lab's installer, whatever FLEETENV_TEST_MINICONDA says."""
    return build_installer(channel, installers)


@pytest.fixture(scope="session")
def installer(lab_installer: Installer) -> Installer:
    return lab_installer


@dataclass
class Site:
    """A playbook of one miniconda task, applied to hosts that are this machine."""

    folder: Path
    cli: CommandLine
    prefix: Path
    hosts: tuple[str, ...] = ("gpu01",)

    def write(self, environment: Mapping[str, str] | None = None, **arguments: object) -> list[str | Path]:
        task = {"miniconda": {"prefix": str(self.prefix), **arguments}, "environment": dict(environment or {})}
        play = {"hosts": "all", "gather_facts": False, "tasks": [task]}
        (self.folder / "site.yml").write_text(json.dumps([play]))
        hosts = {host: {"ansible_connection": "local"} for host in self.hosts}
        (self.folder / "hosts.yml").write_text(json.dumps({"all": {"hosts": hosts}}))
        return ["apply", self.folder / "site.yml", "-i", self.folder / "hosts.yml"]

    def apply(self, *options: str, environment: Mapping[str, str] | None = None, **arguments: object) -> dict[str, Any]:
        """Apply the task, and return its result on the first host."""
        words = [*self.write(environment, **arguments), *options, "--json", self.folder / "result.json"]
        done = self.cli(*words)
        assert done.status in (0, 2), done.stderr
        result: dict[str, Any] = json.loads((self.folder / "result.json").read_text())
        return dict(result["hosts"][self.hosts[0]]["tasks"][0])

    def refuse(self, **arguments: object) -> str:
        """Apply a task that cannot be, and return what is said of it."""
        done = self.cli(*self.write(**arguments))
        assert done.status == 1
        return done.stderr

    def conda(self, *words: str) -> str:
        done = subprocess.run([self.prefix / "bin/conda", *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()


@pytest.fixture
def site(tmp_path: Path, fleetenv_cli: CommandLine) -> Site:
    return Site(tmp_path, fleetenv_cli, tmp_path / "miniconda3")


@dataclass
class CutMirror:
    """A mirror whose first answer breaks off half-way; later ones go on where the client says."""

    url: str
    ranges: list[str | None] = field(default_factory=list)


@pytest.fixture
def cut_mirror(installer: Installer) -> Iterator[CutMirror]:
    data = installer.path.read_bytes()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            mirror.ranges.append(wanted)
            start = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted else 0
            self.send_response(206 if wanted else 200)
            self.send_header("Content-Length", str(len(data) - start))
            if wanted:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            self.end_headers()
            self.wfile.write(data[start : len(data) // 2] if len(mirror.ranges) == 1 else data[start:])

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    mirror = CutMirror(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield mirror
    server.shutdown()
    server.server_close()


@pytest.fixture
def slow_mirror(installer: Installer) -> Iterator[str]:
    """A mirror that has the last byte only after 2.5 seconds: its clients have something to tell meanwhile."""
    data = installer.path.read_bytes()
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[:-1])
            ended.wait(2.5)
            self.wfile.write(data[-1:])

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    ended.set()
    server.shutdown()
    server.server_close()
