"""The API's reference: the document that describes every route, and a page that renders it with nothing from other hosts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from aiohttp import web

from gateway.handlers import json_response
from gateway.routes import Key, Route
from mesh.errors import NotFound

DOCUMENT: Final = web.AppKey("document", dict[str, Any])

STATIC: Final = Path(__file__).parent / "static"
_SCRIPTS: Final = ("docs.js", "redoc.standalone.js")
# The digest is that of an empty style element, which the viewer makes and then fills through the DOM.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {"Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}


async def openapi_document(request: web.Request) -> web.Response:
    """GET /openapi.json"""
    return json_response(request.app[DOCUMENT])


async def page(request: web.Request) -> web.FileResponse:
    """GET /docs"""
    return _file("docs.html", "text/html")


async def script(request: web.Request) -> web.FileResponse:
    """GET /docs/{file}"""
    name = request.match_info["file"]
    if name not in _SCRIPTS:
        raise NotFound()
    return _file(name, "text/javascript")


def _file(name: str, content_type: str) -> web.FileResponse:
    return web.FileResponse(STATIC / name, headers={**_HEADERS, "Content-Type": f"{content_type}; charset=utf-8"})


ROUTES: Final = (
    Route(
        name="openapi",
        method="GET",
        path="/openapi.json",
        handler=openapi_document,
        summary="This document",
        key=Key.NEVER,
        answer=dict[str, Any],
    ),
    Route(
        name="docs",
        method="GET",
        path="/docs",
        handler=page,
        summary="This document as a page",
        key=Key.NEVER,
        answer=str,
        answer_type="text/html",
    ),
    Route(
        name="docs_script",
        method="GET",
        path="/docs/{file}",
        handler=script,
        summary="What the page is rendered by",
        key=Key.NEVER,
        answer=str,
        answer_type="text/javascript",
        errors=(NotFound,),
    ),
)
