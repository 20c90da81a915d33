"""A collector of traces on a unix socket, which keeps what it is sent."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

PATIENCE_SECONDS = 30.0


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Enter it to have it serve."""

    def __init__(self, folder: Path) -> None:
        self.endpoint = f"unix:{folder / 'traces.sock'}"
        self.received: list[Any] = []

    def __enter__(self) -> Self:
        self._server = grpc.server(ThreadPoolExecutor(4))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self, self._server)
        self._server.add_insecure_port(self.endpoint)
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None)

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.received.append(request)
        return trace_service_pb2.ExportTraceServiceResponse()

    @property
    def content(self) -> bytes:
        """All of it, as it came."""
        return b"".join(request.SerializeToString() for request in self.received)

    def spans(self, trace_id: str) -> list[tuple[str, Any]]:
        """Of one trace, each with the service that it is of."""
        return [
            (_service(resource), span)
            for request in list(self.received)
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
            if span.trace_id.hex() == trace_id
        ]

    def until(self, is_there: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not is_there():
            assert time.monotonic() < deadline
            time.sleep(0.02)


def _service(resource: Any) -> str:
    return next(str(one.value.string_value) for one in resource.resource.attributes if one.key == "service.name")
