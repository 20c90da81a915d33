"""What happens to every call that a server takes: request id and deadline in, coded errors out, one log line, metrics.

An exception that is none of ours never reaches the peer with its text.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Any, Final

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from prometheus_client import Counter, Gauge, Histogram

from mesh import call, traces
from mesh.certificates import names_of_peer
from mesh.errors import DOMAIN, DeadlineExceeded, Forbidden, Internal, InvalidRequest, MeshError, Overloaded, from_code

_log = logging.getLogger(__name__)

SECONDS_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

CALLS = Counter("mediamesh_calls_total", "Calls answered.", ["method", "code"])
SECONDS = Histogram(
    "mediamesh_call_seconds",
    "Time to answer a call.",
    ["method"],
    buckets=SECONDS_BUCKETS,
)
UNDER_WAY = Gauge("mediamesh_calls_under_way", "Calls being worked on.", ["method"])

# What this server answered is its answer: only a call that never reached it is worth another try.
_DO_NOT_RETRY: Final = ("grpc-retry-pushback-ms", "-1")

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


_UNREADABLE: Final = object()
"""In the place of a message that could not be parsed, until somebody listens who can say so."""


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps each of the mesh's own methods, `max_calls` at once; health and reflection pass through, so they answer under any load.

    Where `callers` are named, only holders of a certificate with one of these names are answered.
    """

    def __init__(self, max_calls: int, callers: frozenset[str] = frozenset()) -> None:
        self._max_calls = max_calls
        self._callers = callers
        self._under_way = 0

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
        wrap = self._answer_many if handler.response_streaming else self._answer_once
        make = getattr(grpc, f"{name}_rpc_method_handler")
        checked = _checked_many if handler.request_streaming else _checked
        wrapped = wrap(method.rsplit("/", 1)[-1], lambda request, context: getattr(handler, name)(checked(request), context))
        return make(wrapped, partial(_read, handler.request_deserializer), handler.response_serializer)

    def _answer_once(self, method: str, behaviour: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
        async def answer(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            async with self._watch(method, context):
                return await behaviour(request, context)

        return answer

    def _answer_many(self, method: str, behaviour: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
        async def answer(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
            # Written here and not yielded: a reader that stalls must not keep the watch from ending the call.
            async with self._watch(method, context), aclosing(behaviour(request, context)) as responses:
                async for response in responses:
                    await context.write(response)

        return answer

    @asynccontextmanager
    async def _watch(self, method: str, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[None]:
        """One call from its begin to its end, however it ends."""
        metadata = dict(context.invocation_metadata() or ())
        started = time.perf_counter()
        self._under_way += 1
        UNDER_WAY.labels(method).inc()
        code, error = "cancelled", None
        with traces.serving(method, metadata) as span:
            try:
                async with _coded_errors(context, metadata.get(call.REQUEST_ID_HEADER)):
                    if self._callers and not self._callers & names_of_peer(context):
                        raise Forbidden("this service does not take calls from there")
                    if self._under_way > self._max_calls:
                        raise Overloaded()
                    yield
                code = "ok"
            except MeshError as problem:
                code, error = problem.code, problem
            finally:
                self._under_way -= 1
                seconds = time.perf_counter() - started
                UNDER_WAY.labels(method).dec()
                CALLS.labels(method, code).inc()
                SECONDS.labels(method).observe(seconds)
                traces.end(span, code)
                _log.info(method, extra={"code": code, "milliseconds": round(seconds * 1000, 1)})
        if error is not None:
            status = rpc_status.to_status(to_status(error))
            await context.abort(status.code, status.details, (*status.trailing_metadata, _DO_NOT_RETRY))


def _read(deserialize: Callable[[bytes], Any], content: bytes) -> Any:
    """gRPC itself would answer what is no such message with an error that has no code, and log all of its text."""
    try:
        return deserialize(content)
    except DecodeError:
        return _UNREADABLE


def _checked(request: Any) -> Any:
    if request is _UNREADABLE:
        raise InvalidRequest("this is no message of the type that this call takes")
    return request


async def _checked_many(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        yield _checked(request)


@asynccontextmanager
async def _coded_errors(context: grpc.aio.ServicerContext[Any, Any], identity: str | bytes | None) -> AsyncIterator[None]:
    """The caller's id and deadline in; only MeshErrors and cancellation out."""
    call.begin(identity if isinstance(identity, str) else None, context.time_remaining())
    try:
        async with asyncio.timeout(call.remaining_seconds()) as timer:
            yield
    except TimeoutError as problem:
        if timer.expired():
            raise DeadlineExceeded() from problem
        _log.exception("uncaught")
        raise Internal() from problem
    except MeshError:
        raise
    except Exception as problem:
        _log.exception("uncaught")
        raise Internal() from problem
