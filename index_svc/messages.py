"""Between the index's plain values and protobuf: one function a direction and message."""

from __future__ import annotations

import json
from collections.abc import Set
from dataclasses import fields
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from index_svc import keys
from index_svc.cursors import cursor_of, read_cursor
from index_svc.hashes import NEAR, HashKind, checked_hash
from index_svc.query import Query
from index_svc.records import (
    Asset,
    AssetDraft,
    AssetFilter,
    AssetStatus,
    Hit,
    Job,
    JobKind,
    JobRow,
    Key,
    Narrowing,
    OnDuplicate,
    Project,
    ProjectSettings,
    VersionCount,
)
from index_svc.search import Found
from index_svc.sources import Source
from index_svc.texts import MAX_URL_CHARACTERS, checked_object, checked_text, known_id
from index_svc.usage_messages import quota_to_proto
from mesh.errors import InvalidRequest
from mesh.media import MediaType
from mesh.wire import media_type_from_proto, media_type_to_proto, result_to_proto
from protos import index_pb2, media_pb2

MAX_DAYS: Final = 36_525
_ON_DUPLICATE = {getattr(index_pb2, f"ON_DUPLICATE_{word.name}"): word for word in OnDuplicate}
_HASH_KIND: dict[int, HashKind] = {getattr(index_pb2, f"HASH_KIND_{kind.name}"): kind for kind in HashKind}
_KIND = {kind: getattr(index_pb2, f"JOB_KIND_{kind.name}") for kind in JobKind}
_STATUS = {status: getattr(index_pb2, f"ASSET_STATUS_{status.name}") for status in AssetStatus}


def project_to_proto(project: Project) -> index_pb2.Project:
    return index_pb2.Project(
        id=str(project.id),
        name=project.name,
        plan=project.plan,
        created_at=project.created_at.timestamp(),
        settings=settings_to_proto(project.settings),
    )


def key_to_proto(key: Key) -> index_pb2.Key:
    return index_pb2.Key(
        id=key.id,
        prefix=keys.shown_prefix(key.id),
        name=key.name,
        scopes=key.scopes,
        created_at=key.created_at.timestamp(),
        expires_at=_seconds(key.expires_at),
        revoked_at=_seconds(key.revoked_at),
        last_used_at=_seconds(key.last_used_at),
        requests_per_second=key.requests_per_second,
        burst_seconds=key.burst_seconds,
    )


def asset_to_proto(asset: Asset) -> index_pb2.Asset:
    is_ready = asset.status is AssetStatus.READY
    return index_pb2.Asset(
        id=str(asset.id),
        name=asset.name,
        media_type=media_type_to_proto(asset.media_type),
        status=_STATUS[asset.status],
        error_code=asset.error_code or "",
        error_message=asset.error_message or "",
        collection=asset.collection,
        metadata=json.dumps(asset.metadata),
        owner=asset.owner,
        created_at=asset.created_at.timestamp(),
        ready_at=_seconds(asset.finished_at) if is_ready else None,
        duplicate_of=str(asset.duplicate_of) if asset.duplicate_of else "",
        is_heard=asset.is_heard,
    )


def job_to_proto(job: Job) -> index_pb2.Job:
    return index_pb2.Job(
        id=str(job.id),
        asset_id=str(job.asset_id) if job.asset_id else "",
        progress=index_pb2.JobProgress(total=job.total, **{status.value: count for status, count in job.counts.items()}),
        created_at=job.created_at.timestamp(),
        finished_at=_seconds(job.finished_at),
        media_type=media_type_to_proto(job.media_type) if job.media_type else None,
        error_code=job.error_code or "",
        error_message=job.error_message or "",
        kind=_KIND[job.kind],
        is_reading=job.is_reading,
        is_cancelled=job.is_cancelled,
    )


def version_to_proto(count: VersionCount, is_current: bool | None) -> index_pb2.AssetVersion:
    return index_pb2.AssetVersion(
        media_type=media_type_to_proto(count.media_type),
        algorithm=count.kind.algorithm,
        version=count.kind.version,
        assets=count.assets,
        is_current=is_current,
        through=media_type_to_proto(count.through),
    )


def row_to_proto(row: JobRow) -> index_pb2.JobRow:
    return index_pb2.JobRow(
        line=row.line,
        file=row.file or "",
        status=_STATUS[row.status],
        asset_id=str(row.asset_id) if row.asset_id else "",
        media_type=media_type_to_proto(row.media_type) if row.media_type else None,
        name=row.name,
        error_code=row.error_code or "",
        error_message=row.error_message or "",
    )


def hit_to_proto(hit: Hit) -> index_pb2.Hit:
    return index_pb2.Hit(asset=asset_to_proto(hit.asset), result=result_to_proto(hit.result), is_strong=hit.is_strong, lane=hit.lane)


