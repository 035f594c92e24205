"""The one mirror that py-rattler is given: this process, on the host's own loopback.

py-rattler decides which packages are lacking, and asks for those; each is fetched as fleetenv fetches files, with
resuming and several sources, and handed over when it is whole and right.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import TYPE_CHECKING
from urllib.parse import unquote

from .report import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_AT_ONCE = 8  # transfers; the others wait
_LONGEST = 65536  # bytes of a line


class _Server(ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256  # py-rattler asks for all packages at once


class LocalMirror:
    """A server on loopback, for the process that is forked between its making and its start.

    Args:
        files: What may be asked for: path, and what fetches the file.
    """

    def __init__(self, files: Mapping[str, Callable[[], Path]]) -> None:
        self.failures: dict[str, Failure] = {}  # by path
        self.error: OSError | None = None  # that ended it all: a full disk
        secret = os.urandom(16).hex()  # other users of the host know the port, but not this
        self._files = {f"/{secret}/{unquote(path)}": fetch for path, fetch in files.items()}
        self._thread: threading.Thread | None = None
        self._free = threading.Semaphore(_AT_ONCE)
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/{secret}/"

    def start(self) -> None:
        """Begin to answer."""
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def leave(self) -> None:
        """Let this process, a fork, hold nothing of it: what asks a server that was killed is then told so at once."""
        self._server.server_close()

    def close(self) -> None:
        """Answer no more."""
        if self._thread:
            self._server.shutdown()
        self._server.server_close()

    def _fetch(self, path: str) -> Path | None:
        fetch = self._files.get(path)
        if fetch is None or path in self.failures:
            return None
        try:
            with self._free:
                return fetch()
        except Failure as failure:
            self.failures[path] = failure
        except OSError as error:
            self.error = self.error or error
        return None

    def _handler(self) -> type[StreamRequestHandler]:
        mirror = self

        class Handler(StreamRequestHandler):
            def handle(self) -> None:
                with suppress(ConnectionError):  # who asked has ended: another package failed
                    self._answer()

            def _answer(self) -> None:
                """Answer one request; of HTTP there is no more here than py-rattler needs."""
                words = self.rfile.readline(_LONGEST).decode("latin-1").split()
                while self.rfile.readline(_LONGEST).strip():
                    pass
                path = mirror._fetch(unquote(words[1])) if len(words) == 3 and words[0] == "GET" else None
                if path is None:  # with this status py-rattler does not ask again
                    self.wfile.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    return
                with path.open("rb") as file:
                    head = f"HTTP/1.1 200 OK\r\nContent-Length: {path.stat().st_size}\r\nConnection: close\r\n\r\n"
                    self.wfile.write(head.encode())
                    self.connection.sendfile(file)

        return Handler
