"""The dashboard as an ASGI application: addresses, pages, static files, answers that a browser has already."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from datetime import date
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from fleetenv.errors import InputError
from fleetenv.history.database import HistoryError
from fleetenv.web.access import Token
from fleetenv.web.archive import Archive
from fleetenv.web.gate import Gate
from fleetenv.web.page import Page
from fleetenv.web.pages import NAVIGATION, PAGES
from fleetenv.web.render import Renderer, asked_of, page_json

_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_FOREVER = "public, max-age=31536000, immutable"  # their address changes with their content
_MAX_QUERY = 4096  # bytes


def make_app(archive: Archive, *, token: Token | None, local_only: bool, tls: bool) -> ASGIApp:
    """Return the application. `token` is demanded from everybody; `local_only` refuses names of other machines."""
    renderer = Renderer()
    dashboard = Dashboard(archive, renderer, may_leave=token is not None)
    return Gate(dashboard.app(PAGES), renderer, token=token, local_only=local_only, tls=tls)


class Dashboard:
    """Answers requests that have been let in. Pages are read and rendered in threads, one after the other."""

    def __init__(self, archive: Archive, renderer: Renderer, *, may_leave: bool) -> None:
        self._archive = archive
        self._renderer = renderer
        self._may_leave = may_leave
        self._process = secrets.token_hex(4)

    def app(self, pages: Sequence[Page[Any]]) -> Starlette:
        """Return the routes of all pages and static files."""
        return Starlette(
            routes=[
                *(Route(page.path, self._endpoint(page), methods=["GET"]) for page in pages),
                Route("/static/{version}/{name}", self._static, methods=["GET"]),
            ],
            exception_handlers={HTTPException: self._http_error},
        )

    def _endpoint(self, page: Page[Any]) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            as_json = _wants_json(request)
            if len(request.scope["query_string"]) > _MAX_QUERY:
                return self._error(request, HTTPStatus.REQUEST_URI_TOO_LONG, "the address is too long")
            try:
                said = {name: value for name, value in request.query_params.items() if value}
                query = msgspec.convert({**said, **request.path_params}, page.query, strict=False)
            except msgspec.ValidationError as error:
                return self._error(request, HTTPStatus.BAD_REQUEST, f"the address is wrong: {error}")
            try:
                with self._archive.reading() as (history, version):
                    tag = self._tag(version, as_json=as_json)
                    headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Accept, Cookie"}
                    if request.headers.get("if-none-match") == tag:
                        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
                    shown = page.read(history, query)
            except HistoryError as error:
                return self._error(request, HTTPStatus.SERVICE_UNAVAILABLE, str(error))
            except InputError as error:
                return self._error(request, HTTPStatus.NOT_FOUND, error.message)
            if as_json:
                return Response(page_json(shown), headers=headers, media_type="application/json")
            asked = asked_of(query, request.path_params)
            body = self._render(request, page.template, page=shown, asked=asked)
            return Response(body, headers=headers, media_type="text/html")

        return answer

    def _tag(self, version: int, *, as_json: bool) -> str:
        """Name an answer: other data, another day (waivers end), another program or form have other names."""
        parts = f"{self._process} {version} {date.today()} {self._renderer.version} {as_json}"
        return f'"{hashlib.sha256(parts.encode()).hexdigest()[:20]}"'

    def _static(self, request: Request) -> Response:
        name = request.path_params["name"]
        body = self._renderer.static.get(name)
        if body is None or request.path_params["version"] != self._renderer.version:
            return self._error(request, HTTPStatus.NOT_FOUND, "there is no such file")
        kind = _TYPES[name[name.rindex(".") :]]
        return Response(body, headers={"Cache-Control": _FOREVER, "Content-Type": kind})

    def _http_error(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return self._error(request, HTTPStatus(status), "There is no such page.")

    def _error(self, request: Request, status: HTTPStatus, message: str) -> Response:
        headers = {"Cache-Control": "no-store"}
        if _wants_json(request):
            body = msgspec.json.encode({"error": message}) + b"\n"
            return Response(body, status, headers, media_type="application/json")
        body_text = self._render(request, "error", title=status.phrase, message=message)
        return Response(body_text, status, headers, media_type="text/html")

    def _render(self, request: Request, template: str, **values: object) -> str:
        return self._renderer.html(
            template,
            here=request.scope["path"],
            navigation=NAVIGATION,
            may_leave=self._may_leave,
            file=str(self._archive.file),
            **values,
        )


def _wants_json(request: Request) -> bool:
    asked = request.query_params.get("format")
    if asked is not None:
        return asked == "json"
    accept = request.headers.get("accept", "")
    return "application/json" in accept and "text/html" not in accept
