"""The second door of index_svc: plans, and what was used of them."""

from __future__ import annotations

from typing import Any

from index_svc import texts
from index_svc.messages import moment
from index_svc.quotas import Plans, Quotas
from index_svc.usage_messages import plan_from_proto, plan_to_proto, quota_to_proto
from protos import usage_pb2, usage_pb2_grpc


class UsageServicer(usage_pb2_grpc.UsageServiceServicer):
    def __init__(self, quotas: Quotas, plans: Plans) -> None:
        self._quotas = quotas
        self._plans = plans

    async def ListPlans(self, request: usage_pb2.ListPlansRequest, context: Any) -> usage_pb2.ListPlansResponse:  # noqa: N802
        return usage_pb2.ListPlansResponse(plans=map(plan_to_proto, await self._plans.list()))

    async def CreatePlan(self, request: usage_pb2.CreatePlanRequest, context: Any) -> usage_pb2.CreatePlanResponse:  # noqa: N802
        plan = plan_from_proto(request.plan)
        await self._plans.create(plan)
        return usage_pb2.CreatePlanResponse(plan=plan_to_proto(plan))

    async def ReplacePlan(self, request: usage_pb2.ReplacePlanRequest, context: Any) -> usage_pb2.ReplacePlanResponse:  # noqa: N802
        plan = plan_from_proto(request.plan)
        await self._plans.replace(plan)
        return usage_pb2.ReplacePlanResponse(plan=plan_to_proto(plan))

    async def SetProjectPlan(  # noqa: N802
        self, request: usage_pb2.SetProjectPlanRequest, context: Any
    ) -> usage_pb2.SetProjectPlanResponse:
        await self._plans.set_project_plan(texts.known_id(request.project_id, "project"), request.plan)
        return usage_pb2.SetProjectPlanResponse()

    async def SetKeyRate(self, request: usage_pb2.SetKeyRateRequest, context: Any) -> usage_pb2.SetKeyRateResponse:  # noqa: N802
        rate = request.requests_per_second if request.HasField("requests_per_second") else None
        project = texts.known_id(request.project_id, "project")
        await self._plans.set_key_rate(project, request.key_id, rate, request.burst_seconds or 1)
        return usage_pb2.SetKeyRateResponse()

    async def CountCall(self, request: usage_pb2.CountCallRequest, context: Any) -> usage_pb2.CountCallResponse:  # noqa: N802
        calls, month = await self._quotas.count_call(texts.known_id(request.project_id, "project"))
        return usage_pb2.CountCallResponse(calls=quota_to_proto(calls), period_start=month.start.timestamp())

    async def UncountCall(self, request: usage_pb2.UncountCallRequest, context: Any) -> usage_pb2.UncountCallResponse:  # noqa: N802
        project = texts.known_id(request.project_id, "project")
        await self._quotas.uncount_call(project, moment(request.period_start, "period_start"))
        return usage_pb2.UncountCallResponse()

    async def GetUsage(self, request: usage_pb2.GetUsageRequest, context: Any) -> usage_pb2.GetUsageResponse:  # noqa: N802
        usage = await self._quotas.usage(texts.known_id(request.project_id, "project"))
        return usage_pb2.GetUsageResponse(
            plan=plan_to_proto(usage.plan),
            period_start=usage.month.start.timestamp(),
            period_end=usage.month.end.timestamp(),
            quotas=map(quota_to_proto, usage.quotas.values()),
        )
