"""The gateway's way to the index: plain values in, the bodies of the public API out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import grpc
import msgspec
from msgspec import UNSET, UnsetType

from gateway.index_schemas import (
    AcceptedBody,
    AssetBody,
    AssetFields,
    AssetListBody,
    AssetQuery,
    AssetSearchRequest,
    FailureBody,
    HashSearchRequest,
    HitBody,
    IndexRequest,
    JobBody,
    JobKind,
    JobListBody,
    JobStatus,
    ProgressBody,
    SearchBody,
    SearchRequest,
    Status,
    UrlSearchRequest,
)
from gateway.rate_limits import Rate
from gateway.schemas import SegmentBody
from mesh import client
from mesh.errors import NotAvailable
from mesh.media import MediaType
from mesh.wire import cutoffs_from_proto, media_type_from_proto, media_type_to_proto, result_from_proto
from protos import index_pb2, index_pb2_grpc

_STATUSES: Final[tuple[Status, ...]] = ("pending", "processing", "ready", "failed")
STATUS = {getattr(index_pb2, f"ASSET_STATUS_{status.upper()}"): status for status in _STATUSES}
_KINDS: Final[tuple[JobKind, ...]] = ("asset", "csv", "zip", "refingerprint")
_KIND = {getattr(index_pb2, f"JOB_KIND_{kind.upper()}"): kind for kind in _KINDS}
STATUS_NUMBER = {status: number for number, status in STATUS.items()}


@dataclass(frozen=True, slots=True)
class Grant:
    """What a valid key allows."""

    project: str
    key_id: str
    scopes: frozenset[str]
    rate: Rate | None = None
    features: frozenset[str] = frozenset()
    logs_decisions: bool = False
    default_cutoffs: Mapping[MediaType, float] = field(default_factory=dict)
    """Of the project's profile `default`."""


class IndexClient:
    def __init__(self, channel: grpc.aio.Channel | None) -> None:
        self._channel = channel

    @property
    def is_there(self) -> bool:
        """Whether this mesh has one at all."""
        return self._channel is not None

    @property
    def stub(self) -> index_pb2_grpc.IndexServiceStub:
        if self._channel is None:
            raise NotAvailable("the index is not running here")
        return index_pb2_grpc.IndexServiceStub(self._channel)

    async def authenticate(self, key: str) -> Grant:
        found = await client.ask(self.stub.Authenticate, index_pb2.AuthenticateRequest(key=key))
        rate = Rate(found.rate_requests, found.rate_seconds) if found.rate_requests else None
        cutoffs = cutoffs_from_proto(found.default_cutoffs)
        scopes, features = frozenset(found.scopes), frozenset(found.features)
        return Grant(found.project_id, found.key_id, scopes, rate, features, found.logs_decisions, cutoffs)

    async def index_asset(self, project: str, medium: MediaType, wanted: IndexRequest, idempotency_key: str) -> AcceptedBody:
        request = asset_to_proto(wanted)
        request.project_id, request.media_type, request.url = project, media_type_to_proto(medium), wanted.url
        request.idempotency_key = idempotency_key
        accepted = await client.ask(self.stub.IndexAsset, request)
        return AcceptedBody(asset_id=accepted.asset_id, job_id=accepted.job_id, status=STATUS[accepted.status])

    async def get_asset(self, project: str, asset_id: str) -> AssetBody:
        found = await client.ask(self.stub.GetAsset, index_pb2.GetAssetRequest(project_id=project, asset_id=asset_id))
        return asset_from_proto(found.asset)

    async def list_assets(self, project: str, wanted: AssetQuery) -> AssetListBody:
        request = index_pb2.ListAssetsRequest(
            project_id=project,
            limit=wanted.limit,
            cursor=wanted.cursor,
            status=STATUS_NUMBER[wanted.status] if wanted.status else None,
            media_type=media_type_to_proto(wanted.type) if wanted.type else None,
            collection=None if wanted.collection is UNSET else wanted.collection,
            name=None if wanted.name is UNSET else wanted.name,
        )
        found = await client.ask(self.stub.ListAssets, request)
        return AssetListBody(assets=[asset_from_proto(asset) for asset in found.assets], next_cursor=found.next_cursor or None)

    async def delete_asset(self, project: str, asset_id: str) -> None:
        await client.ask(self.stub.DeleteAsset, index_pb2.DeleteAssetRequest(project_id=project, asset_id=asset_id))

    async def retry_asset(self, project: str, asset_id: str) -> AcceptedBody:
        accepted = await client.ask(self.stub.RetryAsset, index_pb2.RetryAssetRequest(project_id=project, asset_id=asset_id))
        # An index from before says none: it took what had failed, and nothing else.
        return AcceptedBody(asset_id=asset_id, job_id=accepted.job_id, status=STATUS.get(accepted.status, "pending"))

    async def get_job(self, project: str, job_id: str) -> JobBody:
        found = await client.ask(self.stub.GetJob, index_pb2.GetJobRequest(project_id=project, job_id=job_id))
        return job_body(found.job)

    async def list_jobs(self, project: str, cursor: str, limit: int) -> JobListBody:
        found = await client.ask(self.stub.ListJobs, index_pb2.ListJobsRequest(project_id=project, cursor=cursor, limit=limit))
        return JobListBody(jobs=[job_body(job) for job in found.jobs], next_cursor=found.next_cursor or None)

    async def search(self, project: str, medium: MediaType, wanted: SearchRequest) -> tuple[SearchBody, dict[str, float], Sequence[Any]]:
        """The page of hits, the milliseconds of each stage, and the quotas that it used."""
        request = search_to_proto(wanted)
        request.project_id, request.media_type = project, media_type_to_proto(medium)
        return search_from_proto(await client.ask(self.stub.Search, request), wanted)


