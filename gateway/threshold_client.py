"""The gateway's way to what projects decide by: plain values in, the bodies of the public API out."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, cast

import grpc
from msgspec import UNSET

from gateway.index_client import shown_time
from gateway.threshold_schemas import CutoffsBody, PolicyBody, PolicyRequest, ProfileBody, ProfileRequest
from matching.thresholds.lanes import Policy
from mesh import client
from mesh.errors import NotAvailable
from mesh.media import MediaType
from mesh.wire import cutoffs_from_proto, cutoffs_to_proto
from protos import thresholds_pb2, thresholds_pb2_grpc


class Kind(StrEnum):
    PROFILE = "profile"
    POLICY = "policy"


_NUMBERS: Final = {Kind.PROFILE: thresholds_pb2.RULE_KIND_PROFILE, Kind.POLICY: thresholds_pb2.RULE_KIND_POLICY}


class ThresholdClient:
    def __init__(self, channel: grpc.aio.Channel | None) -> None:
        self._channel = channel

    async def put(self, project: str, name: str, said: ProfileRequest | PolicyRequest) -> ProfileBody | PolicyBody:
        rule = thresholds_pb2.Rule(name=name, note=said.note)
        if isinstance(said, PolicyRequest):
            lanes = [thresholds_pb2.Lane(name=lane, min_score=floor) for lane, floor in said.lanes.items()]
            rule.policy.CopyFrom(thresholds_pb2.Policy(lanes=lanes, otherwise=said.otherwise))
        else:
            cutoffs = {medium: getattr(said.cutoffs, medium) for medium in MediaType}
            rule.profile.CopyFrom(cutoffs_to_proto({medium: cutoff for medium, cutoff in cutoffs.items() if cutoff is not UNSET}))
        return _body((await client.ask(self._stub.PutRule, thresholds_pb2.PutRuleRequest(project_id=project, rule=rule))).rule)

    async def get(self, kind: Kind, project: str, name: str) -> ProfileBody | PolicyBody:
        request = thresholds_pb2.GetRuleRequest(project_id=project, kind=_NUMBERS[kind], name=name)
        return _body((await client.ask(self._stub.GetRule, request)).rule)

    async def list(self, kind: Kind, project: str) -> list[ProfileBody | PolicyBody]:
        found = await client.ask(self._stub.ListRules, thresholds_pb2.ListRulesRequest(project_id=project, kind=_NUMBERS[kind]))
        return [_body(rule) for rule in found.rules]

    async def delete(self, kind: Kind, project: str, name: str) -> None:
        await client.ask(self._stub.DeleteRule, thresholds_pb2.DeleteRuleRequest(project_id=project, kind=_NUMBERS[kind], name=name))

    async def cutoff(self, project: str, profile: str, medium: MediaType) -> float | None:
        """None: the profile is not for that medium."""
        found = cast(ProfileBody, await self.get(Kind.PROFILE, project, profile))
        cutoff = getattr(found.cutoffs, medium)
        return cutoff if isinstance(cutoff, float) else None

    async def policy(self, project: str, name: str) -> Policy:
        found = cast(PolicyBody, await self.get(Kind.POLICY, project, name))
        return Policy.of(found.lanes, found.otherwise)

    @property
    def _stub(self) -> thresholds_pb2_grpc.ThresholdServiceStub:
        if self._channel is None:
            raise NotAvailable("the index is not running here")
        return thresholds_pb2_grpc.ThresholdServiceStub(self._channel)


def _body(rule: thresholds_pb2.Rule) -> ProfileBody | PolicyBody:
    updated_at = shown_time(rule.updated_at)
    if rule.WhichOneof("body") == "policy":
        lanes = {lane.name: lane.min_score for lane in rule.policy.lanes}
        return PolicyBody(name=rule.name, lanes=lanes, otherwise=rule.policy.otherwise, note=rule.note, updated_at=updated_at)
    cutoffs = CutoffsBody(**{medium.value: cutoff for medium, cutoff in cutoffs_from_proto(rule.profile).items()})
    return ProfileBody(name=rule.name, cutoffs=cutoffs, note=rule.note, updated_at=updated_at)
