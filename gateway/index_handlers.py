"""One coroutine an endpoint of /v1: JSON in, JSON out, no decisions."""

from __future__ import annotations

import time
from typing import Final

from aiohttp import web

from gateway import examples
from gateway.access import Caller
from gateway.admission import note_limits
from gateway.handlers import add_timing, json_response, read_json_body
from gateway.index_client import IndexClient
from gateway.index_schemas import (
    AcceptedBody,
    AssetBody,
    AssetListBody,
    AssetQuery,
    AssetSearchRequest,
    HashSearchRequest,
    IndexRequest,
    JobBody,
    JobListBody,
    PageQuery,
    SearchBody,
    SearchRequest,
    UrlSearchRequest,
)
from gateway.routes import CALLER, JSON, SETTINGS, Handler, Key, Route, media_errors
from gateway.schemas import read_body, read_query
from gateway.usage_client import limits_of
from mesh.errors import Conflict, FeatureDisabled, InsufficientScope, InvalidRequest, NotFound, QuotaExceeded
from mesh.media import MediaType

INDEX: Final = web.AppKey("index", IndexClient)


def index_url(medium: MediaType) -> Handler:
    """POST /v1/index/{type}/url"""

    async def handle(request: web.Request) -> web.Response:
        wanted = read_body(await read_json_body(request, request.app[SETTINGS].gateway_client_seconds), IndexRequest)
        accepted = await request.app[INDEX].index_asset(request[CALLER].project, medium, wanted, idempotency_key(request))
        return json_response(accepted, status=202)

    return handle


def search(medium: MediaType, form: type[SearchRequest]) -> Handler:
    """POST /v1/search/{type}/url, /asset and /hash."""

    async def handle(request: web.Request) -> web.Response:
        started = time.perf_counter()
        wanted = read_body(await read_json_body(request, request.app[SETTINGS].gateway_client_seconds), form)
        check_search(request[CALLER], medium, wanted)
        found, timings, quotas = await request.app[INDEX].search(request[CALLER].project, medium, wanted)
        note_limits(request, limits_of(quotas))
        response = json_response(found)
        add_timing(response, timings, started)
        return response

    return handle


def idempotency_key(request: web.Request) -> str:
    key = request.headers.get("Idempotency-Key", "")
    if not (key.isascii() and key.isprintable()):
        raise InvalidRequest("Idempotency-Key must be printable ASCII", field="Idempotency-Key")
    return key


def check_search(caller: Caller, medium: MediaType, wanted: SearchRequest) -> None:
    """What the form alone does not say. Who looks through assets of another medium may search these, too."""
    for each in wanted.media_types or ():
        caller.require(f"{each}:search")
    if wanted.min_coverage and {*(wanted.media_types or [medium])} == {MediaType.IMAGE}:
        raise InvalidRequest("min_coverage: images have no coverage", field="min_coverage")


async def list_assets(request: web.Request) -> web.Response:
    """GET /v1/assets"""
    wanted = read_query(request.query, AssetQuery)
    return json_response(await request.app[INDEX].list_assets(request[CALLER].project, wanted))


async def get_asset(request: web.Request) -> web.Response:
    """GET /v1/assets/{id}"""
    return json_response(await request.app[INDEX].get_asset(request[CALLER].project, request.match_info["id"]))


async def delete_asset(request: web.Request) -> web.Response:
    """DELETE /v1/assets/{id}"""
    await request.app[INDEX].delete_asset(request[CALLER].project, request.match_info["id"])
    return web.Response(status=204)


async def retry_asset(request: web.Request) -> web.Response:
    """POST /v1/assets/{id}/retry: for those who may index media of its type."""
    caller, index, identity = request[CALLER], request.app[INDEX], request.match_info["id"]
    asset = await index.get_asset(caller.project, identity)
    caller.require(f"{asset.media_type}:index")
    return json_response(await index.retry_asset(caller.project, identity), status=202)


async def list_jobs(request: web.Request) -> web.Response:
    """GET /v1/jobs"""
    wanted = read_query(request.query, PageQuery)
    return json_response(await request.app[INDEX].list_jobs(request[CALLER].project, wanted.cursor, wanted.limit))


async def get_job(request: web.Request) -> web.Response:
    """GET /v1/jobs/{id}"""
    return json_response(await request.app[INDEX].get_job(request[CALLER].project, request.match_info["id"]))


