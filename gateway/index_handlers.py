"""One coroutine an endpoint of /v1: the key first, then JSON in, JSON out, no decisions."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from gateway.handlers import ACCESS, SETTINGS, Handler, json_response, read_json_body
from gateway.index_client import Grant, IndexClient
from gateway.index_schemas import AssetQuery, IndexRequest, PageQuery, SearchRequest
from gateway.schemas import read_body, read_query
from mesh.errors import InvalidRequest
from mesh.media import MediaType

INDEX: Final = web.AppKey("index", IndexClient)

KeyedHandler = Callable[[web.Request, Grant], Awaitable[web.StreamResponse]]


def keyed(scope: str, handler: KeyedHandler) -> Handler:
    """The handler, for those whose key carries the scope."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return await handler(request, await request.app[ACCESS].require(request.headers, scope))

    return handle


def index_url(medium: MediaType) -> Handler:
    """POST /v1/index/{type}/url"""

    async def handle(request: web.Request, grant: Grant) -> web.Response:
        body = await read_json_body(request, request.app[SETTINGS].gateway_client_seconds)
        wanted = read_body(body, IndexRequest, required=("url",))
        key = request.headers.get("Idempotency-Key", "")
        if not key.isascii():
            raise InvalidRequest("Idempotency-Key must be ASCII", field="Idempotency-Key")
        return json_response(await request.app[INDEX].index_asset(grant.project, medium, wanted, key), status=202)

    return keyed(f"{medium}:index", handle)


def search(medium: MediaType, by: str) -> Handler:
    """POST /v1/search/{type}/url and /asset; `by` is the field that names the query."""

    async def handle(request: web.Request, grant: Grant) -> web.Response:
        started = time.perf_counter()
        body = await read_json_body(request, request.app[SETTINGS].gateway_client_seconds)
        wanted = read_body(body, SearchRequest, required=(by,), refused=tuple({"url", "asset_id"} - {by}))
        if wanted.media_types not in (None, [medium]):
            raise InvalidRequest(f"media_types may only be [{medium}] here", field="media_types")
        if medium is MediaType.IMAGE and wanted.min_coverage:
            raise InvalidRequest("min_coverage: images have no coverage", field="min_coverage")
        found, timings = await request.app[INDEX].search(grant.project, medium, wanted)
        response = json_response(found)
        stages = {**timings, "total": (time.perf_counter() - started) * 1000}
        response.headers["Server-Timing"] = ", ".join(f"{stage};dur={spent:.1f}" for stage, spent in stages.items())
        return response

    return keyed(f"{medium}:search", handle)


async def list_assets(request: web.Request, grant: Grant) -> web.Response:
    """GET /v1/assets"""
    return json_response(await request.app[INDEX].list_assets(grant.project, read_query(request.query, AssetQuery)))


async def get_asset(request: web.Request, grant: Grant) -> web.Response:
    """GET /v1/assets/{id}"""
    return json_response(await request.app[INDEX].get_asset(grant.project, request.match_info["id"]))


async def delete_asset(request: web.Request, grant: Grant) -> web.Response:
    """DELETE /v1/assets/{id}"""
    await request.app[INDEX].delete_asset(grant.project, request.match_info["id"])
    return web.Response(status=204)


async def retry_asset(request: web.Request) -> web.StreamResponse:
    """POST /v1/assets/{id}/retry: for those who may index media of its type."""
    access, index, identity = request.app[ACCESS], request.app[INDEX], request.match_info["id"]
    grant = await access.require(request.headers, None)
    asset = await index.get_asset(grant.project, identity)
    await access.require(request.headers, f"{asset.media_type}:index")
    return json_response(await index.retry_asset(grant.project, identity), status=202)


async def list_jobs(request: web.Request, grant: Grant) -> web.Response:
    """GET /v1/jobs"""
    wanted = read_query(request.query, PageQuery)
    return json_response(await request.app[INDEX].list_jobs(grant.project, wanted.cursor, wanted.limit))


async def get_job(request: web.Request, grant: Grant) -> web.Response:
    """GET /v1/jobs/{id}"""
    return json_response(await request.app[INDEX].get_job(grant.project, request.match_info["id"]))


def add_routes(router: web.UrlDispatcher) -> None:
    for medium in MediaType:
        router.add_post(f"/v1/index/{medium}/url", index_url(medium))
        router.add_post(f"/v1/search/{medium}/url", search(medium, "url"))
        router.add_post(f"/v1/search/{medium}/asset", search(medium, "asset_id"))
    router.add_get("/v1/assets", keyed("assets:read", list_assets), allow_head=False)
    router.add_get("/v1/assets/{id}", keyed("assets:read", get_asset), allow_head=False)
    router.add_delete("/v1/assets/{id}", keyed("assets:delete", delete_asset))
    router.add_post("/v1/assets/{id}/retry", retry_asset)
    router.add_get("/v1/jobs", keyed("jobs:read", list_jobs), allow_head=False)
    router.add_get("/v1/jobs/{id}", keyed("jobs:read", get_job), allow_head=False)
