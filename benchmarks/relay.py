"""A relay to many hosts, one port each, that delays and counts: a process of its own, the same for all tools.

usage: python -m benchmarks.relay SECONDS ADDRESS:PORT...

It prints its ports on 127.0.0.1 as a JSON list, and then, for each line that it reads, what has passed through each
port since the line before. Each direction is held back by half of SECONDS; throughput is not limited. Opening a
connection takes SECONDS, as TCP's own handshake would.

Round trips are counted as a host could not do with fewer: a piece from the host counts one more than the latest piece
from the client that had reached the host by then. So what crosses on the way counts once.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import deque
from dataclasses import asdict, dataclass


@dataclass(slots=True)
class Passed:
    """What has passed through one port, over all its connections."""

    connections: int = 0
    to_host: int = 0
    """Bytes that SSH sent; packets' headers do not count."""
    from_host: int = 0
    round_trips: int = 0


class Connection:
    """One connection through the relay. Its `age` at each end is how many round trips had to be over to get there."""

    def __init__(self, passed: Passed, delay: float) -> None:
        self.passed = passed
        self.delay = delay
        self.age_at_host = 1  # TCP's own handshake
        self.age_at_client = 1
        passed.connections += 1
        passed.round_trips += 1

    def arrived_at_host(self, age: int) -> None:
        """A piece has reached the host."""
        self.age_at_host = max(self.age_at_host, age)

    def arrived_at_client(self, age: int) -> None:
        """A piece has reached the client."""
        self.passed.round_trips += max(0, age - self.age_at_client)
        self.age_at_client = max(self.age_at_client, age)


class End(asyncio.Protocol):
    """One end of a connection: what it receives is sent to the other end, later."""

    def __init__(self, connection: Connection, *, is_host: bool) -> None:
        self.connection = connection
        self.is_host = is_host
        self.other: End | None = None
        self.transport: asyncio.Transport | None = None
        self.on_its_way: deque[tuple[bytes, int]] = deque()  # to the other end; timers alone would not keep the order

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Count it, and pass it on."""
        connection = self.connection
        if self.is_host:
            connection.passed.from_host += len(data)
            self._pass_on(data, connection.age_at_host + 1)
        else:
            connection.passed.to_host += len(data)
            self._pass_on(data, connection.age_at_client)

    def pause_writing(self) -> None:
        """Too much waits to be read here: as TCP would, let the other end wait."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        """Enough has been read here."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        """Close the other end, too, after all that is on its way."""
        self._pass_on(b"", 0)

    def _pass_on(self, data: bytes, age: int) -> None:
        self.on_its_way.append((data, age))
        asyncio.get_running_loop().call_later(self.connection.delay, self._deliver)

    def _deliver(self) -> None:
        data, age = self.on_its_way.popleft()
        assert self.other is not None
        transport = self.other.transport
        if transport is None or transport.is_closing():
            return
        if not data:
            transport.close()  # after what is still buffered
            return
        transport.write(data)
        if self.is_host:
            self.connection.arrived_at_client(age)
        else:
            self.connection.arrived_at_host(age)


async def _join(client: End, host: End, address: str, port: int) -> None:
    """Connect to the host when a client would know that it is connected; half a round trip later the host would."""
    assert client.transport is not None
    delay = client.connection.delay
    client.transport.pause_reading()
    await asyncio.sleep(2 * delay)
    try:
        await asyncio.get_running_loop().create_connection(lambda: host, address, port)
    except OSError:
        client.transport.abort()
        return
    client.transport.resume_reading()
    assert host.transport is not None
    host.transport.pause_reading()
    await asyncio.sleep(delay)
    host.transport.resume_reading()


class Port:
    """One host's port on this machine."""

    def __init__(self, address: str, port: int, delay: float) -> None:
        self.passed = Passed()
        self._address = address
        self._port = port
        self._delay = delay
        self._joining: set[asyncio.Task[None]] = set()  # the loop itself keeps tasks weakly

    async def listen(self) -> int:
        """Listen, and return where."""
        server = await asyncio.get_running_loop().create_server(lambda: Client(self), "127.0.0.1", 0, backlog=1024)
        number: int = server.sockets[0].getsockname()[1]
        return number

    def join(self, client: End) -> None:
        """Connect a client to the host."""
        host = End(client.connection, is_host=True)
        client.other, host.other = host, client
        task = asyncio.get_running_loop().create_task(_join(client, host, self._address, self._port))
        self._joining.add(task)
        task.add_done_callback(self._joining.discard)

    def reset(self) -> None:
        """Count from nought; connections that are open go on to count."""
        self.passed.connections = self.passed.to_host = self.passed.from_host = self.passed.round_trips = 0

    def connection(self) -> Connection:
        """Begin to count one more."""
        return Connection(self.passed, self._delay)


class Client(End):
    """The client's end, which is there first."""

    def __init__(self, port: Port) -> None:
        super().__init__(port.connection(), is_host=False)
        self._port = port

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Go on to the host."""
        super().connection_made(transport)
        self._port.join(self)


async def main(round_trip: float, hosts: list[str]) -> None:
    """Serve until standard input ends."""
    places = [(address, int(port)) for address, _, port in (host.rpartition(":") for host in hosts)]
    ports = [Port(address, port, round_trip / 2) for address, port in places]
    print(json.dumps([await port.listen() for port in ports]), flush=True)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.readline():
        print(json.dumps([asdict(port.passed) for port in ports]), flush=True)
        for port in ports:
            port.reset()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]), sys.argv[2:]))
