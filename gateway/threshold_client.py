"""The gateway's way to what projects decide by: plain values in, the bodies of the public API out."""

from __future__ import annotations

import grpc
from msgspec import UNSET

from gateway.index_client import shown_time
from gateway.threshold_schemas import (
    CutoffsBody,
    PolicyBody,
    PolicyListBody,
    PolicyRequest,
    ProfileBody,
    ProfileListBody,
    ProfileRequest,
)
from matching.thresholds.lanes import Policy
from mesh import client
from mesh.errors import NotAvailable
from mesh.media import MediaType
from protos import thresholds_pb2, thresholds_pb2_grpc


class ThresholdClient:
    def __init__(self, channel: grpc.aio.Channel | None) -> None:
        self._channel = channel

    async def put_profile(self, project: str, name: str, said: ProfileRequest) -> ProfileBody:
        cutoffs = {medium.value: getattr(said.cutoffs, medium) for medium in MediaType}
        known = {medium: cutoff for medium, cutoff in cutoffs.items() if cutoff is not UNSET}
        profile = thresholds_pb2.ThresholdProfile(name=name, note=said.note, **known)
        kept = await client.ask(self._stub.PutProfile, thresholds_pb2.PutProfileRequest(project_id=project, profile=profile))
        return _profile_body(kept.profile)

    async def get_profile(self, project: str, name: str) -> ProfileBody:
        found = await client.ask(self._stub.GetProfile, thresholds_pb2.GetProfileRequest(project_id=project, name=name))
        return _profile_body(found.profile)

    async def list_profiles(self, project: str) -> ProfileListBody:
        found = await client.ask(self._stub.ListProfiles, thresholds_pb2.ListProfilesRequest(project_id=project))
        return ProfileListBody(profiles=[_profile_body(profile) for profile in found.profiles])

    async def delete_profile(self, project: str, name: str) -> None:
        await client.ask(self._stub.DeleteProfile, thresholds_pb2.DeleteProfileRequest(project_id=project, name=name))

    async def put_policy(self, project: str, name: str, said: PolicyRequest) -> PolicyBody:
        policy = thresholds_pb2.Policy(
            name=name,
            lanes=[thresholds_pb2.Lane(name=lane, min_score=floor) for lane, floor in said.lanes.items()],
            otherwise=said.otherwise,
            note=said.note,
        )
        kept = await client.ask(self._stub.PutPolicy, thresholds_pb2.PutPolicyRequest(project_id=project, policy=policy))
        return _policy_body(kept.policy)

    async def get_policy(self, project: str, name: str) -> PolicyBody:
        found = await client.ask(self._stub.GetPolicy, thresholds_pb2.GetPolicyRequest(project_id=project, name=name))
        return _policy_body(found.policy)

    async def list_policies(self, project: str) -> PolicyListBody:
        found = await client.ask(self._stub.ListPolicies, thresholds_pb2.ListPoliciesRequest(project_id=project))
        return PolicyListBody(policies=[_policy_body(policy) for policy in found.policies])

    async def delete_policy(self, project: str, name: str) -> None:
        await client.ask(self._stub.DeletePolicy, thresholds_pb2.DeletePolicyRequest(project_id=project, name=name))

    @property
    def _stub(self) -> thresholds_pb2_grpc.ThresholdServiceStub:
        if self._channel is None:
            raise NotAvailable("the index is not running here")
        return thresholds_pb2_grpc.ThresholdServiceStub(self._channel)


def policy_of(body: PolicyBody) -> Policy:
    return Policy.of(body.lanes, body.otherwise)


def _profile_body(profile: thresholds_pb2.ThresholdProfile) -> ProfileBody:
    cutoffs = {medium.value: getattr(profile, medium) for medium in MediaType if profile.HasField(medium.value)}
    return ProfileBody(name=profile.name, cutoffs=CutoffsBody(**cutoffs), note=profile.note, updated_at=shown_time(profile.updated_at))


def _policy_body(policy: thresholds_pb2.Policy) -> PolicyBody:
    return PolicyBody(
        name=policy.name,
        lanes={lane.name: lane.min_score for lane in policy.lanes},
        otherwise=policy.otherwise,
        note=policy.note,
        updated_at=shown_time(policy.updated_at),
    )
