"""The API's reference: the document that describes every route, as OpenAPI."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from gateway.handlers import json_response
from gateway.routes import Key, Route

DOCUMENT: Final = web.AppKey("document", dict[str, Any])


async def openapi_document(request: web.Request) -> web.Response:
    """GET /openapi.json"""
    return json_response(request.app[DOCUMENT])


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
)
