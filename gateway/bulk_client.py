"""The gateway's way to the index for files of rows: what a client sends goes through as it comes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence

from gateway.bulk_schemas import BulkBody, RowBody, RowListBody, RowQuery
from gateway.index_client import STATUS, STATUS_NUMBER, IndexClient, failure_body, job_body
from gateway.index_schemas import JobBody
from mesh import client
from mesh.media import MediaType
from mesh.wire import media_type_from_proto, media_type_to_proto
from protos import index_pb2


class BulkClient:
    def __init__(self, index: IndexClient) -> None:
        self._index = index

    async def index_csv(self, project: str, allowed: Sequence[MediaType], chunks: AsyncIterator[bytes], idempotency_key: str) -> BulkBody:
        media = [media_type_to_proto(medium) for medium in allowed]
        head = index_pb2.IndexCsvHead(project_id=project, allowed=media, idempotency_key=idempotency_key)

        async def requests() -> AsyncGenerator[index_pb2.IndexCsvRequest, None]:
            yield index_pb2.IndexCsvRequest(head=head)
            async for chunk in chunks:
                yield index_pb2.IndexCsvRequest(chunk=chunk)

        accepted = await client.ask_with(self._index.stub.IndexCsv, requests())
        return BulkBody(job_id=accepted.job_id, status="pending", rows=accepted.rows)

    async def index_archive(self, project: str, allowed: Sequence[MediaType], url: str, idempotency_key: str) -> BulkBody:
        media = [media_type_to_proto(medium) for medium in allowed]
        request = index_pb2.IndexArchiveRequest(project_id=project, allowed=media, idempotency_key=idempotency_key, url=url)
        accepted = await client.ask(self._index.stub.IndexArchive, request)
        return BulkBody(job_id=accepted.job_id, status="pending", rows=None)

    async def list_rows(self, project: str, job_id: str, wanted: RowQuery) -> RowListBody:
        request = index_pb2.ListJobRowsRequest(
            project_id=project,
            job_id=job_id,
            limit=wanted.limit,
            cursor=wanted.cursor,
            status=STATUS_NUMBER[wanted.status] if wanted.status else None,
        )
        found = await client.ask(self._index.stub.ListJobRows, request)
        return RowListBody(rows=[_row(row) for row in found.rows], next_cursor=found.next_cursor or None)

    async def cancel_job(self, project: str, job_id: str) -> JobBody:
        found = await client.ask(self._index.stub.CancelJob, index_pb2.CancelJobRequest(project_id=project, job_id=job_id))
        return job_body(found.job)


def _row(row: index_pb2.JobRow) -> RowBody:
    return RowBody(
        line=row.line if row.HasField("line") else None,
        file=row.file or None,
        status=STATUS[row.status],
        asset_id=row.asset_id or None,
        media_type=media_type_from_proto(row.media_type) if row.media_type else None,
        name=row.name or None,
        error=failure_body(row),
    )
