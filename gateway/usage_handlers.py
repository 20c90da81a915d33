"""GET /v1/usage: what the key's project has used this month, and what its plan has."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from gateway import examples
from gateway.handlers import json_response
from gateway.routes import CALLER, Key, Route
from gateway.usage_client import UsageClient
from gateway.usage_schemas import UsageBody

USAGE: Final = web.AppKey("usage", UsageClient)


async def get_usage(request: web.Request) -> web.Response:
    """GET /v1/usage"""
    return json_response(await request.app[USAGE].usage(request[CALLER]))


ROUTES: Final = (
    Route(
        name="get_usage",
        method="GET",
        path="/v1/usage",
        handler=get_usage,
        summary="What the project has used this month, and of how much",
        description="Quotas are named as `details.policy` of an error names them. Without a limit `limit` and `remaining` are null.",
        key=Key.ALWAYS,
        scope="usage:read",
        answer=UsageBody,
        example_answer=examples.USAGE,
    ),
)
