"""What happens to every HTTP request: an id, the time it may take, coded errors, headers, one log line, metrics."""

from __future__ import annotations

import logging
import time
from typing import Final

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from opentelemetry.trace import Span
from prometheus_client import Counter, Gauge, Histogram

from gateway.access import carries_key
from gateway.admission import answer_fields
from gateway.handlers import HEADERS, LEAVING, NotReady, json_response
from gateway.routes import SETTINGS, Handler
from gateway.schemas import error_body
from mesh import call, traces
from mesh.errors import Internal, InvalidRequest, MeshError, MethodNotAllowed, NotFound, RequestTooLarge, Unauthorized
from mesh.interceptors import SECONDS_BUCKETS

_log = logging.getLogger(__name__)

REQUESTS = Counter("mediamesh_http_requests_total", "Requests answered.", ["route", "status", "code"])
SECONDS = Histogram(
    "mediamesh_http_request_seconds",
    "Time to answer a request.",
    ["route"],
    buckets=SECONDS_BUCKETS,
)
UNDER_WAY = Gauge("mediamesh_http_requests_under_way", "Requests being worked on.")

KEY_IN_BROWSER: Final = (
    '299 mediamesh "an API key came from a web page: whoever opens that page can take it; revoke it and call from a server"'
)


@web.middleware
async def watch(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The outermost layer: whatever happens inside, the answer is ours."""
    resource = request.match_info.route.resource
    route = resource.canonical if resource else "unknown"
    with traces.serving(f"{request.method} {route}" if resource else "unknown", request.headers) as span:
        response = await _answer(request, handler, route, span)
        span.set_attribute("http.response.status_code", response.status)
        return response


async def _answer(request: web.Request, handler: Handler, route: str, span: Span) -> web.StreamResponse:
    started = time.perf_counter()
    code, error = "ok", None
    try:
        call.begin(request.headers.get("X-Request-Id"), request.app[SETTINGS].gateway_match_seconds)
        with UNDER_WAY.track_inprogress():
            response = await handler(request)
    except Exception as problem:
        error, headers = translate(problem)
        code = error.code
        response = error_response(error, headers)
        if request.can_read_body and not request.content.is_eof():
            # What was not read is not waited for either.
            response.force_close()
    response.headers.update(answer_fields(request, error))
    if _is_from_a_web_page(request) and carries_key(request.headers):
        response.headers["Warning"] = KEY_IN_BROWSER
        _log.warning("an API key came from a browser")
    if request.app[LEAVING].is_set():
        response.force_close()
    traces.end(span, code)
    finish(response, request.method, route, code, started)
    return response


def _is_from_a_web_page(request: web.Request) -> bool:
    """Whether a page that is not the gateway's own sent it: into that one its visitors type keys of theirs, and it holds none."""
    origin = request.headers.get("Origin")
    is_own = origin is not None and (origin.partition("://")[2] == request.host or request.headers.get("Sec-Fetch-Site") == "same-origin")
    return origin is not None and not is_own


def finish(response: web.StreamResponse, method: str, route: str, code: str, started: float) -> None:
    """What every answer carries, and what is kept of it."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["X-Request-Id"] = call.request_id()
    seconds = time.perf_counter() - started
    REQUESTS.labels(route, response.status, code).inc()
    SECONDS.labels(route).observe(seconds)
    _log.info(
        "request",
        extra={"method": method, "route": route, "status": response.status, "code": code, "milliseconds": int(seconds * 1000)},
    )


def error_response(error: MeshError, headers: dict[str, str] | None = None) -> web.Response:
    """The error as the public API answers it."""
    headers = dict(headers or {})
    if wait := error.details.get("retry_after_seconds") or error.retry_after_seconds:
        headers["Retry-After"] = str(wait)
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    body = msgspec.to_builtins(error_body(error, call.request_id()))
    if isinstance(error, NotReady):
        body |= error.report
    return json_response(body, status=error.http_status, headers=headers)


def translate(problem: Exception) -> tuple[MeshError, dict[str, str]]:
    """The error of ours that an exception stands for, and the headers that go with it."""
    match problem:
        case MeshError():
            return problem, {}
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(problem.allowed_methods))
            return MethodNotAllowed(f"this path takes {allowed} only"), {"Allow": allowed}
        case web.HTTPNotFound():
            return NotFound(), {}
        case web.HTTPRequestEntityTooLarge():
            return RequestTooLarge(), {}
        case web.HTTPExpectationFailed():
            return InvalidRequest("the only Expect that is understood is 100-continue"), {}
        case HttpProcessingError():
            return InvalidRequest("this is not a well-formed HTTP request"), {}
        case web.HTTPException() if problem.status < 500:
            return InvalidRequest(), {}
    _log.error("uncaught", exc_info=problem)
    return Internal(), {}