def draft_from_proto(request: index_pb2.IndexAssetRequest, media_type: MediaType) -> AssetDraft:
    return AssetDraft(
        media_type=media_type,
        url=checked_text(request.url, "url", max_characters=MAX_URL_CHARACTERS),
        name=checked_text(request.name, "name"),
        collection=checked_text(request.collection, "collection"),
        owner=checked_text(request.owner, "owner"),
        metadata=checked_object(request.metadata, "metadata"),
        ttl_seconds=request.ttl_seconds if request.HasField("ttl_seconds") else None,
        on_duplicate=_ON_DUPLICATE.get(request.on_duplicate, OnDuplicate.INDEX),
    )


def query_from_proto(request: index_pb2.SearchRequest, media_type: MediaType) -> Query:
    asset = known_id(request.asset_id, "asset") if request.HasField("asset_id") else None
    media_types = [media_type_from_proto(number) for number in request.media_types]
    return Query(
        media_type=media_type,
        source=Source(checked_text(request.url, "url", max_characters=MAX_URL_CHARACTERS)) if request.HasField("url") else None,
        asset=asset,
        hash=hash_from_proto(request.hash, {media_type, *media_types}) if request.HasField("hash") else None,
        media_types=media_types,
        threshold=request.threshold if request.HasField("threshold") else None,
        min_coverage=request.min_coverage,
        limit=request.limit,
        offset=read_cursor(request.cursor) or 0,
        narrowing=Narrowing(
            collections=[checked_text(collection, "collections") for collection in request.collections],
            metadata=checked_object(request.filter, "filter"),
            without=asset if request.exclude_self else None,
        ),
        profile=request.profile,
        policy=request.policy,
    )


def found_to_proto(found: Found) -> index_pb2.SearchResponse:
    return index_pb2.SearchResponse(
        hits=map(hit_to_proto, found.hits),
        processing_time_ms=int(sum(found.timings.values())),
        timings=[media_pb2.Timing(stage=stage, milliseconds=spent) for stage, spent in found.timings.items()],
        next_cursor=cursor_of(found.next_offset) if found.next_offset else "",
        quotas=map(quota_to_proto, found.quotas),
    )


def hash_from_proto(message: index_pb2.Hash, media_types: Set[MediaType]) -> tuple[HashKind, str]:
    """A hash of a kind that media of all these types can have."""
    kind = kind_from_proto(message.kind)
    if kind in NEAR and media_types != {MediaType.IMAGE}:
        raise InvalidRequest(f"kind: {kind} is of images", field="kind")
    return kind, checked_hash(kind, message.value)


def kind_from_proto(number: int) -> HashKind:
    if number not in _HASH_KIND:
        raise InvalidRequest("kind must be one of " + ", ".join(HashKind), field="kind")
    return _HASH_KIND[number]


def kind_to_proto(kind: HashKind) -> int:
    return next(number for number, known in _HASH_KIND.items() if known is kind)


def settings_from_proto(message: index_pb2.ProjectSettings) -> ProjectSettings:
    scores = {}
    for name in ("image_threshold", "audio_threshold", "video_threshold", "strong_coverage"):
        scores[name] = getattr(message, name) if message.HasField(name) else None
        if not 0.0 <= (scores[name] or 0.0) <= 1.0:
            raise InvalidRequest(f"{name} must be from 0 to 1", field=name)
    days: dict[str, int | None] = {}
    for name in ("media_days", "decision_days"):
        days[name] = getattr(message, name) if message.HasField(name) else None
        if message.HasField(name) and not 1 <= getattr(message, name) <= MAX_DAYS:
            raise InvalidRequest(f"{name} must be from 1 to {MAX_DAYS}", field=name)
    return ProjectSettings(store_media=message.store_media, decision_log=message.decision_log, **days, **scores)


def settings_to_proto(settings: ProjectSettings) -> index_pb2.ProjectSettings:
    return index_pb2.ProjectSettings(**{field.name: getattr(settings, field.name) for field in fields(ProjectSettings)})


def retried_to_proto(job: UUID, status: AssetStatus) -> index_pb2.RetryAssetResponse:
    return index_pb2.RetryAssetResponse(job_id=str(job), status=_STATUS[status])


def status_from_proto(number: int) -> AssetStatus | None:
    by_number = {number: status for status, number in _STATUS.items()}
    if number and number not in by_number:
        raise InvalidRequest(f"status has no meaning for {number}", field="status")
    return by_number.get(number)


def filter_from_proto(request: index_pb2.ListAssetsRequest) -> AssetFilter:
    return AssetFilter(
        status=status_from_proto(request.status),
        media_type=media_type_from_proto(request.media_type) if request.media_type else None,
        collection=checked_text(request.collection, "collection") if request.HasField("collection") else None,
        name=checked_text(request.name, "name") if request.HasField("name") else None,
    )


def moment(seconds: float, field: str) -> datetime:
    """A time from its seconds since 1970."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError) as problem:
        raise InvalidRequest(f"{field} is no time", field=field) from problem


def _seconds(time: datetime | None) -> float | None:
    return time.timestamp() if time else None
