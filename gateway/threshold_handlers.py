"""What projects decide by: scores looked at, profiles, policies, and a policy tried on what was decided or on scores that are posted."""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType
from multidict import MultiMapping

from gateway import threshold_examples as examples
from gateway.analyst import MAX_BYTES, PROFILES, Analyst
from gateway.form import body, refuse_encoding
from gateway.handlers import MESH, json_response, read_json_body
from gateway.hash_rows import CSV
from gateway.routes import CALLER, JSON, SETTINGS, Key, Route
from gateway.schemas import read_body, read_fields
from gateway.threshold_client import policy_of
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
    wanted = Wanted(asked.cost, None if asked.prevalence is UNSET else asked.prevalence, PROFILES)
    policy = None if asked.lanes is UNSET else _policy(asked.lanes, asked.otherwise)
    return json_response(await request.app[ANALYST].analyse(await _read_scores(request), wanted, policy))


async def list_profiles(request: web.Request) -> web.Response:
    """GET /v1/profiles"""
    return json_response(await request.app[MESH].thresholds.list_profiles(request[CALLER].project))


async def put_profile(request: web.Request) -> web.Response:
    """PUT /v1/profiles/{name}"""
    said = read_body(await read_json_body(request, request.app[SETTINGS].gateway_client_seconds), ProfileRequest)
    return json_response(await request.app[MESH].thresholds.put_profile(request[CALLER].project, request.match_info["name"], said))


async def get_profile(request: web.Request) -> web.Response:
    """GET /v1/profiles/{name}"""
    return json_response(await request.app[MESH].thresholds.get_profile(request[CALLER].project, request.match_info["name"]))


async def delete_profile(request: web.Request) -> web.Response:
    """DELETE /v1/profiles/{name}"""
    await request.app[MESH].thresholds.delete_profile(request[CALLER].project, request.match_info["name"])
    return web.Response(status=204)


async def list_policies(request: web.Request) -> web.Response:
    """GET /v1/policies"""
    return json_response(await request.app[MESH].thresholds.list_policies(request[CALLER].project))


async def put_policy(request: web.Request) -> web.Response:
    """PUT /v1/policies/{name}"""
    said = read_body(await read_json_body(request, request.app[SETTINGS].gateway_client_seconds), PolicyRequest)
    return json_response(await request.app[MESH].thresholds.put_policy(request[CALLER].project, request.match_info["name"], said))


async def get_policy(request: web.Request) -> web.Response:
    """GET /v1/policies/{name}"""
    return json_response(await request.app[MESH].thresholds.get_policy(request[CALLER].project, request.match_info["name"]))


async def delete_policy(request: web.Request) -> web.Response:
    """DELETE /v1/policies/{name}"""
    await request.app[MESH].thresholds.delete_policy(request[CALLER].project, request.match_info["name"])
    return web.Response(status=204)


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
        return policy_of(await request.app[MESH].thresholds.get_policy(request[CALLER].project, asked.policy))
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
    Route(
        name="list_profiles",
        method="GET",
        path="/v1/profiles",
        handler=list_profiles,
        summary="The project's profiles, by name",
        description="Those that every project has (`general`, `stock`, `adversarial`) are at GET /config.",
        key=Key.ALWAYS,
        scope="thresholds:read",
        answer=ProfileListBody,
        example_answer={"profiles": [examples.PROFILE]},
    ),
    Route(
        name="get_profile",
        method="GET",
        path="/v1/profiles/{name}",
        handler=get_profile,
        summary="One profile",
        key=Key.ALWAYS,
        scope="thresholds:read",
        answer=ProfileBody,
        errors=(NotFound,),
        example_answer=examples.PROFILE,
    ),
    Route(
        name="put_profile",
        method="PUT",
        path="/v1/profiles/{name}",
        handler=put_profile,
        summary="Save cutoffs under a name",
        description=(
            "Makes it, or replaces it. Pairs and searches with a key of the project then take it as `profile`, at once. A name has 1 to "
            "64 lower-case letters, digits, - and _."
        ),
        key=Key.ALWAYS,
        scope="thresholds:write",
        bodies={JSON: ProfileRequest},
        answer=ProfileBody,
        errors=(Conflict,),
        example_request={"cutoffs": {"image": 0.72}, "note": "pilot of November"},
        example_answer=examples.PROFILE,
    ),
    Route(
        name="delete_profile",
        method="DELETE",
        path="/v1/profiles/{name}",
        handler=delete_profile,
        summary="Delete a profile",
        description="Requests that still name it are refused.",
        key=Key.ALWAYS,
        scope="thresholds:write",
        status=204,
        errors=(NotFound,),
    ),
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
    Route(
        name="list_policies",
        method="GET",
        path="/v1/policies",
        handler=list_policies,
        summary="The project's policies, by name",
        key=Key.ALWAYS,
        scope="thresholds:read",
        answer=PolicyListBody,
        example_answer={"policies": [examples.POLICY]},
    ),
    Route(
        name="get_policy",
        method="GET",
        path="/v1/policies/{name}",
        handler=get_policy,
        summary="One policy",
        key=Key.ALWAYS,
        scope="thresholds:read",
        answer=PolicyBody,
        errors=(NotFound,),
        example_answer=examples.POLICY,
    ),
    Route(
        name="put_policy",
        method="PUT",
        path="/v1/policies/{name}",
        handler=put_policy,
        summary="Save lanes under a name",
        description=(
            "Makes it, or replaces it. Pairs and searches that name it as `policy` then say in which `lane` each score falls: the one that "
            "begins highest of those that it reaches, or `otherwise`. One to eight lanes, named as you like."
        ),
        key=Key.ALWAYS,
        scope="thresholds:write",
        bodies={JSON: PolicyRequest},
        answer=PolicyBody,
        errors=(Conflict,),
        example_request={"lanes": {"auto_block": 0.95, "review": 0.7}, "otherwise": "pass"},
        example_answer=examples.POLICY,
    ),
    Route(
        name="delete_policy",
        method="DELETE",
        path="/v1/policies/{name}",
        handler=delete_policy,
        summary="Delete a policy",
        description="Requests that still name it are refused.",
        key=Key.ALWAYS,
        scope="thresholds:write",
        status=204,
        errors=(NotFound,),
    ),
)
