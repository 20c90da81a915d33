"""One real server, real stubs: what crosses the wire, and what never does."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from mesh import call, client
from mesh.errors import DeadlineExceeded, FetchFailed, Internal, InvalidRequest, MeshError, NotAvailable, Overloaded
from mesh.interceptors import from_rpc_error
from mesh.server import Service, start_server
from mesh.settings import InvalidSettings, MeshSettings, make_runtime_dir
from protos import fetcher_pb2, fetcher_pb2_grpc, matcher_pb2, matcher_pb2_grpc

Behaviour = Callable[[], Awaitable[None]]


class Scripted(matcher_pb2_grpc.MatcherServiceServicer):
    """Does in each call what the test says."""

    def __init__(self) -> None:
        self.behave: Behaviour = asyncio.Event().wait  # type: ignore[assignment]

    async def Match(self, request: Any, context: Any) -> matcher_pb2.MatchResponse:  # noqa: N802
        await self.behave()
        return matcher_pb2.MatchResponse()

    async def Compare(self, request_iterator: Any, context: Any) -> AsyncIterator[matcher_pb2.CompareResponse]:  # noqa: N802
        async for request in request_iterator:
            yield matcher_pb2.CompareResponse(id=request.candidate.id)
            await self.behave()


@pytest.fixture
def settings(tmp_path: Path) -> MeshSettings:
    return MeshSettings(data_dir=str(tmp_path))


def service(servicer: Scripted, listen: str = "unix:sample.sock") -> Service:
    return Service(
        name="sample",
        full_name="mediamesh.v1.MatcherService",
        listen=listen,
        metrics_port=0,
        add_to_server=lambda server: matcher_pb2_grpc.add_MatcherServiceServicer_to_server(servicer, server),
        resources=(),
    )


@pytest.fixture
def servicer() -> Scripted:
    return Scripted()


@pytest.fixture
async def channel(settings: MeshSettings, servicer: Scripted) -> AsyncIterator[grpc.aio.Channel]:
    server, _ = await start_server(settings, service(servicer))
    async with client.open_channel(settings, "unix:sample.sock") as opened:
        yield opened
    await server.stop(0)


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> Any:
    return matcher_pb2_grpc.MatcherServiceStub(channel)


async def _fail(problem: BaseException) -> None:
    raise problem


async def test_error_arrives_as_the_class_that_was_raised(stub: Any, servicer: Scripted) -> None:
    servicer.behave = lambda: _fail(FetchFailed("target_url could not be downloaded: status 404", field="target_url"))
    with pytest.raises(FetchFailed) as arrived:
        await client.ask(stub.Match, matcher_pb2.MatchRequest())
    assert arrived.value.message == "target_url could not be downloaded: status 404"
    assert arrived.value.details == {"field": "target_url"}


async def test_error_of_a_stream_arrives_after_what_was_answered(stub: Any, servicer: Scripted) -> None:
    servicer.behave = lambda: _fail(InvalidRequest("no more"))
    answered = []
    with pytest.raises(InvalidRequest, match="no more"):
        async for response in client.ask_stream(stub.Compare, _candidates("a", "b")):
            answered.append(response.id)
    assert answered == ["a"]


async def _candidates(*names: str) -> AsyncIterator[matcher_pb2.CompareRequest]:
    for name in names:
        yield matcher_pb2.CompareRequest(candidate=matcher_pb2.Candidate(id=name))


@pytest.mark.parametrize("method", ["Match", "Compare"])
async def test_message_of_no_such_type_is_refused_with_a_code(
    channel: grpc.aio.Channel, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    answers = channel.stream_stream(f"/mediamesh.v1.MatcherService/{method}")(iter([b"\xff canary"]))
    with pytest.raises(grpc.aio.AioRpcError) as arrived:
        await anext(aiter(answers))
    assert isinstance(from_rpc_error(arrived.value), InvalidRequest)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_uncaught_text_never_reaches_the_peer(stub: Any, servicer: Scripted) -> None:
    servicer.behave = lambda: _fail(ValueError("password=hunter2"))
    with pytest.raises(Internal) as arrived:
        await client.ask(stub.Match, matcher_pb2.MatchRequest())
    cause = arrived.value.__cause__
    assert isinstance(cause, grpc.aio.AioRpcError)
    assert "hunter2" not in f"{cause.details()}{cause.debug_error_string()}{cause.trailing_metadata()}{arrived.value}"


async def test_request_id_and_shrunken_deadline_reach_the_server(stub: Any, servicer: Scripted) -> None:
    seen: list[tuple[str, float]] = []

    async def note() -> None:
        seen.append((call.request_id(), call.remaining_seconds()))

    servicer.behave = note
    call.begin("abc-1", 5.0)
    here = call.remaining_seconds()
    await client.ask(stub.Match, matcher_pb2.MatchRequest())
    assert seen[0][0] == "abc-1"
    assert seen[0][1] < here


async def test_server_stops_the_work_at_the_deadline_and_says_so_itself(stub: Any, servicer: Scripted) -> None:
    begun = 0
    stopped = asyncio.Event()

    async def hang() -> None:
        nonlocal begun
        begun += 1
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async def says_so_itself() -> bool:
        """Its answer has a moment to arrive in, before the caller's own time is over."""
        before = begun
        stopped.clear()
        call.begin(None, 0.3)
        with pytest.raises(DeadlineExceeded) as arrived:
            await client.ask(stub.Match, matcher_pb2.MatchRequest())
        if begun == before:
            return False
        async with asyncio.timeout(30):
            await stopped.wait()
        cause = arrived.value.__cause__
        assert isinstance(cause, grpc.aio.AioRpcError)
        return any(key == "grpc-status-details-bin" for key, _ in cause.trailing_metadata())

    servicer.behave = hang
    assert any([await says_so_itself() for _ in range(5)])


