"""One coroutine an endpoint of /v1 that takes or gives bytes: streamed through, never held."""

from __future__ import annotations

import time
from typing import Final

from aiohttp import web

from gateway import examples
from gateway.admission import note_limits
from gateway.handlers import HEADERS, add_timing, json_response
from gateway.index_handlers import INDEX, check_search, idempotency_key
from gateway.index_schemas import AcceptedBody, AssetFields, IndexForm, SearchBody, SearchForm, SearchRequest
from gateway.routes import BYTES, CALLER, FORM, SETTINGS, Handler, Key, Route, media_errors
from gateway.schemas import read_fields
from gateway.upload import Upload
from gateway.upload_client import UploadClient
from gateway.usage_client import limits_of
from mesh import call
from mesh.errors import Conflict, FeatureDisabled, FetchFailed, FileTooLarge, InvalidUrl, NotFound, QuotaExceeded, UnsupportedMedia
from mesh.media import MediaType

_TO_BE_SAVED: Final = {"Content-Disposition": "attachment", "Content-Security-Policy": "sandbox"}
_DESCRIPTION: Final = (
    "As a form with the file as its part `file`, or with the file as the body, of its own type or application/octet-stream; then the "
    "fields are those of the query. In both, objects are JSON, lists are JSON or one plain value, and no field comes twice. The caps and "
    "types of the pair endpoints hold while it comes."
)
_FILE_ERRORS: Final = {
    medium: tuple(error for error in media_errors(medium) if error not in (InvalidUrl, FetchFailed)) for medium in MediaType
}


def index_upload(medium: MediaType) -> Handler:
    """POST /v1/index/{type}/upload"""

    async def handle(request: web.Request) -> web.Response:
        key, upload = idempotency_key(request), _begin(request, medium)

        def said() -> AssetFields:
            return read_fields(upload.fields, AssetFields)

        chunks = upload.chunks(lambda fields: read_fields(fields, AssetFields))
        return json_response(await _client(request).index_upload(request[CALLER].project, medium, chunks, said, key), status=202)

    return handle


def search_upload(medium: MediaType) -> Handler:
    """POST /v1/search/{type}/upload"""

    async def handle(request: web.Request) -> web.Response:
        started = time.perf_counter()
        upload = _begin(request, medium)

        def wanted() -> SearchRequest:
            search = read_fields(upload.fields, SearchRequest)
            check_search(request[CALLER], medium, search)
            return search

        found, timings, quotas = await _client(request).search_upload(
            request[CALLER].project, medium, upload.chunks(lambda _: wanted()), wanted
        )
        note_limits(request, limits_of(quotas))
        response = json_response(found)
        add_timing(response, timings, started)
        return response

    return handle


async def get_media(request: web.Request) -> web.StreamResponse:
    """GET /v1/assets/{id}/media: the bytes, to be saved and never shown as a page of ours."""
    call.begin(call.request_id(), request.app[SETTINGS].gateway_upload_seconds)
    async with _client(request).read_media(request[CALLER].project, request.match_info["id"]) as (media, chunks):
        tag = f'"{media.sha256}"'
        if tag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers={"ETag": tag})
        response = web.StreamResponse(headers={**HEADERS, **_TO_BE_SAVED, "ETag": tag, "X-Request-Id": call.request_id()})
        response.content_type, response.content_length = media.content_type, media.size_bytes
        try:
            await response.prepare(request)
            async for chunk in chunks:
                await response.write(chunk)
            await response.write_eof()
        except BaseException:
            # Its head is sent: only the end of the connection says that this is not all.
            if request.transport is not None:
                request.transport.abort()
            raise
    return response


def _media_routes(medium: MediaType) -> tuple[Route, ...]:
    return (
        Route(
            name=f"index_{medium}_by_upload",
            method="POST",
            path=f"/v1/index/{medium}/upload",
            handler=index_upload(medium),
            summary=f"Index {examples.ONE[medium]} that you send",
            description=_DESCRIPTION + " Answered once all of it has come; a job fingerprints it.",
            key=Key.ALWAYS,
            scope=f"{medium}:index",
            bodies={FORM: IndexForm, BYTES: bytes},
            query=AssetFields,
            headers=("Idempotency-Key",),
            status=202,
            answer=AcceptedBody,
            errors=(FeatureDisabled, QuotaExceeded, Conflict, FileTooLarge, UnsupportedMedia),
            example_answer=examples.ACCEPTED,
        ),
        Route(
            name=f"search_{medium}_by_upload",
            method="POST",
            path=f"/v1/search/{medium}/upload",
            handler=search_upload(medium),
            summary=f"Search the library with {examples.ONE[medium]} that you send",
            description=f"{_DESCRIPTION} Nothing of it is kept. {examples.SEARCH_DESCRIPTION}",
            key=Key.ALWAYS,
            scope=f"{medium}:search",
            work=("search", medium),
            bodies={FORM: SearchForm, BYTES: bytes},
            query=SearchRequest,
            answer=SearchBody,
            answer_headers=("Server-Timing",),
            errors=(FeatureDisabled, QuotaExceeded, *_FILE_ERRORS[medium]),
            example_answer=examples.SEARCH_ANSWER[medium],
        ),
    )


ROUTES: Final = (
    *(route for medium in MediaType for route in _media_routes(medium)),
    Route(
        name="get_media",
        method="GET",
        path="/v1/assets/{id}/media",
        handler=get_media,
        summary="The bytes of an uploaded asset, where the project keeps them",
        description="With their own type, to be saved. The ETag is their SHA-256; who has them (`If-None-Match`) gets a 304.",
        key=Key.ALWAYS,
        scope="assets:read",
        answer=bytes,
        answer_type="*/*",
        errors=(NotFound,),
        example_answer="(the file)",
    ),
)


def _begin(request: web.Request, medium: MediaType) -> Upload:
    """An upload may take longer than other requests, as long as it goes on."""
    settings = request.app[SETTINGS]
    call.begin(call.request_id(), settings.gateway_upload_seconds)
    return Upload(request, medium, settings.gateway_client_seconds)


def _client(request: web.Request) -> UploadClient:
    return UploadClient(request.app[INDEX])
