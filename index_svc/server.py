"""The door of index_svc: everything it is made of, wired here and nowhere else."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from index_svc import texts
from index_svc.access import Access
from index_svc.archive import warm_up
from index_svc.bulk import Bulk
from index_svc.bulk_door import BulkDoor
from index_svc.bulk_reader import BulkReader
from index_svc.decision_log import DecisionLog
from index_svc.embedded import EmbeddedPostgres, OthersPostgres
from index_svc.figures import Figures
from index_svc.hash_list_door import HashListDoor
from index_svc.hash_lists import HashLists
from index_svc.held_media import HeldMedia
from index_svc.index import Index
from index_svc.jobs import Jobs
from index_svc.matchers import Matchers
from index_svc.messages import (
    asset_to_proto,
    draft_from_proto,
    filter_from_proto,
    found_to_proto,
    job_to_proto,
    key_to_proto,
    moment,
    project_to_proto,
    query_from_proto,
    retried_to_proto,
    settings_from_proto,
)
from index_svc.packing import Packing
from index_svc.quotas import Plans, Quotas
from index_svc.renewal_door import RenewalDoor
from index_svc.renewals import Renewals
from index_svc.search import Search
from index_svc.settings import Settings
from index_svc.sources import Sources
from index_svc.store.database import Database
from index_svc.threshold_server import DecisionServicer, ThresholdServicer
from index_svc.thresholds import Thresholds
from index_svc.upload_door import UploadDoor
from index_svc.uploads import Uploads
from index_svc.usage_server import UsageServicer
from mesh.fetching import FetcherClient
from mesh.server import Service
from mesh.wire import cutoffs_to_proto, media_type_from_proto
from mesh.workers import WorkerPool
from protos import (
    decisions_pb2,
    decisions_pb2_grpc,
    index_pb2,
    index_pb2_grpc,
    thresholds_pb2,
    thresholds_pb2_grpc,
    usage_pb2,
    usage_pb2_grpc,
)

UNPACKER_MEMORY_BYTES: Final = 256 * 1024 * 1024


def build(settings: Settings) -> Service:
    resources: list[AbstractAsyncContextManager[Any]] = []
    conninfo, folder = settings.database_url, None
    if not conninfo:
        kind = EmbeddedPostgres if settings.index_runs_database else OthersPostgres
        embedded = kind(settings.cluster_dir, settings.runtime_dir / "db")
        resources.append(embedded)
        conninfo, folder = embedded.conninfo, settings.cluster_dir
    database = Database(conninfo, settings.index_connections, folder)
    matchers = Matchers(settings)
    quotas = Quotas(database)
    access = Access(database, settings.index_key_secret)
    held = HeldMedia(settings.index_max_held_bytes)
    sources = Sources(settings, held)
    thresholds, log = Thresholds(database, access), DecisionLog(database)
    search = Search(database, access, quotas, matchers, sources, thresholds, log, settings.index_max_candidates)
    jobs = Jobs(
        database, matchers, sources, quotas, search, settings.index_jobs, settings.index_job_attempts, with_hashes=settings.index_hashes
    )
    renewals = Renewals(database, matchers, sources, jobs, with_hashes=settings.index_hashes)
    index = Index(database, access, quotas, jobs)
    uploads = Uploads(database, access, index, held)
    archives = FetcherClient(settings, settings.fetcher_address, None)
    unpackers = WorkerPool(
        "archive",
        workers=1,
        max_waiting=settings.index_bulk_jobs,
        memory_bytes=UNPACKER_MEMORY_BYTES,
        preload=("index_svc.archive",),
        warm_up=warm_up,
    )
    reader = BulkReader(
        database,
        jobs,
        archives,
        unpackers,
        at_once=settings.index_bulk_jobs,
        max_attempts=settings.index_job_attempts,
        max_entries=settings.archive_max_files,
        max_unpacked_bytes=settings.archive_max_unpacked_bytes,
    )
    bulk = Bulk(database, index, reader, settings.csv_max_rows)
    servicer = IndexServicer(access, index, search, uploads, HashLists(database, access), bulk, renewals)
    usage = UsageServicer(quotas, Plans(database))

    def add_to_server(server: Any) -> None:
        index_pb2_grpc.add_IndexServiceServicer_to_server(servicer, server)
        usage_pb2_grpc.add_UsageServiceServicer_to_server(usage, server)
        thresholds_pb2_grpc.add_ThresholdServiceServicer_to_server(ThresholdServicer(thresholds), server)
        decisions_pb2_grpc.add_DecisionServiceServicer_to_server(DecisionServicer(log), server)

    return Service(
        name="index",
        full_name=index_pb2.DESCRIPTOR.services_by_name["IndexService"].full_name,
        listen=settings.index_listen or settings.index_address,
        metrics_port=settings.index_metrics_port,
        add_to_server=add_to_server,
        needs=database,
        also_serves=(
            usage_pb2.DESCRIPTOR.services_by_name["UsageService"].full_name,
            thresholds_pb2.DESCRIPTOR.services_by_name["ThresholdService"].full_name,
            decisions_pb2.DESCRIPTOR.services_by_name["DecisionService"].full_name,
        ),
        resources=(
            *resources,
            database,
            log,
            matchers,
            sources,
            jobs,
            renewals,
            Packing(database),
            Figures(database),
            *((unpackers,) if settings.index_bulk_jobs else ()),
            archives,
            reader,
        ),
    )


class IndexServicer(UploadDoor, HashListDoor, BulkDoor, RenewalDoor):
    def __init__(
        self, access: Access, index: Index, search: Search, uploads: Uploads, hash_lists: HashLists, bulk: Bulk, renewals: Renewals
    ) -> None:
        UploadDoor.__init__(self, uploads, search)
        HashListDoor.__init__(self, hash_lists)
        BulkDoor.__init__(self, bulk)
        RenewalDoor.__init__(self, renewals)
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
            logs_decisions=grant.logs_decisions,
            default_cutoffs=cutoffs_to_proto(grant.default_cutoffs),
        )

    async def CreateProject(self, request: index_pb2.CreateProjectRequest, context: Any) -> index_pb2.CreateProjectResponse:  # noqa: N802
        project = await self._access.create_project(request.name, request.plan)
        return index_pb2.CreateProjectResponse(project=project_to_proto(project))

    async def ListProjects(self, request: index_pb2.ListProjectsRequest, context: Any) -> index_pb2.ListProjectsResponse:  # noqa: N802
        return index_pb2.ListProjectsResponse(projects=map(project_to_proto, await self._access.list_projects()))

    async def UpdateProject(self, request: index_pb2.UpdateProjectRequest, context: Any) -> index_pb2.UpdateProjectResponse:  # noqa: N802
        project = texts.known_id(request.project_id, "project")
        updated = await self._access.update_project(project, settings_from_proto(request.settings))
        return index_pb2.UpdateProjectResponse(project=project_to_proto(updated))

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
        draft = draft_from_proto(request, media_type_from_proto(request.media_type))
        key = texts.checked_key(request.idempotency_key)
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
        return retried_to_proto(*await self._index.retry(project, texts.known_id(request.asset_id, "asset")))

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
        query = query_from_proto(request, media_type_from_proto(request.media_type))
        return found_to_proto(await self._search.search(project, query))
