"""The door for bytes: streams in, streams out; proto to domain and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Any, Final

from index_svc.held_media import read_held
from index_svc.messages import draft_from_proto, found_to_proto, query_from_proto
from index_svc.search import Search
from index_svc.sources import Source
from index_svc.texts import checked_key, known_id
from index_svc.uploads import Uploads
from mesh.errors import InvalidRequest
from mesh.wire import media_type_from_proto
from protos import index_pb2, index_pb2_grpc

MAX_CHUNK_BYTES: Final = 1 << 20


class UploadDoor(index_pb2_grpc.IndexServiceServicer):
    def __init__(self, uploads: Uploads, search: Search) -> None:
        self._uploads = uploads
        self._search = search

    async def UploadAsset(  # noqa: N802
        self, request_iterator: AsyncIterator[index_pb2.UploadAssetRequest], context: Any
    ) -> index_pb2.UploadAssetResponse:
        stream = await UploadStream.open(request_iterator, "asset")
        project, medium = known_id(stream.head.project_id, "project"), media_type_from_proto(stream.head.media_type)
        key = checked_key(stream.head.idempotency_key)
        await self._uploads.require(project, f"{medium}:index")
        async with self._uploads.receive(project, medium, stream.chunks()) as received:
            said = index_pb2.IndexAssetRequest() if stream.said is None else stream.said
            said.ClearField("url")
            asset, job = await self._uploads.accept(project, draft_from_proto(said, medium), received, key)
        return index_pb2.UploadAssetResponse(asset_id=str(asset), job_id=str(job), status=index_pb2.ASSET_STATUS_PENDING)

    async def SearchUpload(  # noqa: N802
        self, request_iterator: AsyncIterator[index_pb2.SearchUploadRequest], context: Any
    ) -> index_pb2.SearchUploadResponse:
        stream = await UploadStream.open(request_iterator, "search")
        project, medium = known_id(stream.head.project_id, "project"), media_type_from_proto(stream.head.media_type)
        await self._uploads.require(project, f"{medium}:search")
        async with self._uploads.hold(medium, stream.chunks()) as media:
            said = index_pb2.SearchRequest() if stream.said is None else stream.said
            if said.WhichOneof("query"):
                raise InvalidRequest(f"{said.WhichOneof('query')}: the query is what is uploaded", field=said.WhichOneof("query") or "")
            query = replace(query_from_proto(said, medium), source=Source(read=partial(read_held, media), size_bytes=media.size_bytes))
            found = await self._search.search(project, query)
        return index_pb2.SearchUploadResponse(found=found_to_proto(found))

    async def ReadMedia(self, request: index_pb2.ReadMediaRequest, context: Any) -> AsyncIterator[index_pb2.ReadMediaResponse]:  # noqa: N802
        media = await self._uploads.find(known_id(request.project_id, "project"), known_id(request.asset_id, "asset"))
        head = index_pb2.MediaHead(content_type=media.content_type, size_bytes=media.size_bytes, sha256=media.sha256)
        yield index_pb2.ReadMediaResponse(head=head)
        async for chunk in self._uploads.read(media):
            yield index_pb2.ReadMediaResponse(chunk=chunk)


class UploadStream:
    """A client's stream: the head, then chunks, and among them, once, what is said of them."""

    def __init__(self, head: index_pb2.UploadHead, requests: AsyncIterator[Any], name: str) -> None:
        self.head = head
        self.said: Any = None
        self._requests = requests
        self._name = name

    @classmethod
    async def open(cls, requests: AsyncIterator[Any], name: str) -> UploadStream:
        first = await anext(aiter(requests), None)
        if first is None or first.WhichOneof("part") != "head":
            raise InvalidRequest("the first message must be the head")
        return cls(first.head, requests, name)

    async def chunks(self) -> AsyncIterator[bytes]:
        async for request in self._requests:
            part = request.WhichOneof("part")
            if part == "chunk" and len(request.chunk) <= MAX_CHUNK_BYTES:
                yield request.chunk
            elif part == self._name and self.said is None:
                self.said = getattr(request, part)
            else:
                raise InvalidRequest(f"after the head come chunks of at most {MAX_CHUNK_BYTES} bytes, and once the {self._name}")
