"""One source against one target, by URL or as files that stream through; or against many, each for itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from aiohttp import web
from msgspec import UNSET

from gateway import examples
from gateway.clients import Heard
from gateway.decider import Decider, Deciders
from gateway.form import Form
from gateway.handlers import MESH, add_timing, json_response, read_json_body
from gateway.matcher_client import MatcherClient, Side
from gateway.pair_form import PairForm
from gateway.routes import CALLER, FORM, JSON, MESH_ERRORS, SETTINGS, Handler, Key, Route, media_errors
from gateway.schemas import (
    MAX_BATCH_BYTES,
    BatchBody,
    BatchRequest,
    FailureDetail,
    MatchBody,
    MatchForm,
    MatchOptionFields,
    MatchRequest,
    TargetBody,
    match_body,
    read_body,
)
from gateway.settings import Settings
from mesh import call
from mesh.errors import MeshError
from mesh.media import Include, MatchResult, MediaType


def match(medium: MediaType) -> Handler:
    """POST /{medium}/match"""

    async def handle(request: web.Request) -> web.Response:
        started = time.perf_counter()
        read = _match_form if request.content_type == FORM else _match_urls
        wanted, decider, (result, sound) = await read(request, medium)
        await decider.record([result])
        has_label_none = request.app[SETTINGS].confidence_none
        body = match_body(
            result, wanted.include, has_label_none=has_label_none, sound=sound, request_id=call.request_id(), lane=decider.lane(result)
        )
        response = json_response(body)
        add_timing(response, result.timings, started)
        return response

    return handle


Answered = tuple[MatchOptionFields, Decider, Heard]


def _deciders(request: web.Request, medium: MediaType, endpoint: str) -> Deciders:
    mesh = request.app[MESH]
    return Deciders(mesh.thresholds, mesh.decisions, request[CALLER], endpoint, medium)


async def _match_urls(request: web.Request, medium: MediaType) -> Answered:
    wanted = read_body(await read_json_body(request, request.app[SETTINGS].gateway_client_seconds), MatchRequest)
    decider = await _deciders(request, medium, f"match_{medium}").of(wanted)
    return wanted, decider, await request.app[MESH].match_with_sound(medium, wanted.source_url, wanted.target_url, decider.options)


async def _match_form(request: web.Request, medium: MediaType) -> Answered:
    """It may take longer than other requests, as long as it goes on."""
    settings = request.app[SETTINGS]
    call.begin(call.request_id(), settings.gateway_upload_seconds)
    deciders = _deciders(request, medium, f"match_{medium}")
    async with PairForm(Form(request, settings.gateway_client_seconds), request.app[MESH], medium, deciders).answered() as answer:
        return answer


def match_batch(medium: MediaType) -> Handler:
    """POST /{medium}/match/batch"""

    async def handle(request: web.Request) -> web.Response:
        started = time.perf_counter()
        settings = request.app[SETTINGS]
        wanted = read_body(await read_json_body(request, settings.gateway_client_seconds, MAX_BATCH_BYTES), BatchRequest)
        call.begin(call.request_id(), settings.gateway_batch_seconds)
        decider = await _deciders(request, medium, f"match_{medium}_batch").of(wanted)
        batch = _Batch(request.app[MESH].matcher(medium), wanted, decider, settings)
        outcomes, sounds = await batch.run(), {}
        if medium is MediaType.VIDEO and Include.AUDIO in wanted.include:
            sounds = await _heard(_Batch(request.app[MESH].matcher(MediaType.AUDIO), wanted, decider, settings))
        await decider.record(outcome for url in wanted.target_urls if isinstance(outcome := outcomes[url], MatchResult))
        results = [_target_body(url, outcomes[url], sounds.get(url), wanted, decider, settings) for url in wanted.target_urls]
        succeeded = sum(result.error is UNSET for result in results)
        body = BatchBody(results=results, succeeded=succeeded, failed=len(results) - succeeded, processing_time_ms=int(batch.spent_ms))
        response = json_response(body)
        add_timing(response, {}, started)
        return response

    return handle


Outcomes = dict[str, MatchResult | MeshError]


class _Batch:
    """One source, and the targets against it: each URL once, a few at a time, each with the time that a pair has."""

    def __init__(self, matcher: MatcherClient, wanted: BatchRequest, decider: Decider, settings: Settings) -> None:
        self._matcher = matcher
        self._wanted = wanted
        self._options = replace(decider.options, include=frozenset(wanted.include) - {Include.AUDIO})
        self._has_hashes = Include.HASHES in wanted.include
        self._target_seconds = settings.gateway_match_seconds
        self._turns = asyncio.Semaphore(settings.gateway_batch_concurrency)
        self.spent_ms = 0.0

    @property
    def urls(self) -> list[str]:
        return list(dict.fromkeys(self._wanted.target_urls))

    async def run(self) -> Outcomes:
        """By URL; raises what is wrong with the source."""
        source = await self._matcher.take_url("source_url", self._wanted.source_url, has_hashes=self._has_hashes)
        self.spent_ms += source.processing_ms
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._outcome(source, url)) for url in self.urls]
        return {url: task.result() for url, task in zip(self.urls, tasks, strict=True)}

    async def _outcome(self, source: Side, url: str) -> MatchResult | MeshError:
        async with self._turns:
            try:
                # Of this task alone, and never more than what the batch has left.
                call.begin(call.request_id(), min(self._target_seconds, call.remaining_seconds()))
                return await self._compare(source, url)
            except MeshError as error:
                return error

    async def _compare(self, source: Side, url: str) -> MatchResult:
        target = await self._matcher.take_url("target_url", url, has_hashes=self._has_hashes)
        result = await self._matcher.compare(source, target, self._options)
        self.spent_ms += target.processing_ms + result.timings.get("compare", 0.0)
        return result


async def _heard(batch: _Batch) -> Outcomes:
    """What the sound tracks say is another witness: where it fails, the films' own outcomes stand."""
    try:
        return await batch.run()
    except MeshError as error:
        return dict.fromkeys(batch.urls, error)


