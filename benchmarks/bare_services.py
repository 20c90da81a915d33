"""A matcher and a fetcher without their work: what a pair takes of calls goes through the mesh's own servers, clients and interceptors,
and is answered from memory. So what they cost is what gRPC costs the two. python -m benchmarks.bare_services fetcher
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Final, Self, cast

import grpc
import psutil

from fetcher_svc.fetcher import CHUNK_BYTES, SPOOLED_CHUNK_BYTES, Fetcher, Head, Tail
from fetcher_svc.server import FetcherServicer
from mesh import call, client
from mesh.errors import NotAvailable
from mesh.media import MediaType
from mesh.server import Service, run
from mesh.settings import MeshSettings
from mesh.wire import media_type_to_proto
from protos import fetcher_pb2, fetcher_pb2_grpc, matcher_pb2, matcher_pb2_grpc, media_pb2

ADDRESSES: Final = {"fetcher": "unix:bare-fetcher.sock", "matcher": "unix:bare-matcher.sock"}
_CONTENT: Final = os.urandom(SPOOLED_CHUNK_BYTES)
_RESULT: Final = media_pb2.MatchResult(
    match=True,
    confidence=media_pb2.CONFIDENCE_HIGH,
    similarity_score=0.9,
    media_type=media_pb2.MEDIA_TYPE_IMAGE,
    timings=[media_pb2.Timing(stage=stage, milliseconds=1.0) for stage in ("fetch", "decode", "fingerprint", "compare")],
    provenance=media_pb2.Provenance(
        algorithm="bare",
        version=1,
        hashes=media_pb2.Hashes(source={"sha256": "0" * 64, "pdq": "0" * 64}, target={"sha256": "0" * 64, "pdq": "0" * 64}),
    ),
)


class BareServices:
    """Enter it to start the two; a pair is named by the bytes of its two sides."""

    def __init__(self, data_dir: Path) -> None:
        self._settings = MeshSettings(data_dir=str(data_dir))

    async def __aenter__(self) -> Self:
        environment = {**os.environ, "DATA_DIR": self._settings.data_dir}
        command = [sys.executable, "-m", "benchmarks.bare_services"]
        self._processes = [subprocess.Popen([*command, name], env=environment, stderr=subprocess.DEVNULL) for name in ADDRESSES]
        self._channel = client.open_channel(self._settings, ADDRESSES["matcher"])
        self._stub = matcher_pb2_grpc.MatcherServiceStub(self._channel)
        while not await self._are_up():
            await asyncio.sleep(0.05)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()
        for process in self._processes:
            process.terminate()
            process.wait()

    async def ask(self, medium: MediaType, sizes: Sequence[tuple[int, int]], requests: int, clients: int) -> float:
        """Milliseconds of a processor that both together take for a pair."""

        async def keep_asking(first: int) -> None:
            for number in range(first, requests, clients):
                await self._match(medium, *sizes[number % len(sizes)])

        async def ask_all() -> None:
            await asyncio.gather(*map(keep_asking, range(clients)))

        await ask_all()
        before = self._spent_seconds()
        await ask_all()
        return 1000 * (self._spent_seconds() - before) / requests

    async def _match(self, medium: MediaType, source_bytes: int, target_bytes: int) -> None:
        call.begin(None, None)
        source, target = f"{medium}:{source_bytes}", f"{medium}:{target_bytes}"
        await client.ask(self._stub.Match, matcher_pb2.MatchRequest(source_url=source, target_url=target))

    async def _are_up(self) -> bool:
        if any(process.poll() is not None for process in self._processes):
            raise RuntimeError("a bare service did not start")
        try:
            await self._match(MediaType.IMAGE, 1, 1)
        except NotAvailable:
            return False
        return True

    def _spent_seconds(self) -> float:
        return sum(sum(psutil.Process(process.pid).cpu_times()[:2]) for process in self._processes)


class _Unfetched:
    """In the place of a Fetcher: `image:1000` is a picture of a thousand bytes, in the chunks that it would come in."""

    async def fetch(self, url: str, media_type: MediaType, remaining_seconds: float) -> AsyncIterator[Head | bytes | Tail]:
        size_bytes = int(url.partition(":")[2])
        chunk_bytes = CHUNK_BYTES if media_type is MediaType.IMAGE else SPOOLED_CHUNK_BYTES
        yield Head("image/jpeg", size_bytes, None if media_type is MediaType.IMAGE else 30.0)
        for start in range(0, size_bytes, chunk_bytes):
            yield _CONTENT[: min(chunk_bytes, size_bytes - start)]
        yield Tail("0" * 64, size_bytes)


class _BareMatcher(matcher_pb2_grpc.MatcherServiceServicer):
    def __init__(self, settings: MeshSettings) -> None:
        self._settings = settings

    async def __aenter__(self) -> None:
        self._channel = client.open_channel(self._settings, ADDRESSES["fetcher"])
        self._stub = fetcher_pb2_grpc.FetcherServiceStub(self._channel)

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()

    async def Match(self, request: matcher_pb2.MatchRequest, context: Any) -> matcher_pb2.MatchResponse:  # noqa: N802
        await asyncio.gather(self._take(request.source_url), self._take(request.target_url))
        return matcher_pb2.MatchResponse(result=_RESULT)

    async def _take(self, url: str) -> None:
        medium = media_type_to_proto(MediaType(url.partition(":")[0]))
        async for _ in client.ask_stream(self._stub.Fetch, fetcher_pb2.FetchRequest(url=url, media_type=medium, takes_whole=True)):
            pass


class _NoWorkers:
    """They are always able: a service without any does not say that it serves."""

    sandbox = "none"
    is_able = True


def _build_fetcher(settings: MeshSettings) -> Service:
    servicer = FetcherServicer(cast("Fetcher", _Unfetched()))
    full_name = fetcher_pb2.DESCRIPTOR.services_by_name["FetcherService"].full_name
    return _service("fetcher", full_name, (), lambda server: fetcher_pb2_grpc.add_FetcherServiceServicer_to_server(servicer, server))


def _build_matcher(settings: MeshSettings) -> Service:
    servicer = _BareMatcher(settings)
    full_name = matcher_pb2.DESCRIPTOR.services_by_name["MatcherService"].full_name
    return _service(
        "matcher", full_name, (servicer,), lambda server: matcher_pb2_grpc.add_MatcherServiceServicer_to_server(servicer, server)
    )


def _service(
    name: str, full_name: str, resources: Sequence[AbstractAsyncContextManager[Any]], add_to_server: Callable[[grpc.aio.Server], None]
) -> Service:
    return Service(name, full_name, ADDRESSES[name], 0, add_to_server, resources, _NoWorkers())


if __name__ == "__main__":
    run(sys.argv[1], MeshSettings, {"fetcher": _build_fetcher, "matcher": _build_matcher}[sys.argv[1]])
