"""A route is declared once, and from that it is served, guarded and documented alike.

To add one: write its handler, a coroutine that takes the request (`request[CALLER]` says whose it is), and give it a `Route` in the
ROUTES of its module; a new module's ROUTES are added to those of gateway/server.py. Rates, `key` and `scope` are asked for before the
handler runs, and a call of a route with `key=Key.WITH_AUTH` is one of the project's calls of the month. `bodies`, `query` and `answer`
are types of gateway/*schemas.py; `errors` are those that the handler itself may raise (what every route may answer is known here). The
examples are a request and the answer that it gets; tests hold both against the types.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from aiohttp import web

from gateway.access import Caller
from gateway.admission import Admission, Work
from gateway.settings import Settings
from mesh.errors import (
    DeadlineExceeded,
    DurationTooLong,
    FetchFailed,
    FileTooLarge,
    Forbidden,
    InsufficientScope,
    Internal,
    InvalidRequest,
    InvalidUrl,
    MeshError,
    NotAvailable,
    Overloaded,
    RateLimited,
    RequestTooLarge,
    Unauthorized,
    UnsupportedContentType,
    UnsupportedMedia,
)
from mesh.media import MediaType

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Errors = tuple[type[MeshError], ...]

SETTINGS: Final = web.AppKey("settings", Settings)
ADMISSION: Final = web.AppKey("admission", Admission)
CALLER: Final = web.RequestKey("caller", Caller)
"""Whose request it is; set before the handler runs."""

JSON: Final = "application/json"
FORM: Final = "multipart/form-data"
BYTES: Final = "application/octet-stream"

MESH_ERRORS: Final[Errors] = (Overloaded, NotAvailable, DeadlineExceeded)
"""Of a handler that asks another service."""


def media_errors(medium: MediaType) -> Errors:
    """Of a handler that has media fetched and read; a picture has no duration."""
    every = (InvalidUrl, FetchFailed, FileTooLarge, UnsupportedMedia)
    return every if medium is MediaType.IMAGE else (*every, DurationTooLong)


class Key(StrEnum):
    """When a route asks for an API key."""

    NEVER = "never"
    DEMO = "never, but so many requests a day"
    WITH_AUTH = "with AUTH=on"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    name: str
    """In words, snake case, unique: what the caller does."""
    method: str
    path: str
    handler: Handler
    summary: str
    description: str = ""
    key: Key
    scope: str | None = None
    work: Work | None = None
    """What is done for it, and by which matcher: refused while that has no room for it."""
    bodies: Mapping[str, type] = field(default_factory=dict)
    """By content type: a msgspec type, or bytes."""
    query: type | None = None
    headers: tuple[str, ...] = ()
    """Of the request; gateway/openapi.py says what each means."""
    status: int = 200
    answer: Any = None
    answer_type: str = JSON
    other_answers: Mapping[str, Any] = field(default_factory=dict)
    """By content type, where the caller may choose."""
    answer_headers: tuple[str, ...] = ()
    errors: Errors = ()
    not_ready: type | None = None
    """The body of a 503 that says more than an error does."""
    example_request: Mapping[str, object] | None = None
    example_answer: object = None

    @property
    def parameters(self) -> list[str]:
        """The variable parts of the path."""
        return re.findall(r"{(\w+)}", self.path)

    @property
    def all_errors(self) -> Errors:
        """What it may answer that is no success, without doubles."""
        errors: Errors = (InvalidRequest, Internal, *self.errors)
        if self.key is Key.DEMO:
            errors += (RateLimited, *MESH_ERRORS)
        elif self.key is not Key.NEVER:
            errors += (Unauthorized, Forbidden, RateLimited, *MESH_ERRORS)
        if self.scope:
            errors += (InsufficientScope,)
        if self.bodies:
            errors += (UnsupportedContentType, RequestTooLarge)
        return tuple(dict.fromkeys(errors))


def add_routes(router: web.UrlDispatcher, routes: Iterable[Route]) -> None:
    """Serve them, each behind what it asks for."""
    for route in routes:
        router.add_route(route.method, route.path, _guarded(route), name=route.name)
        if route.method == "GET" and route.key is Key.NEVER:
            router.add_route("HEAD", route.path, _guarded(route))


def _guarded(route: Route) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        if route.key is Key.NEVER:
            request[CALLER] = Caller()
            return await route.handler(request)
        if route.key is Key.DEMO:
            async with request.app[ADMISSION].admit_to_demo(request, route.work) as request[CALLER]:
                return await route.handler(request)
        is_pair = route.key is Key.WITH_AUTH
        asks_for_key = not is_pair or request.app[SETTINGS].guards_pairs
        admission = request.app[ADMISSION]
        async with admission.admit(request, route.scope, asks_for_key=asks_for_key, is_pair=is_pair, work=route.work) as caller:
            request[CALLER] = caller
            return await route.handler(request)

    return handle
