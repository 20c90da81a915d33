"""The gateway's way to the index for bytes: streams of them in, streams of them out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from gateway.index_client import STATUS, IndexClient, asset_to_proto, search_from_proto, search_to_proto
from gateway.index_schemas import AcceptedBody, AssetFields, SearchBody, SearchRequest
from mesh import client
from mesh.errors import Internal
from mesh.media import MediaType
from mesh.wire import media_type_to_proto
from protos import index_pb2


@dataclass(frozen=True, slots=True)
class Media:
    """What an asset's bytes are."""

    content_type: str
    size_bytes: int
    sha256: str


class UploadClient:
    def __init__(self, index: IndexClient) -> None:
        self._index = index

    async def index_upload(
        self, project: str, medium: MediaType, chunks: AsyncIterator[bytes], said: Callable[[], AssetFields], idempotency_key: str
    ) -> AcceptedBody:
        """`said` is asked once the chunks are at their end."""
        head = index_pb2.UploadHead(project_id=project, media_type=media_type_to_proto(medium), idempotency_key=idempotency_key)

        async def requests() -> AsyncGenerator[index_pb2.UploadAssetRequest, None]:
            yield index_pb2.UploadAssetRequest(head=head)
            async for chunk in chunks:
                yield index_pb2.UploadAssetRequest(chunk=chunk)
            yield index_pb2.UploadAssetRequest(asset=asset_to_proto(said()))

        accepted = await client.ask_with(self._index.stub.UploadAsset, requests())
        return AcceptedBody(asset_id=accepted.asset_id, job_id=accepted.job_id, status=STATUS[accepted.status])

    async def search_upload(
        self, project: str, medium: MediaType, chunks: AsyncIterator[bytes], wanted: Callable[[], SearchRequest]
    ) -> tuple[SearchBody, dict[str, float], Sequence[Any]]:
        """`wanted` is asked once the chunks are at their end."""
        head = index_pb2.UploadHead(project_id=project, media_type=media_type_to_proto(medium))

        async def requests() -> AsyncGenerator[index_pb2.SearchUploadRequest, None]:
            yield index_pb2.SearchUploadRequest(head=head)
            async for chunk in chunks:
                yield index_pb2.SearchUploadRequest(chunk=chunk)
            yield index_pb2.SearchUploadRequest(search=search_to_proto(wanted()))

        answer = await client.ask_with(self._index.stub.SearchUpload, requests())
        return search_from_proto(answer.found, wanted())

    @asynccontextmanager
    async def read_media(self, project: str, asset_id: str) -> AsyncIterator[tuple[Media, AsyncIterator[bytes]]]:
        """What they are, and the bytes, which come as they are asked for."""
        request = index_pb2.ReadMediaRequest(project_id=project, asset_id=asset_id)
        async with aclosing(client.ask_stream(self._index.stub.ReadMedia, request)) as responses:
            first = await anext(responses, None)
            if first is None or not first.HasField("head"):
                raise Internal()
            head = first.head
            yield Media(head.content_type, head.size_bytes, head.sha256), (response.chunk async for response in responses)
