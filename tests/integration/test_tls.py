"""Between machines the services speak mutual TLS: who has no certificate of the mesh gets no answer."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import msgspec
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mesh import client
from mesh.certificates import CertificateFiles, names_of_peer
from mesh.errors import Forbidden, NotAvailable
from mesh.server import ALIVE, start_health_server, start_server
from mesh.settings import InvalidSettings, MeshSettings, read_settings
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


class Witness(Scripted):
    """Knows by which names it was called; a call waits until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = asyncio.Event()
        self.behave = self.let_go.wait  # type: ignore[assignment]
        self.callers: list[set[str]] = []

    async def Match(self, request: matcher_pb2.MatchRequest, context: grpc.aio.ServicerContext) -> matcher_pb2.MatchResponse:  # noqa: N802
        self.callers.append(names_of_peer(context))
        return await super().Match(request, context)

    async def has(self, count: int, calls: Sequence[asyncio.Task[Any]]) -> None:
        """Wait until so many have come; a call that has ended by then has failed, and says so."""
        while len(self.callers) < count:
            for call in calls:
                if call.done():
                    call.result()
            await asyncio.sleep(0.01)


def replace(path: Path, content: bytes) -> None:
    """By a new file in the place of the old one, as they are replaced where they are mounted."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(content)
    fresh.replace(path)


async def shown_by(address: str, settings: MeshSettings) -> bytes:
    """The certificate that a server shows to who connects now."""
    trusting = ssl.create_default_context(cafile=settings.mesh_tls_ca)
    trusting.load_cert_chain(settings.mesh_tls_cert, settings.mesh_tls_key)
    trusting.set_alpn_protocols(["h2"])
    _, writer = await asyncio.open_connection("127.0.0.1", int(address.rsplit(":", 1)[1]), ssl=trusting)
    shown: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return shown


async def test_renewed_certificates_are_used_from_then_on_and_no_call_is_lost(settings: MeshSettings, tmp_path: Path) -> None:
    authority, address, servicer = Authority(tmp_path), f"127.0.0.1:{free_port()}", Witness()
    certificate, key = authority.issue("server")
    served = msgspec.structs.replace(settings, mesh_tls_cert=certificate, mesh_tls_key=key, mesh_tls_ca=authority.file)
    certificate, key = authority.issue("caller")
    calling = msgspec.structs.replace(served, mesh_tls_cert=certificate, mesh_tls_key=key)
    server, _ = await start_server(served, service(servicer, listen=address))
    async with client.open_channel(calling, address) as channel:
        match = matcher_pb2_grpc.MatcherServiceStub(channel).Match
        under_way = asyncio.create_task(client.ask(match, matcher_pb2.MatchRequest()))
        await servicer.has(1, [under_way])
        first = await shown_by(address, calling)
        for name, file in (("server", "server"), ("caller-renewed", "caller")):
            for path, text in zip((f"{file}.pem", f"{file}-key.pem"), map(Path.read_bytes, map(Path, authority.issue(name))), strict=True):
                replace(tmp_path / path, text)
        later = [asyncio.create_task(client.ask(match, matcher_pb2.MatchRequest())) for _ in range(20)]
        await servicer.has(21, [under_way, *later])
        assert await shown_by(address, calling) != first
        servicer.let_go.set()
        await asyncio.gather(under_way, *later)
    assert "caller-renewed" not in servicer.callers[0]
    assert all("caller-renewed" in names for names in servicer.callers[1:])
    await server.stop(0)


def test_certificates_that_are_halfway_replaced_wait_until_they_are_whole(settings: MeshSettings, tmp_path: Path) -> None:
    files = CertificateFiles(settings)
    held = files.current
    certificate, key = (Path(path).read_bytes() for path in Authority(tmp_path, "next").issue("next"))
    replace(Path(settings.mesh_tls_cert), certificate)
    assert files.current == held
    Path(settings.mesh_tls_key).unlink()
    assert files.current == held
    Path(settings.mesh_tls_key).write_bytes(key)
    assert (files.current.chain, files.current.key) == (certificate, key)


async def test_service_that_names_its_callers_answers_no_other_holder_of_a_certificate(settings: MeshSettings, tmp_path: Path) -> None:
    authority, address, servicer = Authority(tmp_path), f"127.0.0.1:{free_port()}", Scripted()
    servicer.behave = _answer
    certificate, key = authority.issue("fetcher")
    choosy = msgspec.structs.replace(
        settings, mesh_tls_cert=certificate, mesh_tls_key=key, mesh_tls_ca=authority.file, mesh_callers=("image", "index")
    )
    server, _ = await start_server(choosy, service(servicer, listen=address))
    for name in ("image", "gateway"):
        certificate, key = authority.issue(name)
        calling = msgspec.structs.replace(choosy, mesh_tls_cert=certificate, mesh_tls_key=key)
        async with client.open_channel(calling, address) as channel:
            asked = client.ask(matcher_pb2_grpc.MatcherServiceStub(channel).Match, matcher_pb2.MatchRequest())
            if name == "image":
                await asked
            else:
                with pytest.raises(Forbidden):
                    await asked
    await server.stop(0)


def test_names_of_callers_without_certificates_are_a_wrong_setting() -> None:
    with pytest.raises(InvalidSettings, match="MESH_CALLERS"):
        read_settings(MeshSettings, {"MESH_CALLERS": "gateway"})
