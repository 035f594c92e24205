"""A web server that serves a folder, with ranges, and misbehaves as a test tells it to."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Wayward:
    """What is served, how, and what was asked for."""

    folder: Path
    port: int = 0
    ranges: bool = True
    cut_after: int | None = None  # bytes of each answer, then the connection is closed
    trickle: float | None = None  # seconds between single bytes
    status: int | None = None  # instead of files
    replaced: dict[str, bytes] = field(default_factory=dict)  # path -> what is served instead
    asked: list[tuple[str, int]] = field(default_factory=list)  # path, first byte
    sent: int = 0  # bytes of files
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def content(self, path: str) -> bytes | None:
        if path in self.replaced:
            return self.replaced[path]
        file = self.folder / path.lstrip("/")
        file = file / "index.html" if path.endswith("/") else file
        return file.read_bytes() if file.is_file() else None


@contextmanager
def serving(folder: Path, **manners: object) -> Iterator[Wayward]:
    site = Wayward(folder, **manners)  # type: ignore[arg-type]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = site.content(self.path)
            asked = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
            start = int(asked[1]) if asked and site.ranges else 0
            site.asked.append((self.path, start))
            if site.status or content is None:
                self.send_error(site.status or 404)
                return
            if start and start >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if asked and site.ranges else 200)
            if asked and site.ranges:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - start))
            if self.path.endswith("/"):
                self.send_header("Content-Type", "text/html")
            self.end_headers()
            body = content[start:]
            if site.cut_after is not None:
                body = body[: site.cut_after]
            step = len(body) if site.trickle is None else 1
            with suppress(ConnectionError):  # whoever asked was killed, or found it too slow
                for at in range(0, len(body), step or 1):
                    site.sent += len(body[at : at + step])  # before whoever asked can have it all
                    self.wfile.write(body[at : at + step])
                    if site.trickle is not None and site.over.wait(site.trickle):
                        return

        def do_HEAD(self) -> None:  # py-rattler asks so whether a channel is compressed; 501 would be tried again
            content = site.content(self.path)
            if site.status or content is None:
                self.send_error(site.status or 404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    site.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield site
    finally:
        site.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
