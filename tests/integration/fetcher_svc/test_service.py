"""fetcher_svc as its callers see it: over gRPC, with its sandboxed workers."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import av
import pytest

from fetcher_svc.server import build
from fetcher_svc.settings import Settings
from mesh.client import ask_stream, open_channel
from mesh.errors import DurationTooLong, FetchFailed, FileTooLarge, InvalidUrl, MeshError, UnsupportedMedia
from mesh.fetching import FetcherClient
from mesh.media import MediaType
from mesh.server import start_server
from mesh.settings import InvalidSettings, read_settings
from mesh.wire import media_type_to_proto
from protos import fetcher_pb2, fetcher_pb2_grpc
from tests.raw_origin import RawOrigin, answer

PNG = b"\x89PNG\r\n\x1a\n" + bytes(2_000_000)


@pytest.fixture
async def settings(tmp_path: Path) -> AsyncIterator[Settings]:
    """Those of a fetcher that runs in this process."""
    settings = read_settings(Settings, {"DATA_DIR": str(tmp_path), "FETCHER_ALLOW_NETWORKS": "127.0.0.0/8"})
    service = build(settings)
    async with AsyncExitStack() as stack:
        for resource in service.resources:
            await stack.enter_async_context(resource)
        server, _ = await start_server(settings, service)
        yield settings
        await server.stop(1.0)


@pytest.fixture
async def origin() -> AsyncIterator[RawOrigin]:
    async with RawOrigin() as running:
        yield running


def a_film(seconds: int) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(seconds * 10):
            frame = av.VideoFrame(64, 48, "yuv420p")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


async def test_media_arrive_whole(settings: Settings, origin: RawOrigin) -> None:
    for media_type, body in ((MediaType.IMAGE, PNG), (MediaType.VIDEO, a_film(3))):
        async with FetcherClient(settings, settings.fetcher_address, media_type) as client:
            with await client.fetch(origin.say("/", answer(body))) as media:
                assert Path(media.path).read_bytes() == body


async def test_what_has_one_chunk_comes_as_one_message_to_whom_takes_that(settings: Settings, origin: RawOrigin) -> None:
    small = PNG[:9000]
    cases: list[tuple[bytes, bool, set[str]]] = [
        (small, True, {"whole"}),
        (small, False, {"head", "chunk", "tail"}),
        (PNG, True, {"head", "chunk", "tail"}),
    ]
    async with open_channel(settings, settings.fetcher_address) as channel:
        stub = fetcher_pb2_grpc.FetcherServiceStub(channel)
        for number, (body, takes_whole, expected) in enumerate(cases):
            request = fetcher_pb2.FetchRequest(
                url=origin.say(f"/{number}", answer(body)), media_type=media_type_to_proto(MediaType.IMAGE), takes_whole=takes_whole
            )
            responses = [response async for response in ask_stream(stub.Fetch, request)]
            assert {response.WhichOneof("part") for response in responses} == expected
            first, last = (responses[at].whole if "whole" in expected else responses[at] for at in (0, -1))
            assert (first.head.content_type, first.head.size_bytes) == ("image/png", len(body))
            assert b"".join(response.whole.content or response.chunk for response in responses) == body
            assert (last.tail.sha256, last.tail.size_bytes) == (hashlib.sha256(body).hexdigest(), len(body))


async def test_each_refusal_arrives_as_itself(settings: Settings, origin: RawOrigin) -> None:
    cases: list[tuple[MediaType, str, type[MeshError]]] = [
        (MediaType.IMAGE, "http://10.0.0.1/", InvalidUrl),
        (MediaType.IMAGE, "", InvalidUrl),
        (MediaType.IMAGE, origin.say("/404", answer(b"", "404 Not Found")), FetchFailed),
        (MediaType.IMAGE, origin.say("/large", answer(PNG, "200 OK", "Content-Length: 99999999", length=False)), FileTooLarge),
        (MediaType.IMAGE, origin.say("/text", answer(b"text")), UnsupportedMedia),
        (MediaType.VIDEO, origin.say("/long", answer(a_film(181))), DurationTooLong),
        (MediaType.VIDEO, origin.say("/broken", answer(a_film(1)[:100])), UnsupportedMedia),
    ]
    for media_type, url, error in cases:
        async with FetcherClient(settings, settings.fetcher_address, media_type) as client:
            with pytest.raises(error):
                await client.fetch(url)


@pytest.mark.parametrize("media_type", [MediaType.IMAGE, MediaType.VIDEO])
async def test_a_caller_who_leaves_ends_the_download(settings: Settings, origin: RawOrigin, media_type: MediaType) -> None:
    start = PNG[:9000] if media_type is MediaType.IMAGE else a_film(1)
    url = origin.say_without_end("/", answer(b"", length=False) + start, bytes(1024), pause_seconds=0.005)
    async with FetcherClient(settings, settings.fetcher_address, media_type) as client:
        work = asyncio.create_task(client.fetch(url))
        await origin.asked.wait()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        await asyncio.wait_for(origin.left.wait(), 10.0)


async def test_a_caller_who_leaves_while_not_reading_ends_the_download(settings: Settings, origin: RawOrigin) -> None:
    url = origin.say_without_end("/", answer(b"", length=False) + PNG, bytes(1_000_000))
    async with FetcherClient(settings, settings.fetcher_address, MediaType.IMAGE) as client:
        work = asyncio.create_task(client.fetch(url))
        await origin.asked.wait()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        await asyncio.wait_for(origin.left.wait(), 10.0)


def test_a_wrong_exception_is_a_wrong_setting(tmp_path: Path) -> None:
    settings = read_settings(Settings, {"DATA_DIR": str(tmp_path), "FETCHER_ALLOW_NETWORKS": "127.0.0.0/8, 10.0.0.1/8"})
    with pytest.raises(InvalidSettings, match=r"FETCHER_ALLOW_NETWORKS.*10\.0\.0\.1/8"):
        build(settings)


def test_exceptions_are_logged_and_none_is_the_default(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    build(read_settings(Settings, {"DATA_DIR": str(tmp_path)}))
    assert not caplog.records
    build(read_settings(Settings, {"DATA_DIR": str(tmp_path), "FETCHER_ALLOW_NETWORKS": "127.0.0.0/8,store"}))
    assert [vars(record)["allowed"] for record in caplog.records] == ["127.0.0.0/8, store"]
