"""The ASGI layer around all pages: who may come in, by which methods, and the headers that every answer carries."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import parse_qs, quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fleetenv.web.access import (
    COOKIE,
    SESSION_SECONDS,
    Token,
    bearer,
    is_local_name,
    local_path,
    session_cookie,
)
from fleetenv.web.render import Renderer

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
"""What a browser may do with our pages: run our script and show our style, and fetch nothing from elsewhere."""

_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_LOGIN, _LOGOUT, _STATIC = "/login", "/logout", "/static/"
_MAX_FORM = 4096  # bytes


class Gate:
    """Lets requests in. `token` is demanded where there is one; `local_only`: only names of this machine will do."""

    def __init__(self, app: ASGIApp, renderer: Renderer, *, token: Token | None, local_only: bool, tls: bool) -> None:
        self._app = app
        self._renderer = renderer
        self._token = token
        self._local_only = local_only
        self._tls = tls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                if self._token is not None and not scope["path"].startswith(_STATIC):
                    headers["Cache-Control"] = "no-store"  # nothing is left on the disk of who has signed out
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        answer = await self._answer(Request(scope, receive))
        await (answer or self._app)(scope, receive, send_with_headers)

    async def _answer(self, request: Request) -> Response | None:
        """Return what is to be said instead of the page, if anything."""
        path: str = request.scope["path"]  # that routes are chosen by; `request.url` is made of the Host header, too
        method = request.method
        if self._local_only and not is_local_name(request.headers.get("host", "")):
            return _plain(HTTPStatus.MISDIRECTED_REQUEST, "this address is not of this dashboard: use http://127.0.0.1")
        if method == "POST" and path in (_LOGIN, _LOGOUT) and self._token:
            if not _is_same_origin(request.headers):
                return _plain(HTTPStatus.FORBIDDEN, "this form was sent from another site")
            return self._goodbye() if path == _LOGOUT else await self._login(request, self._token)
        if method not in ("GET", "HEAD"):
            return _plain(HTTPStatus.METHOD_NOT_ALLOWED, "the dashboard is read-only", Allow="GET, HEAD")
        if path == _LOGIN:
            return self._login_page(local_path(request.query_params.get("next", "/"))) if self._token else None
        if path.startswith(_STATIC) or self._may_look(request.headers):
            return None
        if "text/html" in request.headers.get("accept", "") and request.query_params.get("format") != "json":
            parameters = request.scope["query_string"].decode("ascii", "replace")
            wanted = quote(path) + (f"?{parameters}" if parameters else "")
            return RedirectResponse(f"{_LOGIN}?next={quote(wanted, safe='')}", HTTPStatus.SEE_OTHER)
        return _plain(
            HTTPStatus.UNAUTHORIZED,
            "a token is needed: Authorization: Bearer TOKEN",
            **{"WWW-Authenticate": 'Bearer realm="fleetenv"'},
        )

    def _may_look(self, headers: Headers) -> bool:
        if self._token is None:
            return True
        sent = bearer(headers.get("authorization", ""))
        if sent is not None:
            return self._token.is_right(sent)
        session = session_cookie(headers.get("cookie", ""))
        return session is not None and self._token.is_session(session)

    async def _login(self, request: Request, token: Token) -> Response:
        body = b""
        try:
            async for chunk in request.stream():
                body += chunk
                if len(body) > _MAX_FORM:
                    return _plain(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "that is no token")
        except ClientDisconnect:
            return _plain(HTTPStatus.BAD_REQUEST, "the request was cut off")
        form = parse_qs(body.decode("utf-8", "replace"), max_num_fields=8) if body.count(b"&") < 8 else {}
        wanted = local_path(form.get("next", ["/"])[0])
        if not token.is_right(form.get("token", [""])[0].strip()):
            return self._login_page(wanted, HTTPStatus.UNAUTHORIZED)
        answer = RedirectResponse(wanted, HTTPStatus.SEE_OTHER)
        answer.set_cookie(
            COOKIE, token.session(), max_age=SESSION_SECONDS, httponly=True, samesite="strict", secure=self._tls
        )
        return answer

    def _login_page(self, wanted: str, status: HTTPStatus = HTTPStatus.OK) -> Response:
        wrong = status is not HTTPStatus.OK
        return Response(
            self._renderer.html("login", title="Sign in", wanted=wanted, wrong=wrong),
            status_code=status,
            media_type="text/html",
        )

    def _goodbye(self) -> Response:
        answer = RedirectResponse(_LOGIN, HTTPStatus.SEE_OTHER)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=self._tls)
        return answer


def _is_same_origin(headers: Headers) -> bool:
    """Whether a form was sent from a page of ours; clients that are no browsers say nothing about it."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host", "")


def _plain(status: HTTPStatus, text: str, **headers: str) -> Response:
    return PlainTextResponse(f"{text}\n", status, headers)
