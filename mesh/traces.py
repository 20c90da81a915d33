"""Traces by OpenTelemetry, off unless an endpoint is set; a caller's trace id goes through every hop all the same, never to origins.

A span holds names, codes and numbers: no URL, no query, no key, no text of an exception, and no state of a caller's own (tracestate).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from mesh.errors import BY_CODE

HEADER: Final = "traceparent"

_EXPORT_SECONDS: Final = 3
_PROPAGATOR: Final = TraceContextTextMapPropagator()
_TRACER: Final = trace.get_tracer("mediamesh")


def set_up(service: str, endpoint: str) -> None:
    """Spans of this process go to the endpoint (OTLP over gRPC), in the background; what it does not take is dropped."""
    if not endpoint:
        return
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415

    from mesh.span_sender import SpanSender  # noqa: PLC0415

    # It may be away for long: that is worth a line now and then, and no trace of a failure.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    exporter = OTLPSpanExporter(
        endpoint,
        insecure=not endpoint.startswith("https:"),
        timeout=_EXPORT_SECONDS,
        channel_options=(("grpc.enable_http_proxy", 0),),  # type: ignore[arg-type]
    )
    provider = TracerProvider(resource=Resource.create({"service.namespace": "mediamesh", "service.name": f"mediamesh-{service}"}))
    provider.add_span_processor(SpanSender(exporter))
    trace.set_tracer_provider(provider)


@contextmanager
def serving(name: str, headers: Mapping[str, str | bytes]) -> Iterator[Span]:
    """What a caller asked for, as a part of their trace where they said which."""
    parent = headers.get(HEADER)
    context = _PROPAGATOR.extract({HEADER: parent} if isinstance(parent, str) else {})
    with _TRACER.start_as_current_span(
        name, context=context, kind=SpanKind.SERVER, record_exception=False, set_status_on_exception=False
    ) as span:
        yield span


@contextmanager
def working(name: str, **attributes: str) -> Iterator[Span]:
    """A step of it, within this process or in one of its workers."""
    with _TRACER.start_as_current_span(name, attributes=attributes, record_exception=False, set_status_on_exception=False) as span:
        yield span


def end(span: Span, code: str) -> None:
    """By its code; what is the caller's own fault is no error of the span."""
    span.set_attribute("mediamesh.code", code)
    if code in BY_CODE and BY_CODE[code].http_status >= 500:
        span.set_attribute("error.type", code)
        span.set_status(Status(StatusCode.ERROR))


def outgoing() -> tuple[tuple[str, str], ...]:
    """What another service of the mesh is told of the trace."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return ((HEADER, carrier[HEADER]),) if HEADER in carrier else ()


def trace_id() -> str:
    """Of what this task works for; empty where it belongs to none."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else ""
