"""Serving a folder over HTTP, as a channel's server does."""

from __future__ import annotations

from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread


def serve(folder: Path, address: str, *, hidden: str | None = None, fresh: int | None = None) -> str:
    """Serve a folder until this process ends, and return its URL.

    Args:
        folder: What is served.
        address: Where.
        hidden: A word in the paths of what this server is not to have.
        fresh: Seconds for which clients need not ask again (`Cache-Control: max-age`).
    """

    class Handler(SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def __init__(self, *words: object) -> None:
            super().__init__(*words, directory=str(folder))  # type: ignore[arg-type]

        def do_GET(self) -> None:
            if hidden and hidden in self.path:
                self.send_error(HTTPStatus.NOT_FOUND)
            else:
                super().do_GET()

        def end_headers(self) -> None:
            if fresh is not None:
                self.send_header("Cache-Control", f"public, max-age={fresh}")
            super().end_headers()

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer((address, 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    return f"http://{address}:{server.server_address[1]}"
