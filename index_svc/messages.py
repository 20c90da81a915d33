"""Between the index's plain values and protobuf: one function a direction and message."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from index_svc import keys
from index_svc.records import Asset, AssetFilter, AssetStatus, Hit, Job, Key, Project
from index_svc.texts import checked_text
from mesh.errors import InvalidRequest
from mesh.wire import media_type_from_proto, media_type_to_proto, result_to_proto
from protos import index_pb2

_STATUS = {status: getattr(index_pb2, f"ASSET_STATUS_{status.name}") for status in AssetStatus}


def project_to_proto(project: Project) -> index_pb2.Project:
    return index_pb2.Project(id=str(project.id), name=project.name, plan=project.plan, created_at=project.created_at.timestamp())


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
    )


def job_to_proto(job: Job) -> index_pb2.Job:
    return index_pb2.Job(
        id=str(job.id),
        asset_id=str(job.asset_id) if job.asset_id else "",
        progress=index_pb2.JobProgress(total=job.total, **{status.value: count for status, count in job.counts.items()}),
        created_at=job.created_at.timestamp(),
        finished_at=_seconds(job.finished_at),
        media_type=media_type_to_proto(job.media_type),
        error_code=job.error_code or "",
        error_message=job.error_message or "",
    )


def hit_to_proto(hit: Hit) -> index_pb2.Hit:
    return index_pb2.Hit(asset=asset_to_proto(hit.asset), result=result_to_proto(hit.result))


def filter_from_proto(request: index_pb2.ListAssetsRequest) -> AssetFilter:
    by_number = {number: status for status, number in _STATUS.items()}
    if request.status and request.status not in by_number:
        raise InvalidRequest(f"status has no meaning for {request.status}", field="status")
    return AssetFilter(
        status=by_number.get(request.status),
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
