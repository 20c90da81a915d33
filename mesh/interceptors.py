"""What happens to every call that a server takes: request id and deadline in, coded errors out, one log line, metrics.

An exception that is none of ours never reaches the peer with its text.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from prometheus_client import Counter, Gauge, Histogram

from mesh import call
from mesh.errors import DOMAIN, DeadlineExceeded, Internal, MeshError, from_code

_log = logging.getLogger(__name__)

CALLS = Counter("mediamesh_calls_total", "Calls answered.", ["method", "code"])
SECONDS = Histogram(
    "mediamesh_call_seconds",
    "Time to answer a call.",
    ["method"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
UNDER_WAY = Gauge("mediamesh_calls_under_way", "Calls being worked on.", ["method"])

# Statuses that gRPC makes itself carry no code of ours.
_BARE: dict[grpc.StatusCode, str] = {
    grpc.StatusCode.UNAVAILABLE: "not_available",
    grpc.StatusCode.DEADLINE_EXCEEDED: "deadline_exceeded",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "overloaded",
    grpc.StatusCode.INVALID_ARGUMENT: "invalid_request",
}


def to_status(error: MeshError) -> status_pb2.Status:
    """The error as it crosses the wire."""
    info = error_details_pb2.ErrorInfo(reason=error.code, domain=DOMAIN, metadata=error.details)
    detail = any_pb2.Any()
    detail.Pack(info)
    return status_pb2.Status(code=code_pb2.Code.Value(error.grpc_status), message=error.message, details=[detail])


def from_rpc_error(problem: grpc.aio.AioRpcError) -> MeshError:
    """The error that a peer sent, or the nearest of ours where gRPC itself made it."""
    for key, value in problem.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status = status_pb2.Status.FromString(value if isinstance(value, bytes) else value.encode())
            info = error_details_pb2.ErrorInfo()
            for detail in status.details:
                if detail.Unpack(info) and info.domain == DOMAIN:
                    return from_code(info.reason, status.message, dict(info.metadata))
    code = _BARE.get(problem.code())
    return from_code(code, "") if code else Internal()


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps each of the mesh's own methods; health and reflection pass through."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any]]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any]:
        handler = await continuation(handler_call_details)
        method = handler_call_details.method or ""
        if handler is None or not method.startswith("/mediamesh."):
            return handler
        name = f"{'stream' if handler.request_streaming else 'unary'}_{'stream' if handler.response_streaming else 'unary'}"
        behaviour = getattr(handler, name)
        short = method.rsplit("/", 1)[-1]
        wrapped: object = _answer_many(short, behaviour) if handler.response_streaming else _answer_once(short, behaviour)
        make = getattr(grpc, f"{name}_rpc_method_handler")
        return make(wrapped, handler.request_deserializer, handler.response_serializer)


def _answer_once(method: str, behaviour: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def answer(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        async with _Watched(method, context):
            return await behaviour(request, context)

    return answer


def _answer_many(method: str, behaviour: Callable[..., AsyncGenerator[Any, None]]) -> Callable[..., AsyncIterator[Any]]:
    async def answer(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
        async with _Watched(method, context), aclosing(behaviour(request, context)) as responses:
            async for response in responses:
                yield response

    return answer


class _Watched:
    """One call from its begin to its end, however it ends."""

    def __init__(self, method: str, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        self._method = method
        self._context = context
        self._timeout = asyncio.timeout(None)

    async def __aenter__(self) -> None:
        self._started = time.perf_counter()
        UNDER_WAY.labels(self._method).inc()
        await self._timeout.__aenter__()
        metadata = dict(self._context.invocation_metadata() or ())
        identity = metadata.get(call.REQUEST_ID_HEADER)
        try:
            call.begin(identity if isinstance(identity, str) else None, self._context.time_remaining())
        except MeshError as error:
            await self._end(error)
        self._timeout.reschedule(asyncio.get_running_loop().time() + call.remaining_seconds())

    async def __aexit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: Any) -> None:
        try:
            await self._timeout.__aexit__(kind, problem, trace)
        except TimeoutError:
            problem = DeadlineExceeded()
        await self._end(problem)

    async def _end(self, problem: BaseException | None) -> None:
        error = problem
        if isinstance(problem, Exception) and not isinstance(problem, MeshError):
            _log.error("uncaught in %s", self._method, exc_info=problem)
            error = Internal()
        code = error.code if isinstance(error, MeshError) else "ok" if error is None else "cancelled"
        seconds = time.perf_counter() - self._started
        UNDER_WAY.labels(self._method).dec()
        CALLS.labels(self._method, code).inc()
        SECONDS.labels(self._method).observe(seconds)
        _log.info(self._method, extra={"code": code, "milliseconds": round(seconds * 1000, 1)})
        if isinstance(error, MeshError):
            await self._context.abort_with_status(rpc_status.to_status(to_status(error)))
