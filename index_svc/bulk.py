"""Files of rows: accepted whole or not at all, read behind the scenes, reported row by row, cancelled."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Final
from uuid import UUID, uuid4

from index_svc.bulk_reader import BulkReader
from index_svc.cursors import cursor_of, read_cursor
from index_svc.index import Index
from index_svc.manifest import CSV_COLUMNS
from index_svc.records import AssetStatus, Job, JobKind, JobRow
from index_svc.store import access as access_store
from index_svc.store import assets as asset_store
from index_svc.store import bulk as store
from index_svc.store import media as media_store
from index_svc.store import renewals as renewal_store
from index_svc.store.database import Connection, Database
from index_svc.table import Table
from mesh.errors import Conflict, InsufficientScope, InvalidRequest, NotFound, RequestTooLarge
from mesh.media import MediaType

MAX_CSV_BYTES: Final = 64 * 1_048_576
MAX_PAGE: Final = 1000
DEFAULT_PAGE: Final = 100
_CANCELLED_AT_ONCE: Final = 5000


class Bulk:
    def __init__(self, database: Database, index: Index, reader: BulkReader, max_rows: int) -> None:
        self._database = database
        self._index = index
        self._reader = reader
        self._max_rows = max_rows

    async def accept_csv(
        self, project: UUID, allowed: Sequence[MediaType], chunks: AsyncIterator[bytes], idempotency_key: str
    ) -> tuple[UUID, int]:
        """The job that reads the file, and how many rows it has. What is wrong with the file as a whole is found before it is kept."""
        await self._admit(project, allowed)
        source = uuid4()
        async with self._database.transaction() as connection:
            await media_store.begin_media(connection, source, project, "text/csv")
        try:
            digest, rows = await self._keep(source, chunks)
            async with self._database.transaction() as connection:
                job, total = await self._accept(connection, project, JobKind.CSV, allowed, idempotency_key, digest, rows, source=source)
        except BaseException:
            # Where even that cannot be done, the bytes go when their time is over.
            async with self._database.transaction() as connection:
                await media_store.delete_nobodys(connection, source)
            raise
        return job, total

    async def accept_archive(self, project: UUID, allowed: Sequence[MediaType], url: str, idempotency_key: str) -> UUID:
        """The job that fetches and unpacks what the URL names."""
        if not url:
            raise InvalidRequest("url must be given", field="url")
        await self._admit(project, allowed)
        digest = hashlib.sha256(url.encode()).digest()
        async with self._database.transaction() as connection:
            job, _ = await self._accept(connection, project, JobKind.ZIP, allowed, idempotency_key, digest, 0, url=url)
        return job

    async def rows(self, project: UUID, job: UUID, status: AssetStatus | None, cursor: str, limit: int) -> tuple[Sequence[JobRow], str]:
        """A page of the job's report and the cursor of the next one; empty: there is none."""
        if limit > MAX_PAGE:
            raise InvalidRequest(f"limit must be from 1 to {MAX_PAGE}", field="limit")
        size = limit or DEFAULT_PAGE
        async with self._database.transaction() as connection:
            found = await store.list_rows(connection, project, job, status, min(read_cursor(cursor) or 0, 2**31 - 1), size + 1)
        if found is None:
            raise NotFound("there is no such job")
        page = found[:size]
        return page, cursor_of(page[-1].number) if len(found) > size else ""

    async def cancel(self, project: UUID, job: UUID) -> Job:
        """What is not ready by now has failed; rows that were not read are left out. Once more is no error."""
        async with self._database.transaction() as connection:
            found = await store.lock_job(connection, project, job)
            if found is None:
                raise NotFound("there is no such job")
            if not found["is_cancelled"]:
                if not found["is_awaited"]:
                    raise Conflict("the job is over")
                await store.end_reading(connection, job)
                await store.note_cancelled(connection, job)
        is_over = False
        while not is_over:
            async with self._database.transaction() as connection:
                assets = await store.cancel_assets(connection, job, _CANCELLED_AT_ONCE)
                renewals = await renewal_store.cancel_renewals(connection, job, store.CANCELLED, _CANCELLED_AT_ONCE)
                is_over = max(assets, renewals) < _CANCELLED_AT_ONCE
        return await self._index.get_job(project, job)

    async def _admit(self, project: UUID, allowed: Sequence[MediaType]) -> None:
        if not allowed:
            raise InsufficientScope("the key carries no scope to index anything", scope="image:index")
        async with self._database.transaction() as connection:
            if not await access_store.has_project(connection, project):
                raise NotFound("there is no such project")

    async def _keep(self, source: UUID, chunks: AsyncIterator[bytes]) -> tuple[bytes, int]:
        """The digest of the file and how many rows it has, once all of it is in the database."""
        table, digest = Table(CSV_COLUMNS), hashlib.sha256()
        size_bytes = rows = number = 0
        waiting = bytearray()

        async def write(length: int) -> None:
            nonlocal number
            async with self._database.transaction() as connection:
                if not await media_store.append_chunk(connection, source, number, bytes(waiting[:length])):
                    raise InvalidRequest("the file did not arrive in time", field="file")
            del waiting[:length]
            number += 1

        async for chunk in chunks:
            digest.update(chunk)
            size_bytes += len(chunk)
            rows += sum(1 for _ in table.feed(chunk))
            if size_bytes > MAX_CSV_BYTES or rows > self._max_rows:
                raise RequestTooLarge(f"one file may have {self._max_rows:,} rows, in {MAX_CSV_BYTES // 1_048_576} MB")
            waiting += chunk
            while len(waiting) >= media_store.CHUNK_BYTES:
                await write(media_store.CHUNK_BYTES)
        rows += sum(1 for _ in table.end())
        if waiting:
            await write(len(waiting))
        if not rows:
            raise InvalidRequest("the file holds no rows", field="file")
        return digest.digest(), rows

    async def _accept(
        self,
        connection: Connection,
        project: UUID,
        kind: JobKind,
        allowed: Sequence[MediaType],
        idempotency_key: str,
        digest: bytes,
        total: int,
        *,
        source: UUID | None = None,
        url: str | None = None,
    ) -> tuple[UUID, int]:
        """The job and its rows; of the same file under the same key, those that it was given first."""
        job = uuid4()
        if idempotency_key:
            digest = hashlib.sha256(kind.encode() + digest).digest()
            # There is no one asset to name.
            first = await asset_store.claim_request(connection, project, idempotency_key, digest, job, job)
            if first is not None:
                if first[0] != digest:
                    raise Conflict("this Idempotency-Key came with another request before", field="Idempotency-Key")
                if source is not None:
                    await media_store.delete_nobodys(connection, source)
                return first[2], total
        number = await store.insert_bulk_job(connection, project, job, kind, allowed, total=total, source=source, url=url)
        await self._reader.queue(connection, number)
        return job, total
