"""The door for files of rows: proto to domain and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from index_svc import texts
from index_svc.bulk import Bulk
from index_svc.messages import job_to_proto, row_to_proto, status_from_proto
from mesh.errors import InvalidRequest
from mesh.wire import media_type_from_proto
from protos import index_pb2, index_pb2_grpc

MAX_CHUNK_BYTES: Final = 1 << 20


class BulkDoor(index_pb2_grpc.IndexServiceServicer):
    def __init__(self, bulk: Bulk) -> None:
        self._bulk = bulk

    async def IndexCsv(  # noqa: N802
        self, request_iterator: AsyncIterator[index_pb2.IndexCsvRequest], context: Any
    ) -> index_pb2.IndexCsvResponse:
        first = await anext(request_iterator, None)
        if first is None or first.WhichOneof("part") != "head":
            raise InvalidRequest("the first message must be the head")
        head = first.head
        project, key = texts.known_id(head.project_id, "project"), _key(head.idempotency_key)
        job, rows = await self._bulk.accept_csv(project, list(map(media_type_from_proto, head.allowed)), _chunks(request_iterator), key)
        return index_pb2.IndexCsvResponse(job_id=str(job), rows=rows)

    async def IndexArchive(self, request: index_pb2.IndexArchiveRequest, context: Any) -> index_pb2.IndexArchiveResponse:  # noqa: N802
        project, key = texts.known_id(request.project_id, "project"), _key(request.idempotency_key)
        url = texts.checked_text(request.url, "url", max_characters=texts.MAX_URL_CHARACTERS)
        job = await self._bulk.accept_archive(project, list(map(media_type_from_proto, request.allowed)), url, key)
        return index_pb2.IndexArchiveResponse(job_id=str(job))

    async def ListJobRows(self, request: index_pb2.ListJobRowsRequest, context: Any) -> index_pb2.ListJobRowsResponse:  # noqa: N802
        project, job = texts.known_id(request.project_id, "project"), texts.known_id(request.job_id, "job")
        rows, cursor = await self._bulk.rows(project, job, status_from_proto(request.status), request.cursor, request.limit)
        return index_pb2.ListJobRowsResponse(rows=map(row_to_proto, rows), next_cursor=cursor)

    async def CancelJob(self, request: index_pb2.CancelJobRequest, context: Any) -> index_pb2.CancelJobResponse:  # noqa: N802
        job = await self._bulk.cancel(texts.known_id(request.project_id, "project"), texts.known_id(request.job_id, "job"))
        return index_pb2.CancelJobResponse(job=job_to_proto(job))


async def _chunks(requests: AsyncIterator[index_pb2.IndexCsvRequest]) -> AsyncIterator[bytes]:
    async for request in requests:
        if request.WhichOneof("part") != "chunk" or len(request.chunk) > MAX_CHUNK_BYTES:
            raise InvalidRequest("after the head come chunks of at most 1 MiB")
        yield request.chunk


def _key(key: str) -> str:
    return texts.checked_text(key, "Idempotency-Key", max_characters=texts.MAX_KEY_CHARACTERS)
