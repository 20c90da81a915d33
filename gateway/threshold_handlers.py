"""What projects decide by: scores looked at, profiles, policies, and a policy tried on what was decided or on scores that are posted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType
from multidict import MultiMapping

from gateway import threshold_examples as examples
from gateway.analyst import MAX_BYTES, Analyst
from gateway.analyst import PROFILES as PRODUCT_PROFILES
from gateway.form import body, refuse_encoding
from gateway.handlers import MESH, json_response, read_json_body
from gateway.hash_rows import CSV
from gateway.routes import CALLER, JSON, SETTINGS, Key, Route
from gateway.schemas import read_body, read_fields
from gateway.threshold_client import Kind
from gateway.threshold_schemas import (
    AnalysisBody,
    AnalysisQuery,
    DryRunQuery,
    DryRunRequest,
    LanesBody,
    PolicyBody,
    PolicyListBody,
    PolicyRequest,
    ProfileBody,
    ProfileListBody,
    ProfileRequest,
)
from matching.thresholds.analysis import Wanted
from matching.thresholds.lanes import Policy
from mesh.errors import Conflict, InsufficientScope, InvalidRequest, NotFound, Overloaded, RequestTooLarge, UnsupportedContentType

ANALYST: Final = web.AppKey("analyst", Analyst)

Form = TypeVar("Form", bound=msgspec.Struct)


async def analyse_scores(request: web.Request) -> web.Response:
    """POST /thresholds/analyse"""
    asked = _read_parameters(request.query, AnalysisQuery)
    wanted = Wanted(asked.cost, None if asked.prevalence is UNSET else asked.prevalence, PRODUCT_PROFILES)
    policy = None if asked.lanes is UNSET else _policy(asked.lanes, asked.otherwise)
    return json_response(await request.app[ANALYST].analyse(await _read_scores(request), wanted, policy))


async def try_policy(request: web.Request) -> web.Response:
    """POST /v1/lanes: on the log as JSON says, or on scores as CSV"""
    if request.content_type == CSV:
        asked = _read_parameters(request.query, DryRunQuery)
        policy = await _asked_policy(request, asked)
        return json_response(await request.app[ANALYST].lanes(await _read_scores(request), policy))
    if request.query:
        raise InvalidRequest("with JSON all of it is in the body, and nothing in the query")
    request[CALLER].require("decisions:read")
    wanted = read_body(await read_json_body(request, request.app[SETTINGS].gateway_client_seconds), DryRunRequest)
    policy = await _asked_policy(request, wanted)
    total, reaching = await request.app[MESH].decisions.count(request[CALLER].project, wanted, policy.floors)
    return json_response(LanesBody(total=total, lanes=policy.counts(total, reaching), refused=0, errors=[]))


async def _asked_policy(request: web.Request, asked: DryRunQuery | DryRunRequest) -> Policy:
    """One that is kept, or the one that is described."""
    if (asked.policy is UNSET) == (asked.lanes is UNSET):
        raise InvalidRequest("policy or lanes must be given, and not both", field="lanes")
    if asked.policy is UNSET:
        return _policy(asked.lanes, asked.otherwise)
    try:
        return await request.app[MESH].thresholds.policy(request[CALLER].project, asked.policy)
    except NotFound as problem:
        raise InvalidRequest("policy: the project has none of that name", field="policy") from problem


def _policy(lanes: dict[str, float] | UnsetType, otherwise: str) -> Policy:
    try:
        return Policy.of({} if lanes is UNSET else lanes, otherwise)
    except ValueError as problem:
        raise InvalidRequest(f"lanes: {problem}", field="lanes") from problem


def _read_parameters(query: MultiMapping[str], form: type[Form]) -> Form:
    """As read_query, with objects as JSON."""
    if len(query) > len(set(query)):
        raise InvalidRequest("a parameter of the query is given twice")
    if empty := next((name for name, text in query.items() if not text), None):
        raise InvalidRequest(f"{empty[:64]} is empty", field=empty[:64])
    return read_fields(dict(query), form)


async def _read_scores(request: web.Request) -> bytes:
    if request.content_type != CSV:
        raise UnsupportedContentType(f"the body must be {CSV}")
    refuse_encoding(request)
    content = bytearray()
    async for chunk in body(request, request.app[SETTINGS].gateway_client_seconds):
        content += chunk
        if len(content) > MAX_BYTES:
            raise RequestTooLarge(f"the scores may take at most {MAX_BYTES:,} bytes")
    return bytes(content)


_SCORES: Final = (
    "As CSV: `score,label` a line, or any columns of which a header names these; other columns are passed over. A label is 1 or 0, "
    "true or false, copy or other, or nothing. At most 200,000 rows in 8 MB; rows that cannot be read are named by their line."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Words:
    """What the reference says of a kind."""

    many: str
    holds: str
    listed: str = ""
    put: str
    request: type[ProfileRequest | PolicyRequest]
    body: type[ProfileBody | PolicyBody]
    list_body: type[msgspec.Struct]
    example_request: dict[str, object]
    example: dict[str, Any]


def _rule_routes(kind: Kind, words: _Words) -> tuple[Route, ...]:
    """Profiles and policies are kept alike."""
    many = words.many

    async def list_rules(request: web.Request) -> web.Response:
        found = await request.app[MESH].thresholds.list(kind, request[CALLER].project)
        return json_response(words.list_body(**{many: found}))

    async def get_rule(request: web.Request) -> web.Response:
        return json_response(await request.app[MESH].thresholds.get(kind, request[CALLER].project, request.match_info["name"]))

    async def put_rule(request: web.Request) -> web.Response:
        said = read_body(await read_json_body(request, request.app[SETTINGS].gateway_client_seconds), words.request)
        return json_response(await request.app[MESH].thresholds.put(request[CALLER].project, request.match_info["name"], said))

    async def delete_rule(request: web.Request) -> web.Response:
        await request.app[MESH].thresholds.delete(kind, request[CALLER].project, request.match_info["name"])
        return web.Response(status=204)

    return (
        Route(
            name=f"list_{many}",
            method="GET",
            path=f"/v1/{many}",
            handler=list_rules,
            summary=f"The project's {many}, by name",
            description=words.listed,
            key=Key.ALWAYS,
            scope="thresholds:read",
            answer=words.list_body,
            example_answer={many: [words.example]},
        ),
        Route(
            name=f"get_{kind}",
            method="GET",
            path=f"/v1/{many}/{{name}}",
            handler=get_rule,
            summary=f"One {kind}",
            key=Key.ALWAYS,
            scope="thresholds:read",
            answer=words.body,
            errors=(NotFound,),
            example_answer=words.example,
        ),
        Route(
            name=f"put_{kind}",
            method="PUT",
            path=f"/v1/{many}/{{name}}",
            handler=put_rule,
            summary=f"Save {words.holds} under a name",
            description=f"Makes it, or replaces it. {words.put}",
            key=Key.ALWAYS,
            scope="thresholds:write",
            bodies={JSON: words.request},
            answer=words.body,
            errors=(Conflict,),
            example_request=words.example_request,
            example_answer=words.example,
        ),
        Route(
            name=f"delete_{kind}",
            method="DELETE",
            path=f"/v1/{many}/{{name}}",
            handler=delete_rule,
            summary=f"Delete a {kind}",
            description="Requests that still name it are refused.",
            key=Key.ALWAYS,
            scope="thresholds:write",
            status=204,
            errors=(NotFound,),
        ),
    )


_PROFILES: Final = _rule_routes(
    Kind.PROFILE,
    _Words(
        many="profiles",
        holds="cutoffs",
        listed="Those that every project has (`general`, `stock`, `adversarial`) are at GET /config.",
        put="Pairs and searches with a key of the project then take it as `profile`, at once. A name has 1 to 64 lower-case letters, "
        "digits, - and _.",
        request=ProfileRequest,
        body=ProfileBody,
        list_body=ProfileListBody,
        example_request={"cutoffs": {"image": 0.72}, "note": "pilot of November"},
        example=examples.PROFILE,
    ),
)
_POLICIES: Final = _rule_routes(
    Kind.POLICY,
    _Words(
        many="policies",
        holds="lanes",
        put="Pairs and searches that name it as `policy` then say in which `lane` each score falls: the one that begins highest of those "
        "that it reaches, or `otherwise`. One to eight lanes, named as you like.",
        request=PolicyRequest,
        body=PolicyBody,
        list_body=PolicyListBody,
        example_request={"lanes": {"auto_block": 0.95, "review": 0.7}, "otherwise": "pass"},
        example=examples.POLICY,
    ),
)

ROUTES: Final = (
    Route(
        name="analyse_scores",
        method="POST",
        path="/thresholds/analyse",
        handler=analyse_scores,
        summary="What scores of your own say about where a match begins",
        description=(
            f"{_SCORES} With pairs of both kinds: the ROC and precision-recall curves, and the cutoff that costs least. Without labels: "
            "the valley between two heaps of scores, or why none is recommended. Nothing is kept. See docs/thresholds.md for the maths."
        ),
        key=Key.WITH_AUTH,
        bodies={CSV: bytes},
        query=AnalysisQuery,
        answer=AnalysisBody,
        errors=(Overloaded,),
        example_answer=examples.ANALYSIS,
    ),
    *_PROFILES,
    Route(
        name="try_policy",
        method="POST",
        path="/v1/lanes",
        handler=try_policy,
        summary="How many would fall in each lane",
        description=(
            "Of the decisions in the project's log (JSON; takes the scope `decisions:read`, too), or of scores that are posted as CSV: "
            "then `policy`, or `lanes` (as JSON) and `otherwise`, are those of the query. A search counts by its best hit."
        ),
        key=Key.ALWAYS,
        scope="thresholds:read",
        bodies={JSON: DryRunRequest, CSV: bytes},
        query=DryRunQuery,
        answer=LanesBody,
        errors=(InsufficientScope, Overloaded),
        example_request={"lanes": {"auto_block": 0.95, "review": 0.7}, "otherwise": "pass", "since": "2026-11-01T00:00:00Z"},
        example_answer=examples.LANES,
    ),
    *_POLICIES,
)
