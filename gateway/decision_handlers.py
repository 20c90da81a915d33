"""GET /v1/decisions: what was decided for the project, as a file that streams."""

from __future__ import annotations

from contextlib import aclosing
from typing import Final

from aiohttp import web

from gateway import threshold_examples as examples
from gateway.export import send_rows
from gateway.handlers import MESH
from gateway.hash_rows import CSV, JSON_LINES
from gateway.routes import CALLER, SETTINGS, Key, Route
from gateway.schemas import read_query
from gateway.threshold_schemas import DecisionQuery
from mesh import call

COLUMNS: Final = (
    *("number", "time", "request_id", "endpoint", "media_type", "source_sha256", "target_sha256", "source_pdq", "target_pdq", "score"),
    *("confidence", "match", "threshold", "profile", "policy", "lane", "algorithm", "version", "hits"),
)


async def export_decisions(request: web.Request) -> web.StreamResponse:
    """GET /v1/decisions"""
    wanted = read_query(request.query, DecisionQuery)
    call.begin(call.request_id(), request.app[SETTINGS].gateway_upload_seconds)
    async with aclosing(request.app[MESH].decisions.read(request[CALLER].project, wanted)) as batches:
        return await send_rows(request, batches, CSV if wanted.format == "csv" else JSON_LINES, COLUMNS)


ROUTES: Final = (
    Route(
        name="export_decisions",
        method="GET",
        path="/v1/decisions",
        handler=export_decisions,
        summary="The decision log",
        description=(
            "Of a project that keeps one: a row for each pair and each page of a search that was answered, in the order of writing, as CSV "
            "or JSON lines (`application/x-ndjson`). `number` only ever rises: give the last one as `after` to read on, and none is missed."
        ),
        key=Key.ALWAYS,
        scope="decisions:read",
        query=DecisionQuery,
        answer=bytes,
        answer_type=CSV,
        other_answers={JSON_LINES: str},
        example_answer=examples.DECISIONS,
    ),
)
