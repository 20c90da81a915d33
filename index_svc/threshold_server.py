"""Two more doors of index_svc: what projects decide by, and what was decided."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final
from uuid import UUID

from index_svc import texts
from index_svc.decision_log import DecisionLog
from index_svc.rule import RuleKind
from index_svc.threshold_messages import (
    decision_from_proto,
    decision_to_proto,
    filter_from_proto,
    kind_from_proto,
    rule_from_proto,
    rule_to_proto,
)
from index_svc.thresholds import Thresholds
from matching.thresholds.lanes import MAX_LANES
from mesh.errors import InvalidRequest
from protos import decisions_pb2, decisions_pb2_grpc, thresholds_pb2, thresholds_pb2_grpc

_MAX_DECISIONS: Final = 100


class ThresholdServicer(thresholds_pb2_grpc.ThresholdServiceServicer):
    def __init__(self, thresholds: Thresholds) -> None:
        self._thresholds = thresholds

    async def PutRule(self, request: thresholds_pb2.PutRuleRequest, context: Any) -> thresholds_pb2.PutRuleResponse:  # noqa: N802
        kept = await self._thresholds.put(texts.known_id(request.project_id, "project"), rule_from_proto(request.rule))
        return thresholds_pb2.PutRuleResponse(rule=rule_to_proto(kept))

    async def GetRule(self, request: thresholds_pb2.GetRuleRequest, context: Any) -> thresholds_pb2.GetRuleResponse:  # noqa: N802
        return thresholds_pb2.GetRuleResponse(rule=rule_to_proto(await self._thresholds.get(*_named(request))))

    async def ListRules(self, request: thresholds_pb2.ListRulesRequest, context: Any) -> thresholds_pb2.ListRulesResponse:  # noqa: N802
        found = await self._thresholds.list(texts.known_id(request.project_id, "project"), kind_from_proto(request.kind))
        return thresholds_pb2.ListRulesResponse(rules=map(rule_to_proto, found))

    async def DeleteRule(self, request: thresholds_pb2.DeleteRuleRequest, context: Any) -> thresholds_pb2.DeleteRuleResponse:  # noqa: N802
        await self._thresholds.delete(*_named(request))
        return thresholds_pb2.DeleteRuleResponse()


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


def _named(request: thresholds_pb2.GetRuleRequest | thresholds_pb2.DeleteRuleRequest) -> tuple[UUID, RuleKind, str]:
    project = texts.known_id(request.project_id, "project")
    return project, kind_from_proto(request.kind), texts.checked_text(request.name, "name")
