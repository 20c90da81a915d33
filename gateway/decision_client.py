"""The gateway's way to the decision log: results in, rows as they are given out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import grpc
from msgspec import UNSET

from gateway.index_client import shown_time
from gateway.threshold_schemas import DecisionFilterFields, DecisionQuery
from mesh import call, client
from mesh.errors import InvalidRequest, NotAvailable
from mesh.media import MatchResult
from mesh.wire import confidence_from_proto, confidence_to_proto, media_type_from_proto, media_type_to_proto
from protos import decisions_pb2, decisions_pb2_grpc


@dataclass(frozen=True, slots=True)
class Decided:
    """A pair's result, and what decided it."""

    endpoint: str
    result: MatchResult
    threshold: float
    profile: str
    policy: str
    lane: str


class DecisionClient:
    def __init__(self, channel: grpc.aio.Channel | None) -> None:
        self._channel = channel

    async def record(self, project: str, decided: Sequence[Decided]) -> None:
        """Once it returns they are on disk."""
        request = decisions_pb2.RecordDecisionsRequest(project_id=project, decisions=[_to_proto(one) for one in decided])
        await client.ask(self._stub.RecordDecisions, request)

    async def read(self, project: str, wanted: DecisionQuery) -> AsyncGenerator[list[dict[str, Any]], None]:
        """Batches of rows."""
        asked = _filter(wanted)
        asked.policy, asked.lane = wanted.policy, wanted.lane
        request = decisions_pb2.ReadDecisionsRequest(project_id=project, filter=asked, after=wanted.after, limit=wanted.limit)
        async with aclosing(client.ask_stream(self._stub.ReadDecisions, request)) as responses:
            async for response in responses:
                yield [_row(decision) for decision in response.decisions]

    async def count(self, project: str, wanted: DecisionFilterFields, floors: Sequence[float]) -> tuple[int, list[int]]:
        request = decisions_pb2.CountDecisionsRequest(project_id=project, filter=_filter(wanted), floors=floors)
        counted = await client.ask(self._stub.CountDecisions, request)
        return counted.total, list(counted.reaching)

    @property
    def _stub(self) -> decisions_pb2_grpc.DecisionServiceStub:
        if self._channel is None:
            raise NotAvailable("the index is not running here")
        return decisions_pb2_grpc.DecisionServiceStub(self._channel)


def _to_proto(decided: Decided) -> decisions_pb2.Decision:
    result, made = decided.result, decided.result.provenance
    source, target = (made.source, made.target) if made else ({}, {})
    return decisions_pb2.Decision(
        request_id=call.request_id(),
        endpoint=decided.endpoint,
        media_type=media_type_to_proto(result.media_type),
        source_sha256=source.get("sha256", ""),
        target_sha256=target.get("sha256", ""),
        source_pdq=source.get("pdq", ""),
        target_pdq=target.get("pdq", ""),
        score=result.similarity_score,
        confidence=confidence_to_proto(result.confidence),
        is_match=result.match,
        threshold=decided.threshold,
        profile=decided.profile,
        policy=decided.policy,
        lane=decided.lane,
        algorithm=made.algorithm if made else "",
        version=made.version if made else 0,
    )


def _filter(wanted: DecisionFilterFields) -> decisions_pb2.DecisionFilter:
    return decisions_pb2.DecisionFilter(
        since=None if wanted.since is UNSET else _seconds(wanted.since, "since"),
        until=None if wanted.until is UNSET else _seconds(wanted.until, "until"),
        endpoint=wanted.endpoint,
        media_type=None if wanted.type is UNSET else media_type_to_proto(wanted.type),
        is_match=None if wanted.match is UNSET else wanted.match,
        request_id=wanted.request_id,
        min_score=None if wanted.min_score is UNSET else wanted.min_score,
    )


def _seconds(text: str, field: str) -> float:
    """A time without a zone is UTC."""
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as problem:
        raise InvalidRequest(f"{field} is no time such as 2026-11-21T10:15:30Z", field=field) from problem


def _row(decision: decisions_pb2.Decision) -> dict[str, Any]:
    is_search = decision.endpoint.startswith("search_")
    return {
        "number": decision.number,
        "time": shown_time(decision.at),
        "request_id": decision.request_id,
        "endpoint": decision.endpoint,
        "media_type": media_type_from_proto(decision.media_type).value,
        "source_sha256": decision.source_sha256 or None,
        "target_sha256": decision.target_sha256 or None,
        "source_pdq": decision.source_pdq or None,
        "target_pdq": decision.target_pdq or None,
        "score": decision.score if decision.HasField("score") else None,
        "confidence": confidence_from_proto(decision.confidence).value,
        "match": decision.is_match,
        "threshold": decision.threshold,
        "profile": decision.profile or None,
        "policy": decision.policy or None,
        "lane": decision.lane or None,
        "algorithm": decision.algorithm or None,
        "version": decision.version or None,
        "hits": [{"asset_id": hit.asset_id, "similarity": hit.score} for hit in decision.hits] if is_search else None,
    }
