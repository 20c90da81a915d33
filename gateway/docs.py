"""The API's reference: the document that describes every route, and a page that renders it."""

from __future__ import annotations

import re
from typing import Any, Final

from aiohttp import web

from gateway.code_samples import DEFAULT_BASE
from gateway.handlers import json_response
from gateway.pages import assets_route, page, page_route
from gateway.routes import SETTINGS, Key, Route

DOCUMENT: Final = web.AppKey("document", dict[str, Any])

_HOST: Final = re.compile(r"[A-Za-z0-9.-]+(:\d+)?|\[[0-9a-fA-F:]+\](:\d+)?")
# The digest is that of an empty style element, which the viewer makes and then fills through the DOM.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


async def openapi_document(request: web.Request) -> web.Response:
    """GET /openapi.json, whose samples go where it was found, unless PUBLIC_BASE_URL says better."""
    response = json_response(request.app[DOCUMENT])
    if not request.app[SETTINGS].public_base_url and _HOST.fullmatch(request.host) and isinstance(response.body, bytes):
        response.body = response.body.replace(DEFAULT_BASE.encode(), f"{request.scheme}://{request.host}".encode())
    return response


async def reference(request: web.Request) -> web.Response:
    """GET /docs"""
    facts = {"playground": "on" if request.app[SETTINGS].playground else "off"}
    return page(request, "docs", "docs.html", _POLICY, facts)


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
    page_route("docs", "/docs", reference, "This document as a page"),
    assets_route("docs"),
)
