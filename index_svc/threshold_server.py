"""Two more doors of index_svc: what projects decide by, and what was decided."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from index_svc import texts
from index_svc.decision_log import DecisionLog
from index_svc.threshold_messages import (
    decision_from_proto,
    decision_to_proto,
    filter_from_proto,
    policy_from_proto,
    policy_to_proto,
    profile_from_proto,
    profile_to_proto,
)
from index_svc.thresholds import Thresholds
from matching.thresholds.lanes import MAX_LANES
from mesh.errors import InvalidRequest
from protos import decisions_pb2, decisions_pb2_grpc, thresholds_pb2, thresholds_pb2_grpc

_MAX_DECISIONS: Final = 100


class ThresholdServicer(thresholds_pb2_grpc.ThresholdServiceServicer):
    def __init__(self, thresholds: Thresholds) -> None:
        self._thresholds = thresholds

    async def PutProfile(self, request: thresholds_pb2.PutProfileRequest, context: Any) -> thresholds_pb2.PutProfileResponse:  # noqa: N802
        kept = await self._thresholds.put_profile(texts.known_id(request.project_id, "project"), profile_from_proto(request.profile))
        return thresholds_pb2.PutProfileResponse(profile=profile_to_proto(kept))

    async def GetProfile(self, request: thresholds_pb2.GetProfileRequest, context: Any) -> thresholds_pb2.GetProfileResponse:  # noqa: N802
        found = await self._thresholds.get_profile(texts.known_id(request.project_id, "project"), texts.checked_text(request.name, "name"))
        return thresholds_pb2.GetProfileResponse(profile=profile_to_proto(found))

    async def ListProfiles(  # noqa: N802
        self, request: thresholds_pb2.ListProfilesRequest, context: Any
    ) -> thresholds_pb2.ListProfilesResponse:
        found = await self._thresholds.list_profiles(texts.known_id(request.project_id, "project"))
        return thresholds_pb2.ListProfilesResponse(profiles=map(profile_to_proto, found))

    async def DeleteProfile(  # noqa: N802
        self, request: thresholds_pb2.DeleteProfileRequest, context: Any
    ) -> thresholds_pb2.DeleteProfileResponse:
        await self._thresholds.delete_profile(texts.known_id(request.project_id, "project"), texts.checked_text(request.name, "name"))
        return thresholds_pb2.DeleteProfileResponse()

    async def PutPolicy(self, request: thresholds_pb2.PutPolicyRequest, context: Any) -> thresholds_pb2.PutPolicyResponse:  # noqa: N802
        kept = await self._thresholds.put_policy(texts.known_id(request.project_id, "project"), policy_from_proto(request.policy))
        return thresholds_pb2.PutPolicyResponse(policy=policy_to_proto(kept))

    async def GetPolicy(self, request: thresholds_pb2.GetPolicyRequest, context: Any) -> thresholds_pb2.GetPolicyResponse:  # noqa: N802
        found = await self._thresholds.get_policy(texts.known_id(request.project_id, "project"), texts.checked_text(request.name, "name"))
        return thresholds_pb2.GetPolicyResponse(policy=policy_to_proto(found))

    async def ListPolicies(  # noqa: N802
        self, request: thresholds_pb2.ListPoliciesRequest, context: Any
    ) -> thresholds_pb2.ListPoliciesResponse:
        found = await self._thresholds.list_policies(texts.known_id(request.project_id, "project"))
        return thresholds_pb2.ListPoliciesResponse(policies=map(policy_to_proto, found))

    async def DeletePolicy(  # noqa: N802
        self, request: thresholds_pb2.DeletePolicyRequest, context: Any
    ) -> thresholds_pb2.DeletePolicyResponse:
        await self._thresholds.delete_policy(texts.known_id(request.project_id, "project"), texts.checked_text(request.name, "name"))
        return thresholds_pb2.DeletePolicyResponse()


class DecisionServicer(decisions_pb2_grpc.DecisionServiceServicer):
    def __init__(self, log: DecisionLog) -> None:
        self._log = log

    async def RecordDecisions(  # noqa: N802
        self, request: decisions_pb2.RecordDecisionsRequest, context: Any
    ) -> decisions_pb2.RecordDecisionsResponse:
        if len(request.decisions) > _MAX_DECISIONS:
            raise InvalidRequest(f"at most {_MAX_DECISIONS} decisions are taken at once", field="decisions")
        await self._log.record(texts.known_id(request.project_id, "project"), [decision_from_proto(one) for one in request.decisions])
        return decisions_pb2.RecordDecisionsResponse()

    async def ReadDecisions(  # noqa: N802
        self, request: decisions_pb2.ReadDecisionsRequest, context: Any
    ) -> AsyncIterator[decisions_pb2.ReadDecisionsResponse]:
        project, wanted = texts.known_id(request.project_id, "project"), filter_from_proto(request.filter)
        async for batch in self._log.read(project, wanted, min(request.after, 2**63 - 1), request.limit):
            yield decisions_pb2.ReadDecisionsResponse(decisions=map(decision_to_proto, batch))

    async def CountDecisions(  # noqa: N802
        self, request: decisions_pb2.CountDecisionsRequest, context: Any
    ) -> decisions_pb2.CountDecisionsResponse:
        if len(request.floors) > MAX_LANES:
            raise InvalidRequest(f"at most {MAX_LANES} floors are counted at once", field="floors")
        project, wanted = texts.known_id(request.project_id, "project"), filter_from_proto(request.filter)
        total, reaching = await self._log.count(project, wanted, list(request.floors))
        return decisions_pb2.CountDecisionsResponse(total=total, reaching=reaching)
