"""What a request may take shrinks at every hop, and a mesh whose services fail is not asked more than its callers ask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

import image_svc.server
import image_svc.settings
from mesh import call, client
from mesh.errors import FetchFailed, MeshError, NotAvailable
from mesh.server import Service, start_server
from mesh.settings import MeshSettings, make_runtime_dir
from protos import fetcher_pb2_grpc, matcher_pb2, matcher_pb2_grpc

REQUESTS = 300


class WatchedFetcher(fetcher_pb2_grpc.FetcherServiceServicer):
    """Fetches nothing, and keeps what it was given to do it in."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def Fetch(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        self.seconds.append(context.time_remaining())
        for error in (FetchFailed(),):
            raise error
        yield


@pytest.mark.parametrize("given", [5.0, None], ids=["five seconds", "none"])
async def test_each_hop_has_less_time_than_the_one_before(tmp_path: Path, given: float | None) -> None:
    settings = image_svc.settings.Settings(data_dir=str(tmp_path), workers=1)
    fetcher = WatchedFetcher()
    origin = Service(
        name="fetcher",
        full_name="mediamesh.v1.FetcherService",
        listen=settings.fetcher_address,
        metrics_port=0,
        add_to_server=lambda server: fetcher_pb2_grpc.add_FetcherServiceServicer_to_server(fetcher, server),
        resources=(),
    )
    service = image_svc.server.build(settings)
    fetching, _ = await start_server(settings, origin)
    for resource in service.resources:
        await resource.__aenter__()
    matching, _ = await start_server(settings, service)
    async with client.open_channel(settings, settings.address) as channel:
        match = matcher_pb2_grpc.MatcherServiceStub(channel).Match
        with pytest.raises(grpc.aio.AioRpcError):
            await match(matcher_pb2.MatchRequest(source_url="http://a/", target_url="http://b/"), timeout=given)
    for server in (matching, fetching):
        await server.stop(0)
    for resource in reversed(service.resources):
        await resource.__aexit__(None, None, None)
    assert fetcher.seconds
    assert all(0 < seconds < (given or call.DEFAULT_SECONDS) for seconds in fetcher.seconds)


async def test_service_that_always_fails_is_asked_hardly_more_often_than_its_callers_ask(tmp_path: Path) -> None:
    settings = MeshSettings(data_dir=str(tmp_path))
    attempts = 0

    async def fail(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        nonlocal attempts
        attempts += 1
        # As a connection that breaks, and not as our own servers say it, who forbid another try.
        await context.abort(grpc.StatusCode.UNAVAILABLE)
        return b""

    server = grpc.aio.server()
    handler = grpc.method_handlers_generic_handler("mediamesh.v1.MatcherService", {"Match": grpc.unary_unary_rpc_method_handler(fail)})
    server.add_generic_rpc_handlers((handler,))
    make_runtime_dir(settings)
    server.add_insecure_port(client.resolve_address(settings, "unix:failing.sock"))
    await server.start()
    async with client.open_channel(settings, "unix:failing.sock", is_retrying=True) as channel:
        stub = matcher_pb2_grpc.MatcherServiceStub(channel)

        async def ask() -> MeshError | None:
            try:
                await client.ask(stub.Match, matcher_pb2.MatchRequest())
            except MeshError as error:
                return error
            return None

        answers = [await ask() for _ in range(REQUESTS // 2)]
        answers += await asyncio.gather(*(ask() for _ in range(REQUESTS // 2)))
    await server.stop(0)
    assert all(isinstance(answer, NotAvailable) for answer in answers)
    assert REQUESTS <= attempts <= 1.1 * REQUESTS
