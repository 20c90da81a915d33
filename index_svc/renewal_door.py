"""The door for fingerprinting again: proto to domain and back."""

from __future__ import annotations

from typing import Any

from index_svc import texts
from index_svc.messages import job_to_proto, version_to_proto
from index_svc.renewals import Renewals
from protos import index_pb2, index_pb2_grpc


class RenewalDoor(index_pb2_grpc.IndexServiceServicer):
    def __init__(self, renewals: Renewals) -> None:
        self._renewals = renewals

    async def RefingerprintAssets(  # noqa: N802
        self, request: index_pb2.RefingerprintAssetsRequest, context: Any
    ) -> index_pb2.RefingerprintAssetsResponse:
        job = await self._renewals.start(texts.known_id(request.project_id, "project"))
        return index_pb2.RefingerprintAssetsResponse(job=job_to_proto(job) if job else None)

    async def ListVersions(self, request: index_pb2.ListVersionsRequest, context: Any) -> index_pb2.ListVersionsResponse:  # noqa: N802
        project = texts.known_id(request.project_id, "project") if request.project_id else None
        return index_pb2.ListVersionsResponse(versions=[version_to_proto(*found) for found in await self._renewals.versions(project)])
