"""Reads the files of bulk jobs behind the scenes: each row becomes an asset with a task of its own, or a refusal, once.

Rows, their tasks and how far the file is read are written in one transaction: whoever goes on after a kill goes on behind it.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Final
from uuid import uuid4

from index_svc.archive import Entry, read_directory, read_part
from index_svc.jobs import Jobs
from index_svc.leased_queue import LeasedQueue, TryAgain
from index_svc.manifest import CSV_COLUMNS, Item, Permit, draft_of, items
from index_svc.records import BulkJob, JobKind, NewRow, RefusedRow
from index_svc.store import bulk as store
from index_svc.store import media as media_store
from index_svc.store.database import Connection, Database
from index_svc.table import Row, Table
from mesh import call
from mesh.errors import FetchFailed, Internal, MeshError, UnsupportedMedia
from mesh.fetching import FetcherClient
from mesh.media import MediaType
from mesh.media_file import MediaFile
from mesh.media_type import SNIFF_BYTES, accepts, sniff
from mesh.workers import WorkerPool

_log = logging.getLogger(__name__)

QUEUE: Final = "bulk"
_FETCH_SECONDS: Final = 270.0
"""Shorter than a connection between services may live."""
_DIRECTORY_SECONDS: Final = 60.0
_PART_SECONDS: Final = 30.0
_PART_BYTES: Final = 16 * 1_048_576
_ROWS_AT_ONCE: Final = 1000
_FEW_ROWS: Final = 10_000


class _NotOurs(Exception):
    """The job was cancelled, or another worker goes on with it."""


class BulkReader:
    """Enter it to have files read in this process; with `at_once` 0 they are only queued."""

    def __init__(
        self,
        database: Database,
        jobs: Jobs,
        archives: FetcherClient,
        workers: WorkerPool,
        *,
        at_once: int,
        max_attempts: int,
        max_entries: int,
        max_unpacked_bytes: int,
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._archives = archives
        self._workers = workers
        self._max_entries = max_entries
        self._max_unpacked_bytes = max_unpacked_bytes
        self._queue = LeasedQueue(database, QUEUE, "read_file", self._read, at_once, max_attempts)

    async def __aenter__(self) -> BulkReader:
        await self._queue.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._queue.__aexit__()

    async def queue(self, connection: Connection, number: int) -> None:
        """Seen by the workers once the transaction is through."""
        await self._queue.put(connection, [number])

    async def _read(self, number: int, is_last: bool) -> None:
        async with self._database.transaction() as connection:
            job = await store.find_bulk_job(connection, number)
        if job is None:
            return
        call.begin(str(job.id), _FETCH_SECONDS)
        code: str | None = None
        message: str | None = None
        try:
            await (self._read_csv(job) if job.kind is JobKind.CSV else self._read_archive(job))
        except _NotOurs:
            return
        except MeshError as error:
            if error.retryable and not is_last:
                raise TryAgain() from error
            code, message = error.code, error.message
        async with self._database.transaction() as connection:
            await store.end_reading(connection, job.id, code, message)
            await store.note_growth(connection)
        _log.info("a file was read", extra={"job": str(job.id), "kind": str(job.kind), "code": code or "ok"})

    async def _read_csv(self, job: BulkJob) -> None:
        permit = Permit(job.allowed, job.features)
        rows: list[Item] = []
        async for row in self._csv_rows(job):
            if row.line <= job.read_to:
                continue
            rows.append(_judged(row, permit))
            if len(rows) == _ROWS_AT_ONCE:
                job, rows = await self._take(job, rows), []
        await self._take(job, rows)

    async def _csv_rows(self, job: BulkJob) -> AsyncIterator[Row]:
        assert job.source is not None
        table = Table(CSV_COLUMNS)
        for number in itertools.count():
            async with self._database.transaction() as connection:
                chunk = await media_store.read_chunk(connection, job.source, number)
            for row in table.end() if chunk is None else table.feed(chunk):
                yield row
            if chunk is None:
                return

    async def _read_archive(self, job: BulkJob) -> None:
        assert job.url is not None
        with await self._archives.fetch(job.url) as archive:
            if job.sha256 not in (None, archive.sha256):
                raise FetchFailed("holds other bytes than when it was first read")
            limits = self._max_entries, self._max_unpacked_bytes
            entries, manifest = await self._workers.run(read_directory, archive.path, *limits, cpu_seconds=_DIRECTORY_SECONDS)
            found = items(manifest, entries, Permit(job.allowed, job.features), self._max_entries)
            async with self._database.transaction() as connection:
                await store.note_archive(connection, job, archive.sha256, len(found))
            refused: list[Item] = []
            for item in found:
                if item.number <= job.read_to:
                    continue
                if item.draft is not None:
                    job = await self._take(job, refused)
                    refused = []
                    job, problem = await self._take_file(job, archive, item)
                    item = replace(item, draft=None, error=problem)
                if item.error is not None:
                    refused.append(item)
                if len(refused) == _ROWS_AT_ONCE:
                    job, refused = await self._take(job, refused), []
            await self._take(job, refused)

    async def _take(self, job: BulkJob, rows: Sequence[Item]) -> BulkJob:
        """The job as it is once these rows are assets and refusals."""
        if not rows:
            return job
        new = [NewRow(item.number, item.draft) for item in rows if item.draft is not None]
        refused = [
            RefusedRow(item.number, item.line, item.file, item.error.code, item.error.message) for item in rows if item.error is not None
        ]
        read_to = rows[-1].number
        async with self._database.transaction() as connection:
            if not await store.hold(connection, job):
                raise _NotOurs
            if new:
                await self._jobs.queue_many(connection, await store.add_assets(connection, job, new))
            if refused:
                await store.add_refusals(connection, job, refused)
            await store.note_read(connection, job, read_to, len(new), len(refused))
            if len(new) > _ROWS_AT_ONCE // 2 and read_to < _FEW_ROWS:
                await store.note_growth(connection)
        return replace(job, read_to=read_to)

    async def _take_file(self, job: BulkJob, archive: MediaFile, item: Item) -> tuple[BulkJob, MeshError | None]:
        """The job as it is once this file of the archive is an asset whose bytes wait for its matcher; else why it is none."""
        assert item.draft is not None
        assert item.entry is not None
        try:
            async with self._database.transaction() as connection:
                if not await store.hold(connection, job):
                    raise _NotOurs
                (number,) = await store.add_assets(connection, job, [NewRow(item.number, item.draft, item.file)])
                await self._keep_file(connection, job, number, archive, item.entry, item.draft.media_type)
                await self._jobs.queue_many(connection, [number])
                await store.note_read(connection, job, item.number, 1, 0)
        except MeshError as error:
            if error.retryable:
                raise
            return job, error
        return replace(job, read_to=item.number), None

    async def _keep_file(
        self, connection: Connection, job: BulkJob, number: int, archive: MediaFile, entry: Entry, medium: MediaType
    ) -> None:
        identity, digest, chunks = uuid4(), hashlib.sha256(), itertools.count()
        for start in range(0, max(1, entry.size_bytes), _PART_BYTES):
            part = await self._workers.run(read_part, archive.path, entry, start, _PART_BYTES, cpu_seconds=_PART_SECONDS)
            if not start:
                await media_store.begin_media(connection, identity, job.project, _recognized(part, medium))
            digest.update(part)
            for at in range(0, len(part), media_store.CHUNK_BYTES):
                chunk = part[at : at + media_store.CHUNK_BYTES]
                if not await media_store.append_chunk(connection, identity, next(chunks), chunk):
                    raise Internal
        if not await media_store.give_media(connection, identity, number, entry.size_bytes, digest.hexdigest()):
            raise Internal


def _judged(row: Row, permit: Permit) -> Item:
    try:
        return Item(row.line, row.line, None, draft=draft_of(row, permit, CSV_COLUMNS.key))
    except MeshError as error:
        return Item(row.line, row.line, None, error=error)


def _recognized(first_bytes: bytes, medium: MediaType) -> str:
    """What the file is by its first bytes, where its medium takes that."""
    if not first_bytes:
        raise UnsupportedMedia("is an empty file")
    content_type = sniff(first_bytes[:SNIFF_BYTES])
    if content_type is None:
        is_archive = first_bytes.startswith((b"PK\x03\x04", b"Rar!\x1a\x07", b"7z\xbc\xaf", b"\x1f\x8b", b"\xfd7zXZ\0", b"BZh"))
        raise UnsupportedMedia("is an archive within the archive" if is_archive else f"is no type of file that is supported as {medium}")
    if not accepts(medium, content_type):
        raise UnsupportedMedia(f"is {content_type}, which is not supported as {medium}")
    return content_type
