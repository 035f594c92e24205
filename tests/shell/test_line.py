"""The TCP connection to a host is opened while asyncssh is still being imported."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import cast

import pytest

from fleetenv.shell.line import VERSION, Line
from fleetenv.shell.settings import Settings
from fleetenv.shell.ssh_config import leads_elsewhere

_WORD = b"SSH-2.0-spoken-at-once\r\n"


class _Caller(asyncio.Protocol):
    """What asyncssh would be: it says its version, and notes what it hears."""

    def __init__(self) -> None:
        self.heard = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.WriteTransport, transport).write(f"SSH-2.0-{VERSION}\r\n".encode())
        cast(asyncio.WriteTransport, transport).write(b"and more")

    def data_received(self, data: bytes) -> None:
        self.heard.set_result(data)


class _Host:
    """Listens on loopback, answers a greeting, and notes its callers."""

    def __init__(self) -> None:
        self.calls: list[asyncio.StreamReader] = []
        self.called = asyncio.Event()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.greeting = await reader.readline()
        writer.write(_WORD)
        await writer.drain()
        self.calls.append(reader)
        self.called.set()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Settings]:
        server = await asyncio.start_server(self.answer, "127.0.0.1", 0)
        async with server:
            yield Settings("gpu01", "127.0.0.1", port=server.sockets[0].getsockname()[1])


async def _speak(line: Line, settings: Settings) -> _Caller:
    assert settings.port
    _, connection = await line.create_connection(_Caller, settings.address, settings.port)  # type: ignore[arg-type]  # a protocol
    return cast(_Caller, connection)


async def test_both_say_their_versions_before_ssh_is_spoken_and_once() -> None:
    host = _Host()
    async with host.listening() as settings:
        line = Line()
        line.open(settings)
        await host.called.wait()
        caller = await _speak(line, settings)
        assert await caller.heard == _WORD
        assert host.greeting == f"SSH-2.0-{VERSION}\r\n".encode()
        assert await host.calls[0].readexactly(8) == b"and more"
        assert len(host.calls) == 1


async def test_a_line_that_nobody_speaks_over_is_hung_up() -> None:
    host = _Host()
    async with host.listening() as settings:
        line = Line()
        line.open(settings)
        await host.called.wait()
        line.close()
        with suppress(ConnectionResetError):  # what the host said was not read
            assert await host.calls[0].read() == b""


async def test_a_line_that_could_not_be_opened_says_why_when_it_is_needed() -> None:
    async with _Host().listening() as settings:
        pass
    line = Line()
    line.open(settings)
    with pytest.raises(ConnectionRefusedError):
        await _speak(line, settings)


@pytest.mark.parametrize(
    "text",
    ["HostName 10.0.0.1", "port=2222", "ProxyJump bastion", "ProxyCommand nc %h %p", "BindAddress 10.0.0.9",
     "AddressFamily inet6", "Include more", "Match exec true\n User ops"],
)  # fmt: skip
async def test_where_sshs_configuration_may_lead_elsewhere_nothing_is_opened_ahead(tmp_path: Path, text: str) -> None:
    config = tmp_path / "config"
    host = _Host()
    async with host.listening() as settings:
        for written, elsewhere in ((f"Host *\n  {text}\n", True), ("Host *\n  User ops\n  Compression no\n", False)):
            config.write_text(written)
            beside = Settings("gpu01", settings.address, port=settings.port, ssh_config=config)
            assert leads_elsewhere(beside) is elsewhere
            config = tmp_path / "other"  # each file is read once


_IMPORT = """
import asyncio, socket, sys
from fleetenv.errors import Unreachable
from fleetenv.shell import Settings, connect

host = socket.create_server(("127.0.0.1", 0))
host.settimeout(30)

class WhenImported:
    def find_spec(self, name, *rest):
        if name == "asyncssh" and not calls:
            calls.append(host.accept()[0])  # a line that is not opened by now never will be

calls, begun = [], []
sys.meta_path.insert(0, WhenImported())
sys.addaudithook(lambda event, details: begun.append(details[0]) if event == "subprocess.Popen" else None)

async def main():
    loop = asyncio.get_running_loop()
    connecting = asyncio.create_task(connect(Settings("gpu01", "127.0.0.1", port=host.getsockname()[1])))
    while not calls:
        await asyncio.sleep(0)
    calls[0].close()
    try:
        await connecting
    except Unreachable as error:
        print(error)

asyncio.run(main())
print({str(each).rpartition("/")[2] for each in begun} - {"ldconfig"})
import ctypes.util
print(ctypes.util.find_library.__module__)
"""


@pytest.mark.skipif(
    bool(os.environ.get("LD_LIBRARY_PATH")) or not Path("/etc/ld.so.cache").is_file(),
    reason="libraries are looked for in other ways here",
)
def test_the_line_is_open_before_asyncssh_is_imported_and_no_compiler_is_asked_for_libraries() -> None:
    ran = subprocess.run([sys.executable, "-c", _IMPORT], capture_output=True, text=True, timeout=60, check=True)
    lost, begun, restored = ran.stdout.splitlines()
    assert "127.0.0.1" in lost
    assert begun == "set()"
    assert restored == "ctypes.util"
