"""One coroutine an endpoint for files of rows: a CSV that streams through, an archive by its URL, what became of each row."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from gateway import examples
from gateway.access import Caller
from gateway.bulk_client import BulkClient
from gateway.bulk_schemas import ArchiveRequest, BulkBody, CsvForm, RowBody, RowListBody, RowQuery
from gateway.form import Form, body, refuse_encoding
from gateway.handlers import json_response, read_json_body
from gateway.index_handlers import INDEX, idempotency_key
from gateway.index_schemas import JobBody
from gateway.routes import CALLER, FORM, JSON, SETTINGS, Key, Route
from gateway.schemas import read_body, read_query
from mesh import call
from mesh.errors import Conflict, InsufficientScope, InvalidRequest, NotFound, UnsupportedContentType
from mesh.media import MediaType

CSV: Final = "text/csv"
CHUNK_BYTES: Final = 256 * 1024
_EXPORT_COLUMNS: Final = ("line", "file", "status", "asset_id", "media_type", "name", "error_code", "error_message")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def indexable(caller: Caller) -> list[MediaType]:
    """The media that the key may index; of a file with several, rows of others are refused by themselves."""
    allowed = [medium for medium in MediaType if f"{medium}:index" in caller.scopes]
    if not allowed:
        raise InsufficientScope("the key does not carry any of image:index, video:index, audio:index", scope="image:index")
    return allowed


async def index_csv(request: web.Request) -> web.Response:
    """POST /v1/index/bulk/csv"""
    caller = request[CALLER]
    allowed, key = indexable(caller), idempotency_key(request)
    call.begin(call.request_id(), request.app[SETTINGS].gateway_upload_seconds)
    chunks = _sent_file(request, request.app[SETTINGS].gateway_client_seconds)
    return json_response(await BulkClient(request.app[INDEX]).index_csv(caller.project, allowed, chunks, key), status=202)


async def index_archive(request: web.Request) -> web.Response:
    """POST /v1/index/bulk/zip"""
    caller = request[CALLER]
    allowed, key = indexable(caller), idempotency_key(request)
    wanted = read_body(await read_json_body(request, request.app[SETTINGS].gateway_client_seconds), ArchiveRequest)
    return json_response(await BulkClient(request.app[INDEX]).index_archive(caller.project, allowed, wanted.url, key), status=202)


async def list_rows(request: web.Request) -> web.StreamResponse:
    """GET /v1/jobs/{id}/rows: a page as JSON, or all of them as CSV"""
    bulk, project, job = BulkClient(request.app[INDEX]), request[CALLER].project, request.match_info["id"]
    wanted = read_query(request.query, RowQuery)
    page = await bulk.list_rows(project, job, wanted)
    if request.headers.get("Accept", "").split(";")[0].strip().lower() != CSV:
        return json_response(page)
    call.begin(call.request_id(), request.app[SETTINGS].gateway_upload_seconds)
    response = web.StreamResponse(headers={"Content-Type": f"{CSV}; charset=utf-8", "X-Request-Id": call.request_id()})
    await response.prepare(request)
    await response.write(_csv_line(_EXPORT_COLUMNS))
    while True:
        await response.write(b"".join(map(_exported, page.rows)))
        if page.next_cursor is None:
            return response
        wanted.cursor = page.next_cursor
        page = await bulk.list_rows(project, job, wanted)


async def cancel_job(request: web.Request) -> web.Response:
    """POST /v1/jobs/{id}/cancel: for those who may index what it is about"""
    caller, index, identity = request[CALLER], request.app[INDEX], request.match_info["id"]
    indexable(caller)
    job = await index.get_job(caller.project, identity)
    if job.media_type is not None:
        caller.require(f"{job.media_type}:index")
    return json_response(await BulkClient(index).cancel_job(caller.project, identity))


ROUTES: Final = (
    Route(
        name="index_csv",
        method="POST",
        path="/v1/index/bulk/csv",
        handler=index_csv,
        summary="Index what a CSV file lists",
        description=(
            "One asset a row: `url`, `media_type`, `name`, `collection`, `metadata` (a JSON object) and `owner`, in any order by a "
            "header, or the first three without one; UTF-8, commas, quotes as in RFC 4180, up to 100,000 rows in 64 MB. What is "
            "wrong with the file as a whole is answered at once; what is wrong with a row stands in the job's rows, and the others "
            "go on. Takes any of the scopes `image:index`, `video:index` and `audio:index`; rows of a medium that the key may not "
            "index are refused by themselves."
        ),
        key=Key.ALWAYS,
        bodies={CSV: bytes, FORM: CsvForm},
        headers=("Idempotency-Key",),
        status=202,
        answer=BulkBody,
        errors=(InsufficientScope, Conflict),
        example_answer=examples.BULK,
    ),
    Route(
        name="index_archive",
        method="POST",
        path="/v1/index/bulk/zip",
        handler=index_archive,
        summary="Index what a ZIP archive holds",
        description=(
            "One asset a row of the `manifest.csv` at the archive's top: `file`, `media_type`, `name`, `collection`, `metadata` and "
            "`owner`. A job fetches and unpacks the archive; what is wrong with a file stands in the job's rows, and the others go "
            "on. Scopes as for a CSV."
        ),
        key=Key.ALWAYS,
        bodies={JSON: ArchiveRequest},
        headers=("Idempotency-Key",),
        status=202,
        answer=BulkBody,
        errors=(InsufficientScope, Conflict),
        example_request={"url": "https://media.example.com/catalogue.zip"},
        example_answer={**examples.BULK, "rows": None},
    ),
    Route(
        name="list_job_rows",
        method="GET",
        path="/v1/jobs/{id}/rows",
        handler=list_rows,
        summary="What became of each row",
        description=(
            "In the order of the file; of an archive, then the files that no row is about (`line` is null). A row that became no "
            "asset has no `asset_id`, and an `error`. With `Accept: text/csv` all that is left of the report comes as one CSV file, "
            "in which what a spreadsheet would take for a formula stands behind an apostrophe."
        ),
        key=Key.ALWAYS,
        scope="jobs:read",
        query=RowQuery,
        answer=RowListBody,
        other_answers={CSV: str},
        errors=(NotFound,),
        example_answer={"rows": examples.ROWS, "next_cursor": None},
    ),
    Route(
        name="cancel_job",
        method="POST",
        path="/v1/jobs/{id}/cancel",
        handler=cancel_job,
        summary="Cancel a job",
        description=(
            "What is ready by then stays; the other assets fail as `cancelled`, and rows that were not read yet are left out. Takes "
            "the index scope of the job's medium; of a file of rows any of them."
        ),
        key=Key.ALWAYS,
        answer=JobBody,
        errors=(InsufficientScope, NotFound, Conflict),
        example_answer=examples.CANCELLED_JOB,
    ),
)


async def _sent_file(request: web.Request, max_stall_seconds: float) -> AsyncIterator[bytes]:
    """The body, or the part of it that is called file, as it comes."""
    refuse_encoding(request)
    if (request.charset or "utf-8").lower() not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedContentType("the file must be UTF-8")
    if request.content_type == CSV:
        async for chunk in body(request, max_stall_seconds):
            yield chunk
        return
    if request.content_type != FORM:
        raise UnsupportedContentType(f"the body must be {CSV}, or {FORM} with the part file")
    form, has_file = Form(request, max_stall_seconds), False
    async for _, file in form.files({"file"}):
        has_file = True
        async for chunk in file:
            yield chunk
    if form.fields:
        name = min(form.fields)[:64]
        raise InvalidRequest(f"unknown field {name}", field=name)
    if not has_file:
        raise InvalidRequest("file must be given, as a part of the form", field="file")


def _exported(row: RowBody) -> bytes:
    code, message = (row.error.code, row.error.message) if row.error else (None, None)
    return _csv_line((row.line, row.file, row.status, row.asset_id, row.media_type, row.name, code, message))


def _csv_line(cells: tuple[object, ...]) -> bytes:
    """What a spreadsheet would take for a formula stands behind an apostrophe, which makes it text."""
    line = io.StringIO()
    texts = ["" if cell is None else str(cell) for cell in cells]
    csv.writer(line).writerow([f"'{text}" if text.startswith(_FORMULA) else text for text in texts])
    return line.getvalue().encode()
