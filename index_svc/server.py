"""The door of index_svc: everything it is made of, wired here and nowhere else."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

from index_svc import texts
from index_svc.access import Access
from index_svc.cursors import cursor_of, read_cursor
from index_svc.embedded import EmbeddedPostgres
from index_svc.index import Index
from index_svc.jobs import Jobs
from index_svc.matchers import Matchers
from index_svc.messages import asset_to_proto, filter_from_proto, hit_to_proto, job_to_proto, key_to_proto, moment, project_to_proto
from index_svc.packing import Packing
from index_svc.quotas import Plans, Quotas
from index_svc.records import AssetDraft, Narrowing
from index_svc.search import Query, Search
from index_svc.settings import Settings
from index_svc.store.database import Database
from index_svc.usage_messages import quota_to_proto
from index_svc.usage_server import UsageServicer
from mesh.server import Service
from mesh.wire import media_type_from_proto
from protos import index_pb2, index_pb2_grpc, media_pb2, usage_pb2, usage_pb2_grpc


def build(settings: Settings) -> Service:
    resources: list[AbstractAsyncContextManager[Any]] = []
    conninfo = settings.database_url
    if not conninfo:
        embedded = EmbeddedPostgres(settings.cluster_dir, settings.runtime_dir / "db")
        resources.append(embedded)
        conninfo = embedded.conninfo
    database = Database(conninfo, settings.index_connections)
    matchers = Matchers(settings)
    quotas = Quotas(database)
    jobs = Jobs(database, matchers, quotas, settings.index_jobs, settings.index_job_attempts)
    access = Access(database, settings.index_key_secret)
    index = Index(database, access, quotas, jobs)
    search = Search(database, access, quotas, matchers, settings.index_max_candidates)
    servicer = IndexServicer(access, index, search)
    usage = UsageServicer(quotas, Plans(database))

    def add_to_server(server: Any) -> None:
        index_pb2_grpc.add_IndexServiceServicer_to_server(servicer, server)
        usage_pb2_grpc.add_UsageServiceServicer_to_server(usage, server)

    return Service(
        name="index",
        full_name=index_pb2.DESCRIPTOR.services_by_name["IndexService"].full_name,
        listen=settings.index_listen or settings.index_address,
        metrics_port=settings.index_metrics_port,
        add_to_server=add_to_server,
        also_serves=(usage_pb2.DESCRIPTOR.services_by_name["UsageService"].full_name,),
        resources=(*resources, database, matchers, jobs, Packing(database)),
    )


class IndexServicer(index_pb2_grpc.IndexServiceServicer):
    def __init__(self, access: Access, index: Index, search: Search) -> None:
        self._access = access
        self._index = index
        self._search = search

    async def Authenticate(self, request: index_pb2.AuthenticateRequest, context: Any) -> index_pb2.AuthenticateResponse:  # noqa: N802
        grant = await self._access.authenticate(request.key)
        return index_pb2.AuthenticateResponse(
            project_id=str(grant.project),
            key_id=grant.key_id,
            scopes=grant.scopes,
            rate_requests=grant.rate_requests,
            rate_seconds=grant.rate_seconds,
            features=grant.features,
        )

    async def CreateProject(self, request: index_pb2.CreateProjectRequest, context: Any) -> index_pb2.CreateProjectResponse:  # noqa: N802
        project = await self._access.create_project(request.name, request.plan)
        return index_pb2.CreateProjectResponse(project=project_to_proto(project))

    async def ListProjects(self, request: index_pb2.ListProjectsRequest, context: Any) -> index_pb2.ListProjectsResponse:  # noqa: N802
        return index_pb2.ListProjectsResponse(projects=map(project_to_proto, await self._access.list_projects()))

    async def CreateKey(self, request: index_pb2.CreateKeyRequest, context: Any) -> index_pb2.CreateKeyResponse:  # noqa: N802
        expires_at = moment(request.expires_at, "expires_at") if request.HasField("expires_at") else None
        project = texts.known_id(request.project_id, "project")
        key, secret = await self._access.create_key(project, request.name, list(request.scopes), expires_at)
        return index_pb2.CreateKeyResponse(key=key_to_proto(key), secret=secret)

    async def ListKeys(self, request: index_pb2.ListKeysRequest, context: Any) -> index_pb2.ListKeysResponse:  # noqa: N802
        keys = await self._access.list_keys(texts.known_id(request.project_id, "project"))
        return index_pb2.ListKeysResponse(keys=map(key_to_proto, keys))

    async def RotateKey(self, request: index_pb2.RotateKeyRequest, context: Any) -> index_pb2.RotateKeyResponse:  # noqa: N802
        project = texts.known_id(request.project_id, "project")
        key, secret = await self._access.rotate_key(project, request.key_id, request.overlap_seconds)
        return index_pb2.RotateKeyResponse(key=key_to_proto(key), secret=secret)

    async def RevokeKey(self, request: index_pb2.RevokeKeyRequest, context: Any) -> index_pb2.RevokeKeyResponse:  # noqa: N802
        await self._access.revoke_key(texts.known_id(request.project_id, "project"), request.key_id)
        return index_pb2.RevokeKeyResponse()

    async def IndexAsset(self, request: index_pb2.IndexAssetRequest, context: Any) -> index_pb2.IndexAssetResponse:  # noqa: N802
        draft = AssetDraft(
            media_type=media_type_from_proto(request.media_type),
            url=texts.checked_text(request.url, "url", max_characters=texts.MAX_URL_CHARACTERS),
            name=texts.checked_text(request.name, "name"),
            collection=texts.checked_text(request.collection, "collection"),
            owner=texts.checked_text(request.owner, "owner"),
            metadata=texts.checked_object(request.metadata, "metadata"),
            ttl_seconds=request.ttl_seconds if request.HasField("ttl_seconds") else None,
        )
        key = texts.checked_text(request.idempotency_key, "Idempotency-Key", max_characters=texts.MAX_KEY_CHARACTERS)
        asset, job = await self._index.accept(texts.known_id(request.project_id, "project"), draft, key)
        return index_pb2.IndexAssetResponse(asset_id=str(asset), job_id=str(job), status=index_pb2.ASSET_STATUS_PENDING)

    async def GetAsset(self, request: index_pb2.GetAssetRequest, context: Any) -> index_pb2.GetAssetResponse:  # noqa: N802
        project = texts.known_id(request.project_id, "project")
        asset = await self._index.get(project, texts.known_id(request.asset_id, "asset"))
        return index_pb2.GetAssetResponse(asset=asset_to_proto(asset))

    async def ListAssets(self, request: index_pb2.ListAssetsRequest, context: Any) -> index_pb2.ListAssetsResponse:  # noqa: N802
        project = texts.known_id(request.project_id, "project")
        assets, cursor = await self._index.list(project, filter_from_proto(request), request.cursor, request.limit)
        return index_pb2.ListAssetsResponse(assets=map(asset_to_proto, assets), next_cursor=cursor)

    async def DeleteAsset(self, request: index_pb2.DeleteAssetRequest, context: Any) -> index_pb2.DeleteAssetResponse:  # noqa: N802
        project = texts.known_id(request.project_id, "project")
        await self._index.delete(project, texts.known_id(request.asset_id, "asset"))
        return index_pb2.DeleteAssetResponse()

    async def RetryAsset(self, request: index_pb2.RetryAssetRequest, context: Any) -> index_pb2.RetryAssetResponse:  # noqa: N802
        project = texts.known_id(request.project_id, "project")
        job = await self._index.retry(project, texts.known_id(request.asset_id, "asset"))
        return index_pb2.RetryAssetResponse(job_id=str(job))

    async def GetJob(self, request: index_pb2.GetJobRequest, context: Any) -> index_pb2.GetJobResponse:  # noqa: N802
        project = texts.known_id(request.project_id, "project")
        job = await self._index.get_job(project, texts.known_id(request.job_id, "job"))
        return index_pb2.GetJobResponse(job=job_to_proto(job))

    async def ListJobs(self, request: index_pb2.ListJobsRequest, context: Any) -> index_pb2.ListJobsResponse:  # noqa: N802
        project = texts.known_id(request.project_id, "project")
        jobs, cursor = await self._index.list_jobs(project, request.cursor, request.limit)
        return index_pb2.ListJobsResponse(jobs=map(job_to_proto, jobs), next_cursor=cursor)

    async def Search(self, request: index_pb2.SearchRequest, context: Any) -> index_pb2.SearchResponse:  # noqa: N802
        project = texts.known_id(request.project_id, "project")
        asset = texts.known_id(request.asset_id, "asset") if request.HasField("asset_id") else None
        query = Query(
            media_type=media_type_from_proto(request.media_type),
            url=texts.checked_text(request.url, "url", max_characters=texts.MAX_URL_CHARACTERS),
            asset=asset,
            threshold=request.threshold if request.HasField("threshold") else None,
            min_coverage=request.min_coverage,
            limit=request.limit,
            offset=read_cursor(request.cursor) or 0,
            narrowing=Narrowing(
                collections=[texts.checked_text(collection, "collections") for collection in request.collections],
                metadata=texts.checked_object(request.filter, "filter"),
                without=asset if request.exclude_self else None,
            ),
        )
        found = await self._search.search(project, query)
        return index_pb2.SearchResponse(
            hits=map(hit_to_proto, found.hits),
            processing_time_ms=int(sum(found.timings.values())),
            timings=[media_pb2.Timing(stage=stage, milliseconds=spent) for stage, spent in found.timings.items()],
            next_cursor=cursor_of(found.next_offset) if found.next_offset else "",
            quotas=map(quota_to_proto, found.quotas),
        )