def _target_body(
    url: str,
    outcome: MatchResult | MeshError,
    sound: MatchResult | MeshError | None,
    wanted: BatchRequest,
    decider: Decider,
    settings: Settings,
) -> TargetBody:
    if isinstance(outcome, MeshError):
        error = FailureDetail(code=outcome.code, message=outcome.message, details=outcome.details or UNSET)
        return TargetBody(target_url=url, error=error)
    body = match_body(
        outcome,
        wanted.include,
        has_label_none=settings.confidence_none,
        sound=sound,
        request_id=call.request_id(),
        lane=decider.lane(outcome),
    )
    return TargetBody(target_url=url, result=body)


def _media_routes(medium: MediaType) -> Iterable[Route]:
    yield Route(
        name=f"match_{medium}",
        method="POST",
        path=f"/{medium}/match",
        handler=match(medium),
        summary=f"Compare two {examples.PLURAL[medium]}",
        description=examples.PAIR_DESCRIPTION[medium],
        key=Key.WITH_AUTH,
        work=("match", medium),
        bodies={JSON: MatchRequest, FORM: MatchForm},
        answer=MatchBody,
        answer_headers=("Server-Timing",),
        errors=(*media_errors(medium), *MESH_ERRORS),
        example_request=examples.PAIR_REQUEST[medium],
        example_answer=examples.PAIR_ANSWER[medium],
    )
    yield Route(
        name=f"match_{medium}_batch",
        method="POST",
        path=f"/{medium}/match/batch",
        handler=match_batch(medium),
        summary=f"Compare {examples.ONE[medium]} with many",
        description=examples.BATCH_DESCRIPTION,
        key=Key.WITH_AUTH,
        work=("match", medium),
        bodies={JSON: BatchRequest},
        answer=BatchBody,
        answer_headers=("Server-Timing",),
        errors=(*media_errors(medium), *MESH_ERRORS),
        example_request=examples.BATCH_REQUEST[medium],
        example_answer=examples.BATCH_ANSWER[medium],
    )


ROUTES: Final = tuple(route for medium in MediaType for route in _media_routes(medium))
