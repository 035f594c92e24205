"""The dashboard as a running server: its socket, its process, its end."""

from __future__ import annotations

import asyncio
import errno
import socket
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from fleetenv.errors import InputError

_BACKLOG = 128
_GRACE_SECONDS = 1  # after a signal, for answers that are under way
_MAX_HEAD = 16 * 1024  # bytes of a request's line and headers
_MOST_REQUESTS = 200  # at once; more are told to come again


@dataclass(frozen=True, slots=True)
class Certificate:
    """The files (PEM) that TLS is spoken with; `key` may be in the same file."""

    chain: Path
    key: Path | None = None


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 is any free one.

    Raises:
        InputError: the address is not this machine's, or the port is taken or not allowed.
    """
    try:
        kind, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError as error:
        raise InputError(f"--host {host}: no such address: {error.strerror or error}") from error
    listener = socket.socket(kind, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        hint = "give another one with --port, or 0 for any" if error.errno == errno.EADDRINUSE else None
        raise InputError(f"cannot listen on {host} port {port}: {error.strerror}", hint=hint) from error
    return listener


class Service:
    """An application on a socket. A certificate that cannot be used is found when this is made."""

    def __init__(self, app: ASGIApp, listener: socket.socket, certificate: Certificate | None) -> None:
        self._listener = listener
        self._scheme = "https" if certificate else "http"
        config = uvicorn.Config(
            app,
            log_config=None,
            log_level="error",  # what strangers send that is no HTTP is not worth a line
            access_log=False,  # no URL gets into a log
            server_header=False,
            lifespan="off",
            ws="none",
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            h11_max_incomplete_event_size=_MAX_HEAD,
            limit_concurrency=_MOST_REQUESTS,
            ssl_certfile=certificate.chain if certificate else None,
            ssl_keyfile=certificate.key if certificate else None,
        )
        try:
            config.load()
        except OSError as error:  # ssl.SSLError is one
            assert certificate is not None  # nothing else is read
            raise InputError(f"cannot use the certificate {certificate.chain}: {error.strerror or error}") from error
        self._server = uvicorn.Server(config)

    @property
    def url(self) -> str:
        """The address for a browser; where all addresses of this machine will do, its name."""
        host, port = self._listener.getsockname()[:2]
        if host in ("0.0.0.0", "::"):  # noqa: S104  # compared, not listened on
            host = socket.gethostname()
        return f"{self._scheme}://{f'[{host}]' if ':' in host else host}:{port}/"

    def serve(self) -> None:
        """Answer requests until SIGTERM or SIGINT, which are then raised again."""
        with self._listener:
            asyncio.run(self._server.serve(sockets=[self._listener]))
