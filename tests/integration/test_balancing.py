"""Clients find the replicas that a name stands for, use them in turns, and leave those that say they are leaving."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mesh import client
from mesh.server import start_server
from mesh.settings import MeshSettings
from protos import matcher_pb2, matcher_pb2_grpc
from tests.integration.test_server import Scripted, service
from tests.name_server import NameServer
from tests.replicas import free_ports


class Replica(Scripted):
    """Counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    async def Match(self, request: Any, context: Any) -> matcher_pb2.MatchResponse:  # noqa: N802
        self.calls += 1
        return matcher_pb2.MatchResponse()


@pytest.fixture
def settings(tmp_path: Path) -> MeshSettings:
    return MeshSettings(data_dir=str(tmp_path), mesh_plaintext=True, connection_age_seconds=1)


async def ask_until(stub: Any, replica: Replica, calls: int) -> None:
    """Asks on and on until this one has had so many more calls."""
    wanted = replica.calls + calls
    async with asyncio.timeout(30):
        while replica.calls < wanted:
            await client.ask(stub.Match, matcher_pb2.MatchRequest())
            await asyncio.sleep(0.01)


@pytest.fixture
async def pair(settings: MeshSettings) -> AsyncIterator[tuple[Replica, Replica, Any]]:
    """Two on sockets, the second one's health, and a client of both."""
    first, second = Replica(), Replica()
    servers = [await start_server(settings, service(one, f"unix:{name}.sock")) for one, name in ((first, "one"), (second, "two"))]
    async with client.open_channel(settings, "unix:one.sock,two.sock") as channel:
        stub = matcher_pb2_grpc.MatcherServiceStub(channel)
        await ask_until(stub, first, 1)
        await ask_until(stub, second, 1)
        yield first, second, (stub, servers)
    for server, _ in servers:
        await server.stop(0)


async def test_calls_go_to_all_sockets_of_an_address_in_turns(pair: Any) -> None:
    first, second, (stub, _) = pair
    before = first.calls, second.calls
    for _ in range(40):
        await client.ask(stub.Match, matcher_pb2.MatchRequest())
    assert 16 <= first.calls - before[0] <= 24
    assert 16 <= second.calls - before[1] <= 24


async def test_replica_that_says_it_is_leaving_gets_no_more_calls_and_need_not_wait_for_its_clients(pair: Any) -> None:
    first, second, (stub, servers) = pair
    leaving, health = servers[1]
    await health.enter_graceful_shutdown()
    async with asyncio.timeout(30):
        quiet = 0
        while quiet < 20:
            before = second.calls
            await client.ask(stub.Match, matcher_pb2.MatchRequest())
            quiet = quiet + 1 if second.calls == before else 0
    before = second.calls
    await ask_until(stub, first, 20)
    assert second.calls == before
    async with asyncio.timeout(30):
        await leaving.stop(60)


async def test_new_address_of_a_name_gets_work_although_the_old_one_stays(settings: MeshSettings) -> None:
    first, second, port = Replica(), Replica(), free_ports(1)
    async with NameServer({"image.mesh.example.org": ("127.0.0.1",)}) as names:
        old, _ = await start_server(settings, service(first, f"127.0.0.1:{port}"))
        async with client.open_channel(settings, f"dns://{names.address}/image.mesh.example.org:{port}") as channel:
            stub = matcher_pb2_grpc.MatcherServiceStub(channel)
            await ask_until(stub, first, 1)
            new, _ = await start_server(settings, service(second, f"127.0.0.2:{port}"))
            names.records = {"image.mesh.example.org": ("127.0.0.1", "127.0.0.2")}
            await ask_until(stub, second, 3)
            await ask_until(stub, first, 3)
        for server in (old, new):
            await server.stop(0)
