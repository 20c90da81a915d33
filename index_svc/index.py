"""Assets: accepted at once, fingerprinted by a job, read, listed, deleted. Every step names its project."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, TypeVar
from uuid import UUID, uuid4

from index_svc.access import Access
from index_svc.cursors import cursor_of, read_cursor
from index_svc.jobs import Jobs
from index_svc.quotas import Quotas
from index_svc.records import Asset, AssetDraft, AssetFilter, AssetStatus, Job, Received
from index_svc.store import access as access_store
from index_svc.store import assets as store
from index_svc.store import media as media_store
from index_svc.store.database import Database
from mesh.errors import Conflict, DeadlineExceeded, InvalidRequest, NotFound

MAX_PAGE: Final = 100
DEFAULT_PAGE: Final = 20

Numbered = TypeVar("Numbered", Asset, Job)


class Index:
    def __init__(self, database: Database, access: Access, quotas: Quotas, jobs: Jobs) -> None:
        self._database = database
        self._access = access
        self._quotas = quotas
        self._jobs = jobs

    async def accept(
        self, project: UUID, draft: AssetDraft, idempotency_key: str = "", received: Received | None = None
    ) -> tuple[UUID, UUID]:
        """The ids of the new asset and of its job: all of it is kept, or nothing. The same again under the same key is done once."""
        asset, job = uuid4(), uuid4()
        async with self._database.transaction() as connection:
            if not await access_store.has_project(connection, project):
                raise NotFound("there is no such project")
            await self._access.require_feature(connection, project, f"{draft.media_type}:index")
            if idempotency_key:
                digest = hashlib.sha256(repr(draft).encode()).digest()
                first = await store.claim_request(connection, project, idempotency_key, digest, asset, job)
                if first is not None:
                    if first[0] != digest:
                        raise Conflict("this Idempotency-Key came with another request before", field="Idempotency-Key")
                    return first[1:]
            await self._quotas.require_place(connection, project, draft.media_type)
            await store.insert_job(connection, project, job, draft.media_type, 1)
            number = await store.insert_asset(connection, project, asset, job, draft)
            if received and not await media_store.give_media(connection, received.media, number, received.size_bytes, received.sha256):
                raise DeadlineExceeded("the upload was given up, for it stood still for too long")
            await self._jobs.queue(connection, number)
        return asset, job

    async def get(self, project: UUID, asset: UUID) -> Asset:
        async with self._database.transaction() as connection:
            found = await store.find_asset(connection, project, asset)
        if found is None:
            raise NotFound("there is no such asset")
        return found

    async def list(self, project: UUID, wanted: AssetFilter, cursor: str, limit: int) -> tuple[Sequence[Asset], str]:
        """A page and the cursor of the next one; empty: there is none."""
        size = _page_size(limit)
        async with self._database.transaction() as connection:
            found = await store.list_assets(connection, project, wanted, read_cursor(cursor), size + 1)
        return _page(found, size)

    async def delete(self, project: UUID, asset: UUID) -> None:
        async with self._database.transaction() as connection:
            if not await store.delete_asset(connection, project, asset):
                raise NotFound("there is no such asset")

    async def retry(self, project: UUID, asset: UUID) -> tuple[UUID, AssetStatus]:
        """The id of the asset's job, which tries again what failed, and how far it is: whoever asks twice has asked once."""
        async with self._database.transaction() as connection:
            found = await store.find_asset(connection, project, asset)
            if found is None:
                raise NotFound("there is no such asset")
            await self._access.require_feature(connection, project, f"{found.media_type}:index")
            reset = await store.reset_failed(connection, project, asset)
            if reset is None:
                waiting = await store.find_waiting(connection, project, asset)
                if waiting is None:
                    raise Conflict("only an asset that failed is tried again", status=AssetStatus.READY)
                return waiting
            await self._quotas.require_place(connection, project, found.media_type)
            number, job = reset
            if not await media_store.need_again(connection, number):
                raise Conflict("its bytes are not there any more: upload it again")
            await self._jobs.queue(connection, number)
        return job, AssetStatus.PENDING

    async def get_job(self, project: UUID, job: UUID) -> Job:
        async with self._database.transaction() as connection:
            found = await store.find_job(connection, project, job)
        if found is None:
            raise NotFound("there is no such job")
        return found

    async def list_jobs(self, project: UUID, cursor: str, limit: int) -> tuple[Sequence[Job], str]:
        size = _page_size(limit)
        async with self._database.transaction() as connection:
            found = await store.list_jobs(connection, project, read_cursor(cursor), size + 1)
        return _page(found, size)


def _page_size(limit: int) -> int:
    if limit > MAX_PAGE:
        raise InvalidRequest(f"limit must be from 1 to {MAX_PAGE}", field="limit")
    return limit or DEFAULT_PAGE


def _page(found: Sequence[Numbered], size: int) -> tuple[Sequence[Numbered], str]:
    page = found[:size]
    return page, cursor_of(page[-1].number) if len(found) > size else ""