def asset_to_proto(said: AssetFields) -> index_pb2.IndexAssetRequest:
    """All that can be said of an asset, but what and whose it is."""
    return index_pb2.IndexAssetRequest(
        name=said.name or "",
        collection=said.collection or "",
        metadata=_json(said.metadata),
        owner=said.owner or "",
        ttl_seconds=said.ttl_seconds,
        on_duplicate=getattr(index_pb2, f"ON_DUPLICATE_{said.on_duplicate.upper()}"),
    )


def search_to_proto(wanted: SearchRequest) -> index_pb2.SearchRequest:
    """All that can be wanted, but whose and of what medium."""
    request = index_pb2.SearchRequest(
        threshold=wanted.threshold,
        min_coverage=wanted.min_coverage,
        limit=wanted.limit,
        collections=wanted.collections,
        filter=_json(wanted.filter),
        exclude_self=wanted.exclude_self,
        cursor=wanted.cursor or "",
        media_types=map(media_type_to_proto, wanted.media_types or ()),
        profile=wanted.profile or "",
        policy=wanted.policy or "",
    )
    match wanted:
        case UrlSearchRequest():
            request.url = wanted.url
        case AssetSearchRequest():
            request.asset_id = wanted.asset_id
        case HashSearchRequest():
            request.hash.CopyFrom(index_pb2.Hash(kind=hash_kind_to_proto(wanted.kind), value=wanted.hash))
    return request


def search_from_proto(found: index_pb2.SearchResponse, wanted: SearchRequest) -> tuple[SearchBody, dict[str, float], Sequence[Any]]:
    """The page of hits, the milliseconds of each stage, and the quotas that it used."""
    body = SearchBody(
        results=[_hit(hit, wanted) for hit in found.hits],
        next_cursor=found.next_cursor or None,
        processing_time_ms=found.processing_time_ms,
    )
    return body, {timing.stage: timing.milliseconds for timing in found.timings}, found.quotas


def hash_kind_to_proto(kind: str) -> Any:
    return getattr(index_pb2, f"HASH_KIND_{kind.upper()}")


def asset_from_proto(asset: index_pb2.Asset) -> AssetBody:
    return AssetBody(
        id=asset.id,
        name=asset.name or None,
        media_type=media_type_from_proto(asset.media_type),
        status=STATUS[asset.status],
        error=failure_body(asset),
        collection=asset.collection or None,
        metadata=json.loads(asset.metadata),
        created_at=shown_time(asset.created_at),
        ready_at=shown_time(asset.ready_at) if asset.HasField("ready_at") else None,
        duplicate_of=asset.duplicate_of or UNSET,
        found_through=_found_through(asset),
    )


def _found_through(asset: index_pb2.Asset) -> list[MediaType] | UnsetType:
    if (media_type_from_proto(asset.media_type), STATUS[asset.status]) != (MediaType.VIDEO, "ready"):
        return UNSET
    return [MediaType.VIDEO, MediaType.AUDIO] if asset.is_heard else [MediaType.VIDEO]


def job_body(job: index_pb2.Job) -> JobBody:
    progress = ProgressBody(**{field: getattr(job.progress, field) for field in ("total", *_STATUSES)})
    return JobBody(
        id=job.id,
        kind=_KIND[job.kind],
        status=_job_status(job, progress),
        media_type=media_type_from_proto(job.media_type) if job.media_type else None,
        asset_id=job.asset_id or None,
        progress=progress,
        error=failure_body(job),
        created_at=shown_time(job.created_at),
        finished_at=shown_time(job.finished_at) if job.HasField("finished_at") else None,
    )


def _job_status(job: index_pb2.Job, progress: ProgressBody) -> JobStatus:
    """As an asset's, of the assets that are still there: ready as soon as any is and none is awaited."""
    if job.is_cancelled:
        return "cancelled"
    if progress.processing or (progress.pending and progress.pending < progress.total):
        return "processing"
    if progress.pending or job.is_reading:
        return "pending"
    return "failed" if (progress.failed or job.error_code) and not progress.ready else "ready"


def _hit(hit: index_pb2.Hit, wanted: SearchRequest) -> HitBody:
    result = result_from_proto(hit.result)
    is_in_time = result.media_type is not MediaType.IMAGE
    body = HitBody(
        asset_id=hit.asset.id,
        name=hit.asset.name or None,
        media_type=media_type_from_proto(hit.asset.media_type),
        similarity=result.similarity_score,
        coverage=result.coverage.source if result.coverage and is_in_time else None,
        matched_segments=[msgspec.convert(segment, SegmentBody, from_attributes=True) for segment in result.matched_segments],
        confidence=result.confidence,
        collection=hit.asset.collection or None,
        metadata=json.loads(hit.asset.metadata),
        lane=hit.lane or UNSET,
    )
    if "strong" in wanted.include:
        body.strong = hit.is_strong if hit.HasField("is_strong") else None
    if wanted.media_types:
        body.matched_through = result.media_type
    return body


def failure_body(found: index_pb2.Asset | index_pb2.Job | index_pb2.JobRow) -> FailureBody | None:
    return FailureBody(code=found.error_code, message=found.error_message) if found.error_code else None


def _json(value: dict[str, Any] | None) -> str:
    return json.dumps(value) if value else ""


def shown_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
