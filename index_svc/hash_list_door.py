"""The door for lists of hashes: proto to domain and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from index_svc.hash_lists import HashLists, HashRow
from index_svc.hashes import LISTED
from index_svc.messages import asset_to_proto, hash_from_proto, kind_from_proto, kind_to_proto
from index_svc.texts import checked_object, checked_text, known_id
from mesh.errors import InvalidRequest, MeshError
from mesh.media import MediaType
from mesh.wire import media_type_from_proto
from protos import index_pb2, index_pb2_grpc


class HashListDoor(index_pb2_grpc.IndexServiceServicer):
    def __init__(self, hash_lists: HashLists) -> None:
        self._hash_lists = hash_lists

    async def ImportHashes(  # noqa: N802
        self, request_iterator: AsyncIterator[index_pb2.ImportHashesRequest], context: Any
    ) -> index_pb2.ImportHashesResponse:
        first = await anext(aiter(request_iterator), None)
        if first is None or first.WhichOneof("part") != "head":
            raise InvalidRequest("the first message must be the head")
        head = first.head
        media_type = media_type_from_proto(head.media_type)
        for name in ("collection", "owner"):
            checked_text(getattr(head, name), name)

        async def batches() -> AsyncIterator[list[HashRow]]:
            async for request in request_iterator:
                if request.WhichOneof("part") != "rows":
                    raise InvalidRequest("after the head come rows")
                yield [_row(row, head, media_type) for row in request.rows.rows]

        ttl_seconds = head.ttl_seconds if head.HasField("ttl_seconds") else None
        made = await self._hash_lists.take_in(known_id(head.project_id, "project"), media_type, batches(), ttl_seconds)
        return index_pb2.ImportHashesResponse(
            job_id=str(made.job),
            accepted=made.accepted,
            already_there=made.already_there,
            refused=made.refused,
            errors=[index_pb2.RowError(line=line, message=message) for line, message in made.errors],
        )

    async def ExportHashes(  # noqa: N802
        self, request: index_pb2.ExportHashesRequest, context: Any
    ) -> AsyncIterator[index_pb2.ExportHashesResponse]:
        kind = kind_from_proto(request.kind)
        media_type = media_type_from_proto(request.media_type) if request.media_type else None
        collection = checked_text(request.collection, "collection") if request.HasField("collection") else None
        async for batch in self._hash_lists.give_out(known_id(request.project_id, "project"), kind, media_type, collection):
            yield index_pb2.ExportHashesResponse(
                rows=[
                    index_pb2.ExportedHash(hash=index_pb2.Hash(kind=kind_to_proto(kind), value=value), asset=asset_to_proto(asset))  # type: ignore[arg-type]
                    for value, asset in batch
                ]
            )


def _row(row: index_pb2.HashRow, head: index_pb2.ImportHead, media_type: MediaType) -> HashRow:
    try:
        kind, value = hash_from_proto(row.hash, {media_type})
        if kind not in LISTED:
            raise InvalidRequest(f"kind: lists hold {', '.join(LISTED)}", field="kind")
        return HashRow(
            line=row.line,
            kind=kind,
            value=value,
            name=checked_text(row.name, "name"),
            collection=checked_text(row.collection or head.collection, "collection"),
            owner=checked_text(row.owner or head.owner, "owner"),
            metadata=checked_object(row.metadata, "metadata"),
        )
    except MeshError as error:
        return HashRow(line=row.line, problem=error.message)
