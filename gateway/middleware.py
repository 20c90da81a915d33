"""What happens to every HTTP request: an id, the time it may take, coded errors, headers, one log line, metrics."""

from __future__ import annotations

import logging
import time
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler
from msgspec import UNSET
from prometheus_client import Counter, Histogram

from gateway.handlers import SETTINGS, Handler, json_response
from gateway.schemas import ErrorBody, ErrorDetail
from mesh import call
from mesh.errors import Internal, InvalidRequest, MeshError, MethodNotAllowed, NotFound, RequestTooLarge

_log = logging.getLogger(__name__)

REQUESTS = Counter("mediamesh_http_requests_total", "Requests answered.", ["route", "status", "code"])
SECONDS = Histogram(
    "mediamesh_http_request_seconds",
    "Time to answer a request.",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)

_HEADERS: Final = {"Server": "mediamesh", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


@web.middleware
async def watch(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The outermost layer: whatever happens inside, the answer is ours."""
    started = time.perf_counter()
    code = "ok"
    identity = call.begin(request.headers.get("X-Request-Id"), request.app[SETTINGS].gateway_match_seconds)
    try:
        response = await handler(request)
    except Exception as problem:
        error, headers = _translate(problem)
        code = error.code
        response = error_response(error, headers)
        if not request._read_bytes and request.can_read_body:
            # What was not read is not waited for either.
            response.force_close()
    response.headers.update(_HEADERS)
    response.headers["X-Request-Id"] = identity
    resource = request.match_info.route.resource
    route = resource.canonical if resource else "unknown"
    seconds = time.perf_counter() - started
    REQUESTS.labels(route, response.status, code).inc()
    SECONDS.labels(route).observe(seconds)
    _log.info(
        "request",
        extra={"method": request.method, "route": route, "status": response.status, "code": code, "milliseconds": int(seconds * 1000)},
    )
    return response


def error_response(error: MeshError, headers: dict[str, str] | None = None) -> web.Response:
    """The error as the public API answers it."""
    detail = ErrorDetail(code=error.code, message=error.message, request_id=call.request_id(), details=error.details or UNSET)
    headers = dict(headers or {})
    if error.retry_after_seconds:
        headers["Retry-After"] = str(error.retry_after_seconds)
    return json_response(ErrorBody(error=detail), status=error.http_status, headers=headers)


def _translate(problem: Exception) -> tuple[MeshError, dict[str, str]]:
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
        case web.HTTPException() if problem.status < 500:
            return InvalidRequest(), {}
    _log.error("uncaught", exc_info=problem)
    return Internal(), {}


class Connection(RequestHandler):
    """A client's connection; what aiohttp itself would answer in text, it answers in the envelope."""

    def handle_error(
        self, request: Any, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("the answer was already under way")
        identity = call.begin(None, None)
        if isinstance(exc, HttpProcessingError):
            error: MeshError = InvalidRequest("this is not a well-formed HTTP request")
        else:
            _log.error("uncaught", exc_info=exc)
            error = Internal()
        response = error_response(error, {**_HEADERS, "X-Request-Id": identity})
        response.force_close()
        return response
