"""Calls to another service: a channel to all its addresses, the caller's id and remaining time, errors back as ours.

Only the first caller in the mesh retries, only what never reached a server's answer: more layers of retries multiply.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, Final

import grpc
from grpc._cython import cygrpc

from mesh import call, traces
from mesh.certificates import RenewingChannel
from mesh.errors import DeadlineExceeded
from mesh.interceptors import from_rpc_error
from mesh.settings import MeshSettings

MAX_MESSAGE_BYTES: Final = 4 * 1024 * 1024

_CONNECT_MS: Final = 3000
_RETRY: Final = {
    "maxAttempts": 2,
    "initialBackoff": "0.1s",
    "maxBackoff": "1s",
    "backoffMultiplier": 3,
    "retryableStatusCodes": ["UNAVAILABLE"],
}


def open_channel(settings: MeshSettings, address: str, *, is_retrying: bool = False) -> grpc.aio.Channel:
    """A channel to all addresses of a gRPC target, which take turns; `unix:name.sock` means a socket in the runtime folder."""
    method: dict[str, Any] = {"name": [{}]}
    if is_retrying:
        method["retryPolicy"] = _RETRY
    config = {
        "loadBalancingConfig": [{"round_robin": {}}],
        # A replica that says it is leaving, or that it has nobody to do the work, gets nothing more.
        "healthCheckConfig": {"serviceName": ""},
        "methodConfig": [method],
        "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
    }
    options: list[tuple[str, Any]] = [
        ("grpc.service_config", json.dumps(config)),
        ("grpc.enable_http_proxy", 0),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        # A service that was restarted is found again at once.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.dns_min_time_between_resolutions_ms", 2000),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    target = resolve_address(settings, address)
    # This is how long a connection may take to come about: from one busy machine to another more than to a socket's file.
    is_socket = target.startswith("unix:")
    options.append(("grpc.min_reconnect_backoff_ms", 100 if is_socket else _CONNECT_MS))
    # Asking for a socket that is not there yet costs next to nothing.
    options.append(("grpc.max_reconnect_backoff_ms", 200 if is_socket else 1000))
    if is_socket or not settings.mesh_tls_cert:
        return grpc.aio.insecure_channel(target, options=options)
    return RenewingChannel(settings, target, options)


def resolve_address(settings: MeshSettings, address: str) -> str:
    """The address with bare names of sockets, one or several (`unix:one.sock,two.sock`), placed in the runtime folder."""
    paths = address.removeprefix("unix:")
    if paths == address:
        return address
    return "unix:" + ",".join(path if path.startswith("/") else str(settings.runtime_dir / path) for path in paths.split(","))


async def ask(method: Any, request: Any) -> Any:
    """One request (or an iterator of them), one response."""
    with _mesh_errors():
        return await method(request, timeout=_time_left(), metadata=_metadata())


async def ask_with(method: Any, requests: AsyncGenerator[Any, None]) -> Any:
    """Requests that come only as fast as somebody sends them, one response; read no further once the peer has answered."""
    with _mesh_errors():
        stream = method(timeout=_time_left(), metadata=_metadata())
        answered = asyncio.get_running_loop().create_future()
        stream.add_done_callback(lambda _: _settle(answered))
        try:
            await _write_all(stream, requests, answered)
            return await stream
        finally:
            stream.cancel()
            await requests.aclose()


async def ask_stream(method: Any, request: Any) -> AsyncGenerator[Any, None]:
    """One request (or an iterator of them), many responses; the call is cancelled when the reader goes away."""
    with _mesh_errors():
        stream = method(request, timeout=_time_left(), metadata=_metadata())
        try:
            async for response in stream:
                yield response
        finally:
            stream.cancel()


def _settle(answered: asyncio.Future[None]) -> None:
    if not answered.done():
        answered.set_result(None)


async def _write_all(stream: Any, requests: AsyncIterator[Any], answered: asyncio.Future[None]) -> None:
    while True:
        coming: asyncio.Future[Any] = asyncio.ensure_future(anext(requests, None))
        try:
            await asyncio.wait((coming, answered), return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not coming.done():
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)
        if coming.cancelled() or answered.done():
            return
        request = coming.result()
        try:
            if request is None:
                await stream.done_writing()
                return
            await _write(stream, request, answered)
        except (asyncio.InvalidStateError, grpc.aio.AioRpcError, cygrpc.InternalError):
            return


async def _write(stream: Any, request: Any, answered: asyncio.Future[None]) -> None:
    """As the stream's own write, which puts an INTERNAL of its own in the place of the peer's answer that is just coming in."""
    sent = asyncio.ensure_future(stream._metadata_sent.wait())
    try:
        await asyncio.wait((sent, answered), return_when=asyncio.FIRST_COMPLETED)
    finally:
        sent.cancel()
    if not answered.done():
        await stream._cython_call.send_serialized_message(request.SerializeToString())


def _time_left() -> float:
    seconds = call.remaining_seconds()
    if seconds <= 0:
        raise DeadlineExceeded()
    return seconds


def _metadata() -> tuple[tuple[str, str], ...]:
    identity = ((call.REQUEST_ID_HEADER, call.request_id()),) if call.request_id() else ()
    return (*identity, *traces.outgoing())


@contextmanager
def _mesh_errors() -> Iterator[None]:
    try:
        yield
    except grpc.aio.AioRpcError as problem:
        raise from_rpc_error(problem) from problem