async def test_work_stops_when_the_caller_goes_away(stub: Any, servicer: Scripted) -> None:
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    servicer.behave = hang
    caller = asyncio.create_task(client.ask(stub.Match, matcher_pb2.MatchRequest()))
    await begun.wait()
    caller.cancel()
    async with asyncio.timeout(30):
        await stopped.wait()


async def test_service_that_is_not_there_is_not_available(settings: MeshSettings) -> None:
    async with client.open_channel(settings, "unix:nobody.sock") as channel:
        with pytest.raises(NotAvailable):
            await client.ask(matcher_pb2_grpc.MatcherServiceStub(channel).Match, matcher_pb2.MatchRequest())


@pytest.mark.parametrize("error", [FetchFailed(), Internal(), NotAvailable(), Overloaded()], ids=lambda error: error.code)
async def test_what_a_server_answered_is_not_asked_again(settings: MeshSettings, servicer: Scripted, error: MeshError) -> None:
    tries = 0

    async def fail() -> None:
        nonlocal tries
        tries += 1
        raise error

    servicer.behave = fail
    server, _ = await start_server(settings, service(servicer))
    async with client.open_channel(settings, "unix:sample.sock", is_retrying=True) as channel:
        with pytest.raises(type(error)):
            await client.ask(matcher_pb2_grpc.MatcherServiceStub(channel).Match, matcher_pb2.MatchRequest())
    assert tries == 1
    await server.stop(0)


