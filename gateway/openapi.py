"""The public API as an OpenAPI 3.1 document, drawn from the table of routes and from the types that requests and answers are made of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final, cast

import msgspec
from multidict import MultiDict

from gateway import examples
from gateway.code_samples import code_samples
from gateway.routes import FORM, JSON, Errors, Key, Route
from gateway.schemas import ErrorBody, error_body, list_fields, read_body, read_query
from gateway.settings import Settings
from mesh.errors import (
    BY_CODE,
    FeatureDisabled,
    FingerprintMismatch,
    InsufficientScope,
    InvalidRequest,
    MeshError,
    NotAvailable,
    NotFound,
    QuotaExceeded,
    Unauthorized,
)
from mesh.media import MediaType

Json = dict[str, Any]

API_VERSION: Final = "0.1.0"

_SCHEMA: Final = "#/components/schemas/{name}"
_EXAMPLES: Final = {error.code: error for error in examples.ERRORS}
_MEDIA_EXAMPLES: Final = {medium: {error.code: error for error in examples.media_errors(medium)} for medium in MediaType}
_PUBLIC: Final = tuple(error for error in BY_CODE.values() if error is not FingerprintMismatch)
"""Fingerprints of two versions never meet at the gateway."""

_DESCRIPTION: Final = """\
Tells whether two images, videos or sounds are the same content in disguise, and finds a file's copies in a library of yours.

To begin, send two addresses to `POST /image/match`: its samples in curl, Python and Node can be run as they stand. In place of each
address a file can be sent. What an answer means is the same for images, videos and sounds, in pairs and in searches.

Every answer that is not 2xx is `{"error": {"code", "message", "request_id", "details"}}`: the code is stable, `details.field` names the
field of the request that it is about, `details.policy` the limit that a 429 is about. A 429, 503 or 504 says in `Retry-After` when to try
again (but for `ready_…`, where only deleting helps, or a larger plan). A path that is not listed here answers 404 `not_found`, another
method than those listed 405 `method_not_allowed` with `Allow`.

API keys go into `Authorization: Bearer`, `X-API-Key` or `x-rapidapi-key`. Keep them on servers, never in a browser or an app: whoever
sees a key can use it, and no route that takes one allows other origins (CORS).

