"""Between plans, quotas and protobuf: one function a direction and message."""

from __future__ import annotations

from index_svc.plans import Plan, Quota
from protos import usage_pb2

_NUMBERS = (
    *("max_ready_images", "max_ready_videos", "max_ready_audio", "max_search_bytes", "max_searches", "max_calls"),
    "requests_per_second",
)


def plan_to_proto(plan: Plan) -> usage_pb2.Plan:
    return usage_pb2.Plan(
        name=plan.name,
        features=plan.features,
        search_soft_factor=plan.search_soft_factor,
        burst_seconds=plan.burst_seconds,
        **{name: getattr(plan, name) for name in _NUMBERS},
    )


def plan_from_proto(message: usage_pb2.Plan) -> Plan:
    return Plan(
        name=message.name,
        features=sorted(set(message.features)),
        search_soft_factor=message.search_soft_factor or 1.0,
        burst_seconds=message.burst_seconds or 1,
        **{name: getattr(message, name) if message.HasField(name) else None for name in _NUMBERS},
    )


def quota_to_proto(quota: Quota) -> usage_pb2.Quota:
    return usage_pb2.Quota(
        policy=quota.policy,
        used=quota.used,
        limit=quota.limit,
        soft_limit=quota.soft_limit,
        resets_at=quota.resets_at.timestamp() if quota.resets_at else None,
    )
