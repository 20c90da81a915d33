"""Between machines the services speak mutual TLS: who has no certificate of the mesh gets no answer."""

from __future__ import annotations

from pathlib import Path

import grpc
import msgspec
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mesh import client
from mesh.errors import NotAvailable
from mesh.server import ALIVE, start_health_server, start_server
from mesh.settings import MeshSettings
from protos import matcher_pb2, matcher_pb2_grpc
from tests.certificates import Authority
from tests.integration.test_server import Scripted, service
from tests.running_mesh import free_port


@pytest.fixture
def settings(tmp_path: Path) -> MeshSettings:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("image")
    return MeshSettings(data_dir=str(tmp_path), mesh_tls_cert=certificate, mesh_tls_key=key, mesh_tls_ca=authority.file)


async def _answer() -> None:
    return None


async def test_only_holders_of_a_certificate_of_the_mesh_are_answered(settings: MeshSettings, tmp_path: Path) -> None:
    servicer, address = Scripted(), f"127.0.0.1:{free_port()}"
    servicer.behave = _answer
    stranger = Authority(tmp_path, "stranger")
    certificate, key = stranger.issue("stranger")
    own_certificate = msgspec.structs.replace(settings, mesh_tls_cert=certificate, mesh_tls_key=key)
    no_tls = msgspec.structs.replace(settings, mesh_tls_cert="", mesh_tls_key="", mesh_tls_ca="")
    server, _ = await start_server(settings, service(servicer, listen=address))
    request = matcher_pb2.MatchRequest()
    async with client.open_channel(settings, address) as channel:
        await client.ask(matcher_pb2_grpc.MatcherServiceStub(channel).Match, request)
    for outsider in (own_certificate, no_tls):
        async with client.open_channel(outsider, address) as channel:
            with pytest.raises(NotAvailable):
                await client.ask(matcher_pb2_grpc.MatcherServiceStub(channel).Match, request)
    trusting = grpc.ssl_channel_credentials(root_certificates=Path(settings.mesh_tls_ca).read_bytes())
    async with grpc.aio.secure_channel(address, trusting) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await matcher_pb2_grpc.MatcherServiceStub(channel).Match(request, timeout=5)
    await server.stop(0)


async def test_health_is_answered_to_probes_without_a_certificate_and_nothing_else_is(settings: MeshSettings) -> None:
    settings = msgspec.structs.replace(settings, health_listen=f"127.0.0.1:{free_port()}")
    server, health = await start_server(settings, service(Scripted(), listen=f"127.0.0.1:{free_port()}"))
    probed = await start_health_server(settings, health)
    async with grpc.aio.insecure_channel(settings.health_listen) as channel:
        for component in ("", ALIVE):
            answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=component), timeout=5)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await matcher_pb2_grpc.MatcherServiceStub(channel).Match(matcher_pb2.MatchRequest(), timeout=5)
        assert refusal.value.code() is grpc.StatusCode.UNIMPLEMENTED
        await health.enter_graceful_shutdown()
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
        assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
    await probed.stop(0)
    await server.stop(0)


async def test_caller_refuses_a_server_that_the_mesh_did_not_certify(settings: MeshSettings, tmp_path: Path) -> None:
    address, stranger = f"127.0.0.1:{free_port()}", Authority(tmp_path, "stranger")
    certificate, key = stranger.issue("impostor")
    impostor = MeshSettings(data_dir=settings.data_dir, mesh_tls_cert=certificate, mesh_tls_key=key, mesh_tls_ca=settings.mesh_tls_ca)
    server, _ = await start_server(impostor, service(Scripted(), listen=address))
    async with client.open_channel(settings, address) as channel:
        with pytest.raises(NotAvailable):
            await client.ask(matcher_pb2_grpc.MatcherServiceStub(channel).Match, matcher_pb2.MatchRequest())
    await server.stop(0)
