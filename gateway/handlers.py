"""One coroutine an endpoint: JSON in, JSON out, no decisions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from aiohttp import web

from gateway.access import Access
from gateway.clients import Mesh
from gateway.schemas import MAX_BODY_BYTES, match_body, read_match_request
from gateway.settings import Settings
from matching.decision import CUTOFFS
from mesh.errors import InvalidRequest, NotAvailable, RequestTooLarge, UnsupportedContentType
from mesh.media import MediaType
from mesh.media_type import LIMITS

SETTINGS: Final = web.AppKey("settings", Settings)
MESH: Final = web.AppKey("mesh", Mesh)
ACCESS: Final = web.AppKey("access", Access)
LEAVING: Final = web.AppKey("leaving", asyncio.Event)
"""Set once the process was told to stop: it still answers, and asks its clients to go elsewhere."""


class NotReady(NotAvailable):
    """Not all services are ready."""

    def __init__(self, report: dict[str, Any]) -> None:
        super().__init__()
        self.report = report


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def match(medium: MediaType) -> Handler:
    """POST /{medium}/match"""

    async def handle(request: web.Request) -> web.Response:
        started = time.perf_counter()
        settings = request.app[SETTINGS]
        if settings.auth:
            await request.app[ACCESS].require(request.headers, None)
        wanted = read_match_request(await read_json_body(request, settings.gateway_client_seconds))
        result = await request.app[MESH].match(medium, wanted.source_url, wanted.target_url, wanted.options())
        response = json_response(match_body(result, wanted.include, has_label_none=settings.confidence_none))
        stages = {**result.timings, "total": (time.perf_counter() - started) * 1000}
        response.headers["Server-Timing"] = ", ".join(f"{stage};dur={spent:.1f}" for stage, spent in stages.items())
        return response

    return handle


async def healthz(request: web.Request) -> web.Response:
    """GET /healthz: this process answers."""
    return json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """GET /readyz: every service that this mesh has is serving, warmed up."""
    services = await request.app[MESH].health()
    is_ready = all(service["status"] != "not_serving" for service in services.values())
    if not is_ready or request.app[LEAVING].is_set():
        raise NotReady({"status": "not_ready", "services": services})
    return json_response({"status": "ready", "services": services})


async def config(request: web.Request) -> web.Response:
    """GET /config: the published cutoffs and caps."""
    media: dict[str, Any] = {}
    for medium in MediaType:
        cutoffs, limits = CUTOFFS[medium], LIMITS[medium]
        media[medium] = {
            "match_cutoff": cutoffs.profiles["general"],
            "profiles": cutoffs.profiles,
            "confidence": {"low": cutoffs.low, "medium": cutoffs.medium, "high": cutoffs.high},
            "max_bytes": limits.max_bytes,
            "max_duration_seconds": limits.max_duration_seconds,
        }
    return json_response({"media": media})


def json_response(body: object, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, headers=headers, content_type="application/json", charset="utf-8")


async def read_json_body(request: web.Request, timeout_seconds: float) -> bytes:
    """The body, where it says that it is JSON, is not too large and comes in time."""
    if request.content_type != "application/json":
        raise UnsupportedContentType()
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedContentType("the body must come without a content encoding")
    too_large = RequestTooLarge(f"the body may have at most {MAX_BODY_BYTES} bytes")
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise too_large
    try:
        async with asyncio.timeout(timeout_seconds):
            return await request.read()
    except TimeoutError as problem:
        raise InvalidRequest(f"the body did not arrive whole within {timeout_seconds:g} s") from problem
    except web.HTTPRequestEntityTooLarge as problem:
        raise too_large from problem