| code | status | |
|---|---|---|
"""

_REQUEST_HEADERS: Final[dict[str, Json]] = {
    "X-Request-Id": {
        "description": "An id of yours for this request; given back with the answer.",
        "schema": {"type": "string"},
    },
    "Idempotency-Key": {
        "description": "Printable ASCII. Again within 24 hours: the same answer, nothing is done twice; with another body: a `conflict`.",
        "schema": {"type": "string", "maxLength": 255},
    },
}
_ANSWER_HEADERS: Final[dict[str, Json]] = {
    "X-Request-Id": {
        "description": "The id of this request: yours where it has 1 to 64 letters, digits, dots, dashes and underscores, else a new one.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
        "required": True,
    },
    "Server-Timing": {
        "description": "Milliseconds of each stage; both sides of a pair run at once, and `total` is the time within the service.",
        "schema": {"type": "string"},
        "required": True,
        "example": "fetch;dur=21.4, decode;dur=4.0, fingerprint;dur=5.2, compare;dur=1.9, total;dur=35.0",
    },
    "Retry-After": {
        "description": "Seconds until it is worth trying again.",
        "schema": {"type": "integer", "minimum": 1},
        "required": True,
    },
    "WWW-Authenticate": {"description": "How to say who you are.", "schema": {"type": "string", "const": "Bearer"}, "required": True},
}
_BROWSER_HEADERS: Final[dict[str, Json]] = {
    "Warning": {
        "description": "Where a key came with an `Origin`, from a web page (other than the playground): no secret any more.",
        "schema": {"type": "string"},
    },
}
_RATE_HEADERS: Final[dict[str, Json]] = {
    "RateLimit-Policy": {
        "description": "The limits that this request met, by name: `q` of them in `w` seconds; `qu`: counted in bytes. Absent without.",
        "schema": {"type": "string"},
        "example": '"searches";q=10000;w=2592000, "key";q=10;w=1',
    },
    "RateLimit": {
        "description": "Of each of them what is left (`r`), and in how many seconds it is whole again (`t`).",
        "schema": {"type": "string"},
        "example": '"searches";r=9880;t=812345, "key";r=7;t=1',
    },
    "X-RateLimit-Limit": {"description": "Of the rate, or of what refused the request.", "schema": {"type": "integer", "minimum": 0}},
    "X-RateLimit-Remaining": {"description": "What is left of it.", "schema": {"type": "integer", "minimum": 0}},
    "X-RateLimit-Reset": {"description": "Seconds until it is whole again.", "schema": {"type": "integer", "minimum": 1}},
}
_MARKETPLACE: Final = "rapidApiProxy"
_SECURITY: Final[dict[str, Json]] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key: `Authorization: Bearer mm_live_…`."},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key."},
    "rapidApiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "x-rapidapi-key",
        "description": "An API key, for clients made for RapidAPI.",
    },
    _MARKETPLACE: {
        "type": "apiKey",
        "in": "header",
        "name": "X-RapidAPI-Proxy-Secret",
        "description": "What the marketplace's proxy shows; its users never see it.",
    },
}
_TAGS: Final = (
    ("Pairs", "Two files compared."),
    ("Index", "A library of your own."),
    ("Search", "A file's copies in the library."),
    ("Assets", "What the library holds."),
    ("Jobs", "What is being indexed."),
    ("Usage", "What the project has used of its plan."),
    ("Hashes", "Lists of hashes."),
    ("Thresholds", "Scores of your own, and where a match begins."),
    ("Profiles", "Cutoffs under names of your own."),
    ("Policies", "Lanes for scores, with names of your own."),
    ("Lanes", "A policy, tried on what was decided."),
    ("Decisions", "What was decided."),
    ("Service", "The service itself; no key is asked for."),
)


def document(routes: Iterable[Route], settings: Settings) -> Json:
    """The whole of it."""
    routes = tuple(routes)
    bodies = [kind for route in routes for kind in (*route.bodies.values(), route.answer, route.not_ready) if kind]
    _, schemas = msgspec.json.schema_components([ErrorBody, *bodies], ref_template=_SCHEMA)
    schemas["ErrorDetail"]["properties"]["code"]["enum"] = [error.code for error in _PUBLIC]
    paths: dict[str, Json] = defaultdict(dict)
    for route in routes:
        paths[route.path][route.method.lower()] = _operation(route, settings)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "mediamesh",
            "version": API_VERSION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": _DESCRIPTION + "\n".join(f"| `{error.code}` | {error.http_status} | {_sentence(error)} |" for error in _PUBLIC),
        },
        "servers": [{"url": settings.public_base_url.rstrip("/") or "/"}],
        "tags": [{"name": name, "description": description} for name, description in _TAGS],
        "paths": dict(paths),
        "components": {
            "schemas": {name: _closed(schema) for name, schema in schemas.items()},
            "headers": {**_ANSWER_HEADERS, **_BROWSER_HEADERS, **_RATE_HEADERS},
            "securitySchemes": _SECURITY,
        },
    }


def _operation(route: Route, settings: Settings) -> Json:
    operation: Json = {
        "operationId": route.name,
        "tags": [_tag(route)],
        "summary": route.summary,
        "description": _description(route),
        "parameters": _parameters(route),
        "responses": {str(route.status): _success(route), **_failures(route)},
        "security": _security(route, settings),
    }
    if route.answer_type == JSON:
        has_key = route.key is Key.ALWAYS or (route.key is Key.WITH_AUTH and settings.guards_pairs)
        operation["x-codeSamples"] = code_samples(route, settings.public_base_url.rstrip("/"), has_key=has_key)
    if route.bodies:
        operation["requestBody"] = {"required": True, "content": {kind: _body(kind, form, route) for kind, form in route.bodies.items()}}
    return operation


def _description(route: Route) -> str:
    if not route.scope:
        return route.description
    return f"{route.description}\n\nTakes the scope `{route.scope}`.".strip()


def _tag(route: Route) -> str:
    if route.path.startswith("/thresholds/"):
        return "Thresholds"
    if not route.path.startswith("/v1/"):
        return "Pairs" if route.bodies else "Service"
    return route.path.split("/")[2].capitalize()


def _security(route: Route, settings: Settings) -> list[Json]:
    if route.key in (Key.NEVER, Key.DEMO):
        return []
    schemes = [name for name in _SECURITY if name != _MARKETPLACE] if settings.native_keys or route.key is Key.ALWAYS else []
    if settings.rapidapi_proxy_secrets and route.key is Key.WITH_AUTH:
        schemes.append(_MARKETPLACE)
    asked = [{name: [route.scope] if route.scope else []} for name in schemes]
    return asked if settings.guards_pairs or route.key is Key.ALWAYS else [{}, *asked]


def _parameters(route: Route) -> list[Json]:
    found = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in route.parameters]
    if route.query:
        _, schemas = msgspec.json.schema_components([route.query], ref_template="{name}")
        form = schemas[route.query.__name__]
        found += [
            {"name": name, "in": "query", "required": name in form["required"], "schema": _query_schema(schema, schemas)}
            for name, schema in form["properties"].items()
        ]
    found += [{"name": name, "in": "header", **_REQUEST_HEADERS[name]} for name in (*route.headers, "X-Request-Id")]
    return found


def _query_schema(schema: Json, schemas: dict[str, Json]) -> Json:
    """With what is named elsewhere, which stands here."""
    if "$ref" in schema:
        return schemas[schema["$ref"]]
    return {key: _query_schema(value, schemas) if isinstance(value, dict) else value for key, value in schema.items()} | {
        key: [_query_schema(one, schemas) for one in schema[key]] for key in ("anyOf",) if key in schema
    }


def _content(kind: Any, route: Route | None = None) -> Json:
    if kind is bytes:
        return {"schema": {"type": "string", "format": "binary"}}
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=_SCHEMA)
    content: Json = {"schema": schema}
    if route and route.example_request is not None:
        content["example"] = route.example_request
    return content


def _body(content_type: str, form: Any, route: Route) -> Json:
    content = _content(form, route)
    if content_type == FORM:
        content["encoding"] = {name: {"contentType": JSON} for name in sorted(list_fields(form))}
    return content


def _success(route: Route) -> Json:
    answer: Json = {
        "description": _OUTCOMES[route.status],
        "headers": _headers("X-Request-Id", *_rate_headers(route), *route.answer_headers),
    }
    if route.answer:
        content = _content(route.answer)
        if route.example_answer is not None:
            content["example"] = route.example_answer
        others = {kind: _content(form) for kind, form in route.other_answers.items()}
        answer["content"] = {route.answer_type: content, **others}
    return answer


_OUTCOMES: Final = {200: "Done.", 202: "Accepted; a job does the rest.", 204: "Done; there is nothing to say."}


def _failures(route: Route) -> Json:
    by_status: dict[int, list[type[MeshError]]] = defaultdict(list)
    for error in route.all_errors:
        by_status[error.http_status].append(error)
    return {str(status): _failure(tuple(errors), route) for status, errors in sorted(by_status.items())}


def _failure(errors: Errors, route: Route) -> Json:
    names = ["X-Request-Id", *_rate_headers(route)]
    if all(error.retry_after_seconds for error in errors):
        names.append("Retry-After")
    if Unauthorized in errors:
        names.append("WWW-Authenticate")
    codes = [error.code for error in errors]
    one_of_them: Json = {"type": "object", "properties": {"error": {"type": "object", "properties": {"code": {"enum": codes}}}}}
    body = route.not_ready if route.not_ready and errors[0].http_status == 503 else ErrorBody
    return {
        "description": " ".join(f"`{error.code}`: {_sentence(error)}" for error in errors),
        "headers": _headers(*names),
        "content": {
            JSON: {
                "schema": {"allOf": [_content(body)["schema"], one_of_them]},
                "examples": {error.code: {"summary": error.code, "value": _example(error, route)} for error in errors},
            }
        },
    }


def _example(error: type[MeshError], route: Route) -> Json:
    found = error_body(_example_error(error, route), examples.REQUEST_ID)
    if route.not_ready and error is NotAvailable:
        return {**msgspec.to_builtins(found), **examples.NOT_READY}
    return cast(Json, msgspec.to_builtins(found))


def _example_error(error: type[MeshError], route: Route) -> MeshError:
    """As this route would say it."""
    if error is InvalidRequest:
        return _refusal(route)
    if error is InsufficientScope:
        scope = route.scope or "image:index"
        return InsufficientScope(f"the key does not carry the scope {scope}", scope=scope)
    if error is FeatureDisabled:
        return FeatureDisabled(f"the project's plan does not have {route.scope}", feature=route.scope or "")
    if error is QuotaExceeded and "search" not in route.path:
        return examples.FULL
    if error is NotFound:
        named = {"jobs": "job", "profiles": "profile", "policies": "policy"}
        return NotFound(f"there is no such {next((name for part, name in named.items() if part in route.path), 'asset')}")
    if about_media := _MEDIA_EXAMPLES[_medium(route)].get(error.code):
        return about_media.of_field(_field_of_media(route))
    return _EXAMPLES.get(error.code) or error()


def _medium(route: Route) -> MediaType:
    return next((medium for medium in MediaType if medium in route.path.split("/")), MediaType.IMAGE)


def _field_of_media(route: Route) -> str:
    """The last field of the request that must be a URL."""
    form = route.bodies.get(JSON)
    required = [field.name for field in msgspec.structs.fields(form) if field.required] if form else []
    return required[-1] if required else "file"


def _refusal(route: Route) -> MeshError:
    """Of an empty body, a limit out of range, or of what is no HTTP."""
    try:
        if JSON in route.bodies:
            read_body(b"{}", route.bodies[JSON])
        if route.query:
            read_query(MultiDict(limit="0"), route.query)
    except InvalidRequest as refusal:
        return refusal
    return InvalidRequest("this is not a well-formed HTTP request")


def _rate_headers(route: Route) -> tuple[str, ...]:
    return () if route.key is Key.NEVER else (*_RATE_HEADERS, *_BROWSER_HEADERS)


def _headers(*names: str) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _sentence(error: type[MeshError]) -> str:
    """What an error says of itself: of media only the end of a sentence."""
    said = (error.__doc__ or "").rstrip(".")
    return f"{said}." if said[0].isupper() else f"A URL or file {said}."


def _closed(schema: Json) -> Json:
    """What is not in it is neither taken nor given; what must be there stands first. All our words are strings."""
    if "enum" in schema:
        return {"type": "string", **schema}
    if "properties" not in schema:
        return schema
    properties = sorted(schema["properties"].items(), key=lambda item: item[0] not in schema["required"])
    return {**schema, "properties": dict(properties), "additionalProperties": False}
