"""A webhook: one JSON document, posted to a URL that is a secret, because whoever knows it may post there."""

from __future__ import annotations

import base64
import time
from collections.abc import MutableMapping, Sequence
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Final
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

import msgspec

from fleetenv import __version__
from fleetenv.errors import FleetenvError, InputError
from fleetenv.report.text import clipped, visible_line
from fleetenv.source import Value

VARIABLE: Final = "FLEETENV_WEBHOOK"
"""The environment variable that may hold the URL, so that no argument list does."""

_TIMEOUT = 10.0  # seconds, of one attempt
_PAUSES = (1.0, 4.0)  # seconds before the second and the third attempt
_MAX_PAUSE = 30.0  # likewise, however long the server asks for
_MAX_FILE = 10_000  # bytes


class WebhookFailed(FleetenvError):
    """Nothing was delivered; the message says why, and of the URL no more than the server's name."""


class Webhook:
    """Where to post to. Redirects are not followed: they would take what is posted elsewhere."""

    def __init__(self, url: str, *, pauses: Sequence[float] = _PAUSES, timeout: float = _TIMEOUT) -> None:
        """Take the URL; a user and a password in it are sent as basic authentication.

        Raises:
            InputError: it is no URL of http or https.
        """
        parts = _split(url)
        self.server = f"{parts.scheme}://{parts.hostname}"
        self._headers = {"Content-Type": "application/json", "User-Agent": f"fleetenv/{__version__}"}
        if parts.username is not None:
            account = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = f"Basic {base64.b64encode(account.encode()).decode('ascii')}"
        self._url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))
        self._pauses = pauses
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"Webhook({self.server!r})"

    def post(self, document: Value) -> None:
        """Post a document; try again where that may help: no connection, `429`, `5xx`.

        Raises:
            WebhookFailed: it was not accepted.
        """
        request = Request(self._url, msgspec.json.encode(document), self._headers, method="POST")  # noqa: S310 _split
        for pause in (*self._pauses, None):
            try:
                build_opener(_NoRedirect).open(request, timeout=self._timeout).close()
            except HTTPError as error:
                error.close()
                why, again = f"it answered with HTTP {error.code}", error.code == 429 or error.code >= 500
                asked = error.headers.get("Retry-After", "")
            except (OSError, HTTPException) as error:
                why, again, asked = _reason(error), True, ""
            else:
                return
            if pause is None or not again:
                break
            time.sleep(min(_MAX_PAUSE, max(pause, float(asked) if asked.isascii() and asked.isdigit() else 0)))
        raise WebhookFailed(f"the webhook at {self.server} was not told: {why}")


def find_webhook(option: str | None, environment: MutableMapping[str, str]) -> Webhook | None:
    """Return the webhook that `--webhook URL`, `--webhook @FILE` or the environment names; None: there is none.

    The variable is taken out of the environment: programs that are started inherit it.

    Raises:
        InputError: it is no URL, or the file cannot be read.
    """
    variable = environment.pop(VARIABLE, "").strip()
    if option is None:
        url = variable
    elif option.startswith("@"):
        try:
            url = Path(option[1:]).read_bytes()[:_MAX_FILE].decode("utf-8", "replace").strip()
        except OSError as error:
            raise InputError(f"--webhook: cannot read {option[1:]}: {error.strerror}") from error
    else:
        url = option
    return Webhook(url) if url or option is not None else None


def _split(url: str) -> SplitResult:
    wrong = InputError(
        "the webhook is no URL of http or https", hint="https://HOST/PATH; it is not shown: it is secret"
    )
    if not url.isascii() or not url.isprintable() or " " in url:
        raise wrong
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 that it is a number is seen only when it is asked for
    except ValueError:
        raise wrong from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise wrong
    return parts


def _reason(error: OSError | HTTPException) -> str:
    """Return why there was no answer; what may quote the URL is not repeated."""
    if isinstance(error, URLError) and isinstance(error.reason, OSError):
        error = error.reason
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return clipped(visible_line(error.strerror), 200)
    return type(error).__name__


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        return None
