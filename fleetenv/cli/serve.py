"""Show the history in a browser: fleet, hosts, environments, GPUs, runs, changes. Nothing can be changed there.

Only this machine can reach it, unless --host says otherwise; from elsewhere, best through SSH:
ssh -L 8300:127.0.0.1:8300 CONTROLLER. On any other address a token is asked for: the one in --token-file, or one that
is made, and printed once. There, give a certificate too, or everybody on the way can read the token.

Examples:
  fleetenv serve
  fleetenv serve --port 0
  fleetenv serve --host 0.0.0.0 --port 8443 --token-file ~/.fleetenv-token --certificate fleet.pem --key fleet.key
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fleetenv.cli.options import add_history_file
from fleetenv.cli.recording import history_file

PORT = 8300


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="where to listen (default: %(default)s)")
    parser.add_argument(
        "--port",
        type=_port,
        default=PORT,
        metavar="N",
        help="on which port; 0: any that is free (default: %(default)s)",
    )
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="ask for the token in FILE, on every address")
    parser.add_argument("--certificate", type=Path, metavar="FILE", help="speak HTTPS with this certificate (PEM)")
    parser.add_argument("--key", type=Path, metavar="FILE", help="its key, if that is in another file")
    add_history_file(parser)


def run(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    from fleetenv.errors import InputError
    from fleetenv.web import access, server
    from fleetenv.web.app import make_app
    from fleetenv.web.archive import Archive

    if options.key and not options.certificate:
        raise InputError("--key says nothing without --certificate")
    certificate = server.Certificate(options.certificate, options.key) if options.certificate else None
    token = access.read_token(options.token_file) if options.token_file else None
    archive = Archive(history_file(options))
    listener = server.listen(options.host, options.port)
    local = access.is_loopback(listener.getsockname()[0])
    if token is None and not local:
        token = access.new_token()
    app = make_app(archive, token=access.Token(token) if token else None, local_only=local, tls=certificate is not None)
    service = server.Service(app, listener, certificate)
    print(f"{service.url}  (Ctrl-C ends it)", flush=True)
    if token and not options.token_file:
        print(f"token: {token}", flush=True)
    if not local and not certificate:
        print("fleetenv: warning: without --certificate everybody on the way can read the token", file=sys.stderr)
    service.serve()
    return 0


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 65536):
        raise argparse.ArgumentTypeError(f"'{text}' is not a port: a number from 0 to 65535")
    return int(text)
