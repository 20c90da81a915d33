"""A matcher's way to media, and the index's to archives of them: the fetcher's stream, kept as a file that a worker can open."""

from __future__ import annotations

from mesh import client
from mesh.errors import FetchFailed, Internal
from mesh.media import MediaType
from mesh.media_file import MediaFile
from mesh.settings import MeshSettings
from mesh.wire import media_type_to_proto
from protos import fetcher_pb2, fetcher_pb2_grpc


class FetcherClient:
    """Enter it to open the channel. Without a medium it fetches archives."""

    def __init__(self, settings: MeshSettings, address: str, media_type: MediaType | None) -> None:
        self._settings = settings
        self._address = address
        self._media_type = media_type

    async def __aenter__(self) -> FetcherClient:
        self._channel = client.open_channel(self._settings, self._address)
        self._stub = fetcher_pb2_grpc.FetcherServiceStub(self._channel)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()

    async def fetch(self, url: str) -> MediaFile:
        """The whole of what the URL names; the caller closes it."""
        media = MediaFile()
        try:
            medium = None if self._media_type is None else media_type_to_proto(self._media_type)
            request = fetcher_pb2.FetchRequest(url=url, media_type=medium, is_archive=medium is None, takes_whole=True)
            tail = None
            async for response in client.ask_stream(self._stub.Fetch, request):
                match response.WhichOneof("part"):
                    case "chunk":
                        media.write(response.chunk)
                    case "tail":
                        tail = response.tail
                    case "whole":
                        media.write(response.whole.content)
                        tail = response.whole.tail
            if tail is None:
                raise FetchFailed("could not be downloaded whole")
            media.seal()
            if (tail.sha256, tail.size_bytes) != (media.sha256, media.size_bytes):
                raise Internal()
            return media
        except BaseException:
            media.close()
            raise
