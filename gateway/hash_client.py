"""The gateway's way to the index for lists of hashes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, Final

from gateway.hash_rows import MAX_LINE_BYTES, Row
from gateway.index_client import IndexClient, asset_from_proto, hash_kind_to_proto
from gateway.index_schemas import ExportQuery, ImportBody, ImportQuery, RowErrorBody
from mesh import client
from mesh.media import MediaType
from mesh.wire import media_type_to_proto
from protos import index_pb2

_BATCH_ROWS: Final = 1000
_BATCH_BYTES: Final = 1 << 20
MAX_NAMED_ERRORS: Final = 1000
_KINDS: Final[dict[str, Any]] = {kind.removeprefix("HASH_KIND_").lower(): number for kind, number in index_pb2.HashKind.items() if number}


class HashClient:
    def __init__(self, index: IndexClient) -> None:
        self._index = index

    async def import_hashes(self, project: str, medium: MediaType, wanted: ImportQuery, rows: AsyncIterator[Row]) -> ImportBody:
        """Good rows become assets; those that could not be read are reported with those that the index refuses."""
        head = index_pb2.ImportHead(
            project_id=project,
            media_type=media_type_to_proto(medium),
            collection=wanted.collection,
            owner=wanted.owner,
            ttl_seconds=wanted.ttl_seconds or None,
        )
        unread: list[RowErrorBody] = []
        counts = {"unread": 0}

        async def requests() -> AsyncGenerator[index_pb2.ImportHashesRequest, None]:
            yield index_pb2.ImportHashesRequest(head=head)
            batch, size = index_pb2.HashRows(), 0
            async for row in rows:
                if row.problem:
                    counts["unread"] += 1
                    if len(unread) < MAX_NAMED_ERRORS:
                        unread.append(RowErrorBody(line=row.line, message=row.problem))
                    continue
                batch.rows.append(_row(row))
                size += min(MAX_LINE_BYTES, sum(map(len, row.texts.values())))
                if len(batch.rows) >= _BATCH_ROWS or size >= _BATCH_BYTES:
                    yield index_pb2.ImportHashesRequest(rows=batch)
                    batch, size = index_pb2.HashRows(), 0
            if batch.rows:
                yield index_pb2.ImportHashesRequest(rows=batch)

        made = await client.ask_with(self._index.stub.ImportHashes, requests())
        errors = [*unread, *(RowErrorBody(line=error.line, message=error.message) for error in made.errors)]
        return ImportBody(
            job_id=made.job_id,
            accepted=made.accepted,
            already_there=made.already_there,
            refused=made.refused + counts["unread"],
            errors=sorted(errors, key=lambda error: error.line)[:MAX_NAMED_ERRORS],
        )

    async def export_hashes(self, project: str, wanted: ExportQuery) -> AsyncGenerator[list[dict[str, Any]], None]:
        """Batches of rows."""
        request = index_pb2.ExportHashesRequest(
            project_id=project,
            kind=hash_kind_to_proto(wanted.kind),
            media_type=media_type_to_proto(wanted.type) if wanted.type else None,
            collection=wanted.collection or None,
        )
        async with aclosing(client.ask_stream(self._index.stub.ExportHashes, request)) as responses:
            async for response in responses:
                yield [_exported(wanted.kind, row) for row in response.rows]


def _row(row: Row) -> index_pb2.HashRow:
    texts = row.texts
    return index_pb2.HashRow(
        line=row.line,
        hash=index_pb2.Hash(kind=_KINDS.get(texts["kind"].strip().lower()), value=texts.get("hash", "")),
        name=texts.get("name", ""),
        collection=texts.get("collection", ""),
        owner=texts.get("owner", ""),
        metadata=texts.get("metadata", ""),
    )


def _exported(kind: str, row: index_pb2.ExportedHash) -> dict[str, Any]:
    asset = asset_from_proto(row.asset)
    return {
        "hash": row.hash.value,
        "kind": kind,
        "name": asset.name,
        "collection": asset.collection,
        "owner": row.asset.owner or None,
        "metadata": asset.metadata,
        "media_type": asset.media_type,
        "asset_id": asset.id,
    }
