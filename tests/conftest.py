"""Fixtures for all tests: lab fleets, fleetenv's command line as users run it, files served over HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

import pytest

from fleetenv.lab import namespaces
from fleetenv.lab.channel import LabChannel, build_channel
from fleetenv.lab.embedded import EmbeddedFleet
from fleetenv.lab.installer import Installer, build_installer, installer_for_tests
from fleetenv.lab.namespaces import Account, NamespaceFleet
from fleetenv.lab.nvidia_smi import Gpus

ROOT = Path(__file__).parent.parent

_LONG = ("system", "lab", "envs")  # parts whose files take longest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put whole fleets first: of several workers, the one that begins a long file last is waited for alone."""
    items.sort(key=lambda item: _LONG.index(item.path.parent.name) if item.path.parent.name in _LONG else len(_LONG))


class EmbeddedFactory(Protocol):
    """Brings up embedded hosts that live as long as the fixture."""

    def __call__(
        self, hosts: int | Sequence[str], *, folder: Path | None = None, gpus: Gpus | Mapping[str, Gpus] | None = None
    ) -> EmbeddedFleet: ...


class NamespaceFactory(Protocol):
    """Brings up namespace hosts that live as long as the fixture."""

    def __call__(
        self,
        hosts: int | Sequence[str],
        *,
        folder: Path | None = None,
        account: Account | None = None,
        gpus: Gpus | Mapping[str, Gpus] | None = None,
        disk: Path | None = None,
        size: str = "4g",
    ) -> NamespaceFleet: ...


def _embedded() -> Iterator[EmbeddedFactory]:
    with ExitStack() as stack:
        yield lambda hosts, **more: stack.enter_context(EmbeddedFleet(hosts, **more))


def _namespaces() -> Iterator[NamespaceFactory]:
    problem = namespaces.missing()
    if problem is not None:
        pytest.skip(problem)
    with ExitStack() as stack:
        yield lambda hosts, **more: stack.enter_context(NamespaceFleet(hosts, **more))


@pytest.fixture
def embedded_fleet() -> Iterator[EmbeddedFactory]:
    """`fleet = embedded_fleet(4)`: asyncssh hosts on loopback, for one test."""
    yield from _embedded()


@pytest.fixture(scope="module")
def shared_embedded_fleet() -> Iterator[EmbeddedFactory]:
    """As [`embedded_fleet`][], for all tests of a file: build the file's own fixture on it."""
    yield from _embedded()


@pytest.fixture
def namespace_fleet() -> Iterator[NamespaceFactory]:
    """`fleet = namespace_fleet(8)`: real OpenSSH hosts, for one test. Mark the test `root` and `sshd`."""
    yield from _namespaces()


@pytest.fixture(scope="module")
def shared_namespace_fleet() -> Iterator[NamespaceFactory]:
    """As [`namespace_fleet`][], for all tests of a file: build the file's own fixture on it."""
    yield from _namespaces()


@dataclass(frozen=True)
class Finished:
    """What a run of the command line left behind."""

    status: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class CommandLine:
    """fleetenv's command line, as a real process with a home of its own and no colour."""

    home: Path

    def command(self, *words: str | Path) -> list[str]:
        return [sys.executable, "-m", "fleetenv", *map(str, words)]

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("FLEETENV_", "SSH_", "XDG_STATE"))
        }
        return kept | {"HOME": str(self.home), "NO_COLOR": "1", "PYTHONPATH": str(ROOT), **(extra or {})}

    def __call__(
        self,
        *words: str | Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: str = "",
        timeout: float = 300,
    ) -> Finished:
        """Run `fleetenv WORDS...` to its end in `timeout` seconds, from the home unless `cwd` is given."""
        done = subprocess.run(
            self.command(*words),
            cwd=cwd or self.home,
            env=self.environment(env),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def start(self, *words: str | Path, cwd: Path | None = None, **more: Any) -> subprocess.Popen[str]:
        """Start `fleetenv WORDS...` and do not wait: for tests that interrupt or kill it."""
        return subprocess.Popen(self.command(*words), cwd=cwd or self.home, env=self.environment(), text=True, **more)


@pytest.fixture
def fleetenv_cli(tmp_path: Path) -> CommandLine:
    """`done = fleetenv_cli("apply", "site.yml", "-i", inventory)`."""
    home = tmp_path / "home"
    home.mkdir()
    return CommandLine(home)


@dataclass
class Served:
    """A folder on the web. `requests` are the paths asked for, in their order."""

    folder: Path
    port: int
    requests: list[str] = field(default_factory=list)

    def url(self, path: str = "", address: str = "127.0.0.1") -> str:
        """The URL of a file; hosts of a namespace fleet reach it at their `fleet.gateway`."""
        return f"http://{address}:{self.port}/{path}"


class WebFactory(Protocol):
    """Serves a folder as long as the test runs."""

    def __call__(self, folder: Path, *, address: str = "127.0.0.1") -> Served: ...


@pytest.fixture
def web(request: pytest.FixtureRequest) -> WebFactory:
    """`served = web(folder, address=fleet.gateway)`: http.server in a thread; it counts what is asked for."""

    def serve(folder: Path, *, address: str = "127.0.0.1") -> Served:
        served = Served(folder, 0)

        class Handler(SimpleHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def __init__(self, *words: Any) -> None:
                super().__init__(*words, directory=str(folder))

            def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
                served.requests.append(self.path)

            def log_message(self, *words: object) -> None:
                pass

        server = ThreadingHTTPServer((address, 0), Handler)
        served.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()

        def end() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        request.addfinalizer(end)
        return served

    return serve


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What fleetenv caches, py-rattler for hosts above all, is made once for a test run, and not in the user's home."""
    os.environ["XDG_CACHE_HOME"] = str(_shared(tmp_path_factory) / "cache")


@pytest.fixture(scope="session")
def lab_channel(tmp_path_factory: pytest.TempPathFactory) -> LabChannel:
    """The lab's conda channel and pip index, built once for all workers of a test run."""
    return build_channel(_shared(tmp_path_factory) / "lab-channel")


@pytest.fixture(scope="session")
def lab_installer(lab_channel: LabChannel, tmp_path_factory: pytest.TempPathFactory) -> Installer:
    """The Miniconda that tests install: FLEETENV_TEST_MINICONDA's if that is set, else the lab's."""
    return installer_for_tests(lab_channel, _shared(tmp_path_factory) / "lab-installer")


@pytest.fixture(scope="session")
def standin_installer(lab_channel: LabChannel, tmp_path_factory: pytest.TempPathFactory) -> Installer:
    """The lab's Miniconda, where a real one would take too much time or room: FLEETENV_TEST_MINICONDA is for others."""
    return build_installer(lab_channel, _shared(tmp_path_factory) / "standin-installer")


def _shared(factory: pytest.TempPathFactory) -> Path:
    """Return the folder that all workers of a pytest-xdist run see."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """`eventually(condition)`: fails unless the condition comes true within ten seconds."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline, "it did not come true"
            time.sleep(0.02)

    return wait
