"""Steps reach files of the controller by their sha256, over every transport; and nothing else, and nobody else does."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from msgspec.structs import replace
from openssh import Sshd, start_sshd, stop_sshd

from fleetenv.errors import TaskFailed
from fleetenv.remote import Offer, Run
from fleetenv.shell import Connect, Connection

CONTENT = os.urandom(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
GET = "import sys,urllib.request as u;sys.stdout.buffer.write(u.urlopen(u.Request(sys.argv[1],headers=%s)).read())"


@pytest.fixture
def offer(tmp_path: Path) -> Callable[[bytes], Offer]:
    def made(content: bytes = CONTENT) -> Offer:
        sha256 = hashlib.sha256(content).hexdigest()
        (tmp_path / sha256).write_bytes(content)
        future: Future[Path] = Future()
        future.set_result(tmp_path / sha256)
        return Offer(sha256, lambda: future)

    return made


def get(path: str, headers: str = "{}") -> str:
    return f'python3 -c "{GET % headers}" "$FLEETENV_FILES/{path}"'


async def test_a_step_fetches_what_it_is_offered(connection: Connection, offer: Callable[..., Offer]) -> None:
    results = await connection.talk(
        [
            Run("echo before"),
            Run(get(SHA256), offers=(offer(),)),
            Run(get(SHA256, "{'Range':'bytes=2999990-'}"), offers=(offer(),)),
            Run('echo "$FLEETENV_FILES"'),
        ]
    )
    assert results[1].stdout == CONTENT
    assert results[2].stdout == CONTENT[-10:]
    assert results[3].text == "\n"  # it is the other steps' own


async def test_what_is_worth_telling_of_a_file_comes_with_the_step_that_fetched_it(
    connection: Connection, offer: Callable[..., Offer]
) -> None:
    told = replace(offer(), notes=lambda: ["mirror: dead; 1 file came from elsewhere"])
    fetched, left = await connection.talk(
        [Run(f"{get(SHA256)} | wc -c", offers=(told,)), Run("echo on", offers=(offer(b"another"),))]
    )
    assert fetched.text == f"{len(CONTENT)}\nfleetenv-note the controller: mirror: dead; 1 file came from elsewhere\n"
    assert left.text == "on\n"


async def test_many_at_once_get_whole_files(connection: Connection, offer: Callable[..., Offer]) -> None:
    script = f"for i in 1 2 3 4; do {get(SHA256)} | sha256sum & done; wait"
    (result,) = await connection.talk([Run(script, offers=(offer(),))])
    assert result.text == f"{SHA256}  -\n" * 4


async def test_nothing_else_can_be_had(connection: Connection, offer: Callable[..., Offer]) -> None:
    other = offer(b"of another step")
    paths = [other.sha256, "../" + SHA256, "", "/etc/passwd", SHA256.upper(), f"{SHA256}/..", f"../wrong/{SHA256}"]
    steps = [Run(get(path), offers=(offer(),), may_fail=True) for path in paths]
    for result in await connection.talk(steps):
        assert (result.status, result.stdout) == (1, b"")
        assert "HTTP Error 404" in result.error_text


async def test_once_the_step_is_over_so_is_the_offer(connection: Connection, offer: Callable[..., Offer]) -> None:
    (told,) = await connection.talk([Run('echo "$FLEETENV_FILES"', offers=(offer(),))])
    late = Run(get(SHA256), environment={"FLEETENV_FILES": told.text.strip()}, may_fail=True)
    (result,) = await connection.talk([late])
    assert "HTTP Error 404" in result.error_text


async def test_a_file_that_the_controller_cannot_get_is_told_with_the_reason(connection: Connection) -> None:
    def fails() -> Future[Path]:
        future: Future[Path] = Future()
        future.set_exception(TaskFailed("cannot download it: the mirror is\ndead"))
        return future

    (result,) = await connection.talk([Run(get(SHA256), offers=(Offer(SHA256, fails),), may_fail=True)])
    assert "HTTP Error 404: cannot download it: the mirror is dead" in result.error_text


@pytest.fixture(scope="session")
def strict_sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    server = start_sshd(tmp_path_factory.mktemp("strict-sshd"), "AllowTcpForwarding no")
    yield server
    stop_sshd(server)


@pytest.mark.parametrize("way", ["asyncssh", "fabric", "workers"])
async def test_where_nothing_is_forwarded_files_are_sent_when_asked_for(
    way: str, connect: Connect, strict_sshd: Sshd, offer: Callable[..., Offer], tmp_path: Path
) -> None:
    arrivals = tmp_path / "arrivals"
    arrivals.mkdir()
    unwanted = offer(b"there already")
    script = f"""
[ -z "$FLEETENV_FILES" ] || exit 1
if [ ! -f {arrivals}/{SHA256} ]; then echo fleetenv-wants {SHA256}; echo fleetenv-wants {"0" * 64}; exit 69; fi
sha256sum <{arrivals}/{SHA256}"""
    settings = replace(strict_sshd.settings(), transport="asyncssh" if way == "workers" else way)
    async with await connect(settings) as connection:
        steps = [Run("echo before"), Run(script, offers=(offer(), unwanted), arrivals=str(arrivals)), Run("echo after")]
        results = await connection.talk(steps)
    assert [each.text for each in results] == ["before\n", f"{SHA256}  -\n", "after\n"]
    assert [path.name for path in arrivals.iterdir()] == [SHA256]


async def test_a_step_that_goes_on_wanting_the_same_file_fails(
    connection: Connection, offer: Callable[..., Offer], tmp_path: Path
) -> None:
    script = f"echo fleetenv-wants {SHA256}; exit 69"
    (result,) = await connection.talk([Run(script, offers=(offer(),), arrivals=str(tmp_path))])
    assert result.status == 69
