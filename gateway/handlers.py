"""One coroutine an endpoint: JSON in, JSON out, no decisions. What reads bodies and writes answers stands at the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

from gateway import examples
from gateway.clients import Mesh
from gateway.routes import JSON, Key, Route
from gateway.schemas import (
    MAX_BODY_BYTES,
    ConfigBody,
    HealthBody,
    LabelFloorsBody,
    MediumBody,
    NotReadyBody,
    ReadinessBody,
)
from matching.decision import CUTOFFS
from mesh.errors import InvalidRequest, NotAvailable, RequestTooLarge, UnsupportedContentType
from mesh.media import MediaType
from mesh.media_type import LIMITS

MESH: Final = web.AppKey("mesh", Mesh)
HEADERS: Final = {"Server": "mediamesh", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
"""Of every answer."""
LEAVING: Final = web.AppKey("leaving", asyncio.Event)
"""Set once the process was told to stop: it still answers, and asks its clients to go elsewhere."""


class NotReady(NotAvailable):
    """Not all services are ready."""

    def __init__(self, report: dict[str, Any]) -> None:
        super().__init__()
        self.report = report


async def healthz(request: web.Request) -> web.Response:
    """GET /healthz: this process answers."""
    return json_response(HealthBody(status="ok"))


async def readyz(request: web.Request) -> web.Response:
    """GET /readyz: every service that this mesh has is serving, warmed up."""
    services = await request.app[MESH].health()
    is_ready = all(service["status"] != "not_serving" for service in services.values())
    if not is_ready or request.app[LEAVING].is_set():
        raise NotReady({"status": "not_ready", "services": services})
    return json_response({"status": "ready", "services": services})


async def config(request: web.Request) -> web.Response:
    """GET /config: the published cutoffs and caps."""
    return json_response(config_body())


def config_body() -> ConfigBody:
    return ConfigBody(media={medium: _medium_body(medium) for medium in MediaType})


def _medium_body(medium: MediaType) -> MediumBody:
    cutoffs, limits = CUTOFFS[medium], LIMITS[medium]
    return MediumBody(
        match_cutoff=cutoffs.profiles["general"],
        profiles=cutoffs.profiles,
        confidence=LabelFloorsBody(low=cutoffs.low, medium=cutoffs.medium, high=cutoffs.high),
        max_bytes=limits.max_bytes,
        max_duration_seconds=limits.max_duration_seconds,
    )


ROUTES: Final = (
    Route(
        name="healthz",
        method="GET",
        path="/healthz",
        handler=healthz,
        summary="Whether the gateway's process answers",
        key=Key.NEVER,
        answer=HealthBody,
        example_answer={"status": "ok"},
    ),
    Route(
        name="readyz",
        method="GET",
        path="/readyz",
        handler=readyz,
        summary="Whether every service is warmed up and serving",
        description="Names each service and the sandbox that its decoders run in; one that this mesh does not have is `not_available`.",
        key=Key.NEVER,
        answer=ReadinessBody,
        errors=(NotAvailable,),
        not_ready=NotReadyBody,
        example_answer=examples.READINESS,
    ),
    Route(
        name="config",
        method="GET",
        path="/config",
        handler=config,
        summary="The cutoffs that decide, and the caps on media",
        key=Key.NEVER,
        answer=ConfigBody,
        example_answer=msgspec.to_builtins(config_body()),
    ),
)


def json_response(body: object, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, headers=headers, content_type=JSON, charset="utf-8")


def add_timing(response: web.Response, timings: Mapping[str, float], started: float) -> None:
    """The milliseconds of each stage, and of the whole request."""
    stages = {**timings, "total": (time.perf_counter() - started) * 1000}
    response.headers["Server-Timing"] = ", ".join(f"{stage};dur={spent:.1f}" for stage, spent in stages.items())


async def read_json_body(request: web.Request, timeout_seconds: float, max_bytes: int = MAX_BODY_BYTES) -> bytes:
    """The body, where it says that it is JSON, is not too large and comes in time."""
    if request.content_type != JSON:
        raise UnsupportedContentType(f"the body must be {JSON}")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedContentType("the body must come without a content encoding")
    too_large = RequestTooLarge(f"the body may have at most {max_bytes} bytes")
    if (request.content_length or 0) > max_bytes:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_seconds):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > max_bytes:
                    raise too_large
    except TimeoutError as problem:
        raise InvalidRequest(f"the body did not arrive whole within {timeout_seconds:g} s") from problem
    return bytes(body)