async def test_health_and_reflection_answer(channel: grpc.aio.Channel) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    for component in ("", "mediamesh.v1.MatcherService"):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=component))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    reflection = reflection_pb2_grpc.ServerReflectionStub(channel)

    async def questions() -> AsyncIterator[Any]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")

    async for answer in reflection.ServerReflectionInfo(questions()):
        names = {listed.name for listed in answer.list_services_response.service}
        assert names == {"mediamesh.v1.MatcherService", "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
        break


async def test_call_under_way_is_finished_before_the_server_stops(settings: MeshSettings, servicer: Scripted) -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        begun.set()
        await release.wait()

    servicer.behave = wait
    server, _ = await start_server(settings, service(servicer))
    async with client.open_channel(settings, "unix:sample.sock") as channel:
        under_way = asyncio.create_task(client.ask(matcher_pb2_grpc.MatcherServiceStub(channel).Match, matcher_pb2.MatchRequest()))
        await begun.wait()
        stopping = asyncio.create_task(server.stop(10))
        release.set()
        await under_way
        await stopping


async def test_health_answers_when_no_further_call_is_taken(
    settings: MeshSettings, servicer: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh.server.MAX_CALLS", 1)
    begun = asyncio.Event()

    async def hang() -> None:
        begun.set()
        await asyncio.Event().wait()

    servicer.behave = hang
    server, _ = await start_server(settings, service(servicer))
    async with client.open_channel(settings, "unix:sample.sock") as channel:
        stub = matcher_pb2_grpc.MatcherServiceStub(channel)
        held = asyncio.create_task(client.ask(stub.Match, matcher_pb2.MatchRequest()))
        await begun.wait()
        with pytest.raises(Overloaded):
            await client.ask(stub.Match, matcher_pb2.MatchRequest())
        await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        held.cancel()
    await server.stop(0)


class Endless(fetcher_pb2_grpc.FetcherServiceServicer):
    async def Fetch(self, request: Any, context: Any) -> AsyncIterator[fetcher_pb2.FetchResponse]:  # noqa: N802
        while True:
            yield fetcher_pb2.FetchResponse(chunk=bytes(1 << 20))


@pytest.fixture
async def endless(settings: MeshSettings, servicer: Scripted) -> AsyncIterator[Any]:
    streaming = replace(
        service(servicer), add_to_server=lambda server: fetcher_pb2_grpc.add_FetcherServiceServicer_to_server(Endless(), server)
    )
    server, _ = await start_server(settings, streaming)
    async with client.open_channel(settings, "unix:sample.sock") as channel:
        yield fetcher_pb2_grpc.FetcherServiceStub(channel)
    await server.stop(0)


async def test_reader_that_stalls_is_told_at_the_deadline(endless: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mesh.call.DEFAULT_SECONDS", 0.5)
    stream = endless.Fetch(fetcher_pb2.FetchRequest())
    await stream.read()
    await asyncio.sleep(1)
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        async with asyncio.timeout(30):
            while await stream.read() is not grpc.aio.EOF:
                pass
    assert ended.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_reader_that_leaves_in_the_middle_is_no_failure_of_ours(endless: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    stream = endless.Fetch(fetcher_pb2.FetchRequest())
    await stream.read()
    stream.cancel()
    async with asyncio.timeout(30):
        while not any(record.message == "Fetch" for record in caplog.records):
            await asyncio.sleep(0.01)
    assert [record.message for record in caplog.records if record.levelno > logging.INFO] == []
    assert next(record for record in caplog.records if record.message == "Fetch").__dict__["code"] == "cancelled"


async def test_second_process_does_not_take_the_socket_of_a_running_one(settings: MeshSettings, channel: grpc.aio.Channel) -> None:
    with pytest.raises(InvalidSettings, match="already served"):
        await start_server(settings, service(Scripted()))
    await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())


async def test_socket_that_a_killed_process_left_is_taken_over(settings: MeshSettings, servicer: Scripted) -> None:
    folder = make_runtime_dir(settings)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(folder / "sample.sock"))
    server, _ = await start_server(settings, service(servicer))
    async with client.open_channel(settings, "unix:sample.sock") as channel:
        await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    await server.stop(0)


async def test_port_that_is_taken_is_named(settings: MeshSettings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(InvalidSettings, match=address):
            await start_server(settings, service(Scripted(), listen=address))


async def test_socket_is_open_to_this_user_alone(settings: MeshSettings, channel: grpc.aio.Channel) -> None:
    path = settings.runtime_dir / "sample.sock"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


async def test_port_open_to_the_network_needs_tls_or_a_word_that_something_else_guards_it(
    settings: MeshSettings, servicer: Scripted
) -> None:
    with pytest.raises(InvalidSettings, match="MESH_PLAINTEXT"):
        await start_server(settings, service(servicer, listen="0.0.0.0:0"))
