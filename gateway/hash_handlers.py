"""Lists of hashes in and out of /v1: streamed, line by line."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final

from aiohttp import web

from gateway import examples
from gateway.export import send_rows
from gateway.form import body
from gateway.handlers import json_response
from gateway.hash_client import HashClient
from gateway.hash_rows import CSV, EXPORTED, JSON_LINES, Lines, Row, RowReader
from gateway.index_handlers import INDEX
from gateway.index_schemas import ExportQuery, ImportBody, ImportQuery
from gateway.routes import CALLER, SETTINGS, Handler, Key, Route
from gateway.schemas import read_query
from mesh import call
from mesh.errors import FeatureDisabled, QuotaExceeded, UnsupportedContentType
from mesh.media import MediaType


def import_hashes(medium: MediaType) -> Handler:
    """POST /v1/index/{type}/hashes"""

    async def handle(request: web.Request) -> web.Response:
        wanted = read_query(request.query, ImportQuery)
        settings = request.app[SETTINGS]
        if request.content_type not in (CSV, JSON_LINES) or request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise UnsupportedContentType(f"the body must be {CSV} or {JSON_LINES}, without a content encoding")
        call.begin(call.request_id(), settings.gateway_upload_seconds)
        rows = _rows(request, RowReader(request.content_type, wanted.kind), settings.gateway_client_seconds)
        return json_response(await HashClient(request.app[INDEX]).import_hashes(request[CALLER].project, medium, wanted, rows))

    return handle


async def export_hashes(request: web.Request) -> web.StreamResponse:
    """GET /v1/hashes/export"""
    wanted = read_query(request.query, ExportQuery)
    content_type = CSV if wanted.format == "csv" else JSON_LINES
    call.begin(call.request_id(), request.app[SETTINGS].gateway_upload_seconds)
    async with aclosing(HashClient(request.app[INDEX]).export_hashes(request[CALLER].project, wanted)) as batches:
        return await send_rows(request, batches, content_type, EXPORTED)


async def _rows(request: web.Request, reader: RowReader, max_stall_seconds: float) -> AsyncIterator[Row]:
    lines = Lines()
    async for chunk in body(request, max_stall_seconds):
        for number, line in lines.feed(chunk):
            row = reader.read(number, line)
            if row is not None:
                yield row
    for number, line in lines.rest():
        row = reader.read(number, line)
        if row is not None:
            yield row


ROUTES: Final = (
    *(
        Route(
            name=f"import_{medium}_hashes",
            method="POST",
            path=f"/v1/index/{medium}/hashes",
            handler=import_hashes(medium),
            summary=f"Take in a list of hashes of {examples.PLURAL[medium]}",
            description=examples.IMPORT_DESCRIPTION,
            key=Key.ALWAYS,
            scope=f"{medium}:index",
            bodies={CSV: bytes, JSON_LINES: bytes},
            query=ImportQuery,
            answer=ImportBody,
            errors=(FeatureDisabled, QuotaExceeded),
            example_answer=examples.IMPORT_ANSWER,
        )
        for medium in MediaType
    ),
    Route(
        name="export_hashes",
        method="GET",
        path="/v1/hashes/export",
        handler=export_hashes,
        summary="The hashes of ready assets, as a list",
        description="In the order of indexing, as CSV or JSON lines (`application/x-ndjson`); what this gives, an import takes.",
        key=Key.ALWAYS,
        scope="assets:read",
        query=ExportQuery,
        answer=bytes,
        answer_type=CSV,
        other_answers={JSON_LINES: str},
        example_answer=examples.EXPORT_ANSWER,
    ),
)
