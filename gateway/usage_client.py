"""The gateway's way to what the index counts: plain values in, limits and the bodies of the public API out."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import grpc

from gateway.access import Caller
from gateway.index_client import shown_time
from gateway.rate_limits import Limit, Rate, unit_of
from gateway.usage_schemas import IndexedBody, PeriodBody, QuotaBody, QuotasBody, RateBody, UsageBody
from mesh import client
from mesh.errors import NotAvailable
from protos import usage_pb2, usage_pb2_grpc


class UsageClient:
    def __init__(self, channel: grpc.aio.Channel | None) -> None:
        self._channel = channel

    @property
    def _stub(self) -> usage_pb2_grpc.UsageServiceStub:
        if self._channel is None:
            raise NotAvailable("the index is not running here")
        return usage_pb2_grpc.UsageServiceStub(self._channel)

    async def plan_rates(self) -> dict[str, Rate | None]:
        """Of every plan, by its name."""
        found = await client.ask(self._stub.ListPlans, usage_pb2.ListPlansRequest())
        return {plan.name: _rate_of(plan) for plan in found.plans}

    async def count_call(self, project: str) -> tuple[list[Limit], float]:
        """How far the month's calls are with this one, and when the month began."""
        counted = await client.ask(self._stub.CountCall, usage_pb2.CountCallRequest(project_id=project))
        return limits_of([counted.calls]), counted.period_start

    async def uncount_call(self, project: str, month_start: float) -> None:
        await client.ask(self._stub.UncountCall, usage_pb2.UncountCallRequest(project_id=project, period_start=month_start))

    async def usage(self, caller: Caller) -> UsageBody:
        found = await client.ask(self._stub.GetUsage, usage_pb2.GetUsageRequest(project_id=caller.project))
        used = {quota.policy: quota.used for quota in found.quotas}
        return UsageBody(
            project_id=caller.project,
            plan=found.plan.name,
            period=PeriodBody(start=shown_time(found.period_start), end=shown_time(found.period_end)),
            quotas=QuotasBody(**{quota.policy: _quota_body(quota) for quota in found.quotas}),
            indexed=IndexedBody(image=used["ready_images"], video=used["ready_videos"], audio=used["ready_audio"]),
            features=sorted(found.plan.features),
            rate=RateBody(requests=caller.rate.requests, seconds=caller.rate.seconds) if caller.rate else None,
        )


def _rate_of(plan: usage_pb2.Plan) -> Rate | None:
    burst_seconds = plan.burst_seconds or 1
    return Rate(plan.requests_per_second * burst_seconds, burst_seconds) if plan.HasField("requests_per_second") else None


def limits_of(quotas: Iterable[usage_pb2.Quota]) -> list[Limit]:
    """Those that are limited at all."""
    return [_limit(quota) for quota in quotas if quota.HasField("limit")]


def _limit(quota: usage_pb2.Quota) -> Limit:
    reset_seconds = window_seconds = None
    if quota.HasField("resets_at"):
        reset_seconds = max(1, math.ceil(quota.resets_at - time.time()))
        window_seconds = _month_seconds(quota.resets_at)
    remaining = max(0, quota.limit - quota.used)
    return Limit(quota.policy, quota.limit, remaining, reset_seconds, window_seconds, unit_of(quota.policy))


def _month_seconds(end: float) -> int:
    last = datetime.fromtimestamp(end, UTC) - timedelta(seconds=1)
    return last.day * 24 * 3600


def _quota_body(quota: usage_pb2.Quota) -> QuotaBody:
    is_limited = quota.HasField("limit")
    body = QuotaBody(
        used=quota.used,
        limit=quota.limit if is_limited else None,
        remaining=max(0, quota.limit - quota.used) if is_limited else None,
        reset=shown_time(quota.resets_at) if quota.HasField("resets_at") else None,
    )
    if quota.HasField("soft_limit"):
        body.soft_limit = quota.soft_limit
    return body