def _media_routes(medium: MediaType) -> tuple[Route, ...]:
    return (
        Route(
            name=f"index_{medium}_by_url",
            method="POST",
            path=f"/v1/index/{medium}/url",
            handler=index_url(medium),
            summary=f"Index {examples.ONE[medium]} by URL",
            description="Answered at once; a job fetches and fingerprints it. The asset ends `ready`, or `failed` with a reason.",
            key=Key.ALWAYS,
            scope=f"{medium}:index",
            bodies={JSON: IndexRequest},
            headers=("Idempotency-Key",),
            status=202,
            answer=AcceptedBody,
            errors=(FeatureDisabled, QuotaExceeded, Conflict),
            example_request=examples.INDEX_REQUEST[medium],
            example_answer=examples.ACCEPTED,
        ),
        Route(
            name=f"search_{medium}_by_url",
            method="POST",
            path=f"/v1/search/{medium}/url",
            handler=search(medium, UrlSearchRequest),
            summary=f"Search the library with {examples.ONE[medium]} by URL",
            description=examples.SEARCH_DESCRIPTION,
            key=Key.ALWAYS,
            scope=f"{medium}:search",
            work=("search", medium),
            bodies={JSON: UrlSearchRequest},
            answer=SearchBody,
            answer_headers=("Server-Timing",),
            errors=(FeatureDisabled, QuotaExceeded, *media_errors(medium)),
            example_request={"url": examples.PAIR_REQUEST[medium]["target_url"], "limit": 10},
            example_answer=examples.SEARCH_ANSWER[medium],
        ),
        Route(
            name=f"search_{medium}_by_asset",
            method="POST",
            path=f"/v1/search/{medium}/asset",
            handler=search(medium, AssetSearchRequest),
            summary=f"Search the library with {examples.ONE[medium]} that it holds",
            description=examples.SEARCH_DESCRIPTION,
            key=Key.ALWAYS,
            scope=f"{medium}:search",
            work=("search", medium),
            bodies={JSON: AssetSearchRequest},
            answer=SearchBody,
            answer_headers=("Server-Timing",),
            errors=(FeatureDisabled, QuotaExceeded, NotFound),
            example_request={"asset_id": examples.ASSET_ID, "exclude_self": False},
            example_answer=examples.SEARCH_ANSWER[medium],
        ),
        Route(
            name=f"search_{medium}_by_hash",
            method="POST",
            path=f"/v1/search/{medium}/hash",
            handler=search(medium, HashSearchRequest),
            summary=f"Search the library with a hash of {examples.ONE[medium]}",
            description=examples.HASH_SEARCH_DESCRIPTION,
            key=Key.ALWAYS,
            scope=f"{medium}:search",
            bodies={JSON: HashSearchRequest},
            answer=SearchBody,
            answer_headers=("Server-Timing",),
            errors=(FeatureDisabled, QuotaExceeded),
            example_request={"hash": examples.SHA256, "kind": "sha256"},
            example_answer=examples.SEARCH_ANSWER[medium],
        ),
    )


ROUTES: Final = (
    *(route for medium in MediaType for route in _media_routes(medium)),
    Route(
        name="list_assets",
        method="GET",
        path="/v1/assets",
        handler=list_assets,
        summary="List assets, the newest first",
        key=Key.ALWAYS,
        scope="assets:read",
        query=AssetQuery,
        answer=AssetListBody,
        example_answer={"assets": [examples.ASSET], "next_cursor": None},
    ),
    Route(
        name="get_asset",
        method="GET",
        path="/v1/assets/{id}",
        handler=get_asset,
        summary="One asset",
        key=Key.ALWAYS,
        scope="assets:read",
        answer=AssetBody,
        errors=(NotFound,),
        example_answer=examples.ASSET,
    ),
    Route(
        name="delete_asset",
        method="DELETE",
        path="/v1/assets/{id}",
        handler=delete_asset,
        summary="Delete an asset",
        description="Once this has answered, no search finds it.",
        key=Key.ALWAYS,
        scope="assets:delete",
        status=204,
        errors=(NotFound,),
    ),
    Route(
        name="retry_asset",
        method="POST",
        path="/v1/assets/{id}/retry",
        handler=retry_asset,
        summary="Try again what failed",
        description="Takes the scope `image:index`, `audio:index` or `video:index`, as the asset's type is. Asked again meanwhile,"
        " it says how far that is.",
        key=Key.ALWAYS,
        status=202,
        answer=AcceptedBody,
        errors=(InsufficientScope, FeatureDisabled, QuotaExceeded, NotFound, Conflict),
        example_answer=examples.ACCEPTED,
    ),
    Route(
        name="list_jobs",
        method="GET",
        path="/v1/jobs",
        handler=list_jobs,
        summary="List jobs, the newest first",
        key=Key.ALWAYS,
        scope="jobs:read",
        query=PageQuery,
        answer=JobListBody,
        example_answer={"jobs": [examples.JOB], "next_cursor": None},
    ),
    Route(
        name="get_job",
        method="GET",
        path="/v1/jobs/{id}",
        handler=get_job,
        summary="One job and its progress",
        key=Key.ALWAYS,
        scope="jobs:read",
        answer=JobBody,
        errors=(NotFound,),
        example_answer=examples.JOB,
    ),
)
