"""Files of rows on a real PostgreSQL: accepted whole, read once however often the reading is interrupted, reported, cancelled."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID, uuid4

import psycopg
import pytest

from index_svc.access import Access
from index_svc.bulk import Bulk
from index_svc.bulk_reader import BulkReader
from index_svc.decision_log import DecisionLog
from index_svc.held_media import HeldMedia
from index_svc.index import Index
from index_svc.jobs import Jobs
from index_svc.matchers import Matchers
from index_svc.quotas import Quotas
from index_svc.records import AssetStatus, Job
from index_svc.search import Search
from index_svc.settings import Settings
from index_svc.sources import Sources
from index_svc.store import assets
from index_svc.store import media as media_store
from index_svc.store.database import Database
from index_svc.thresholds import Thresholds
from mesh.errors import Conflict, InsufficientScope, InvalidRequest, NotFound, RequestTooLarge
from mesh.fetching import FetcherClient
from mesh.media import MediaType
from mesh.settings import read_settings
from mesh.workers import WorkerPool
from tests.integration.index_svc.test_store import fingerprint

MEDIA = list(MediaType)
MAX_ROWS = 100_000


def csv_of(count: int, *more: str) -> bytes:
    rows = (f"http://example.com/{number}.jpg,image,name {number}" for number in range(count))
    return "\n".join(("url,media_type,name", *rows, *more, "")).encode()


async def in_pieces(content: bytes, piece_bytes: int = 1 << 18) -> AsyncIterator[bytes]:
    for at in range(0, len(content), piece_bytes):
        yield content[at : at + piece_bytes]


@dataclass
class Desk:
    """Where files are handed in; nobody reads them unless told to."""

    database: Database
    index: Index
    jobs: Jobs
    reader: BulkReader
    bulk: Bulk
    project: UUID

    async def accept(self, content: bytes, key: str = "", media: list[MediaType] = MEDIA) -> tuple[UUID, int]:
        return await self.bulk.accept_csv(self.project, media, in_pieces(content), key)

    async def read(self, job: UUID) -> None:
        """What a worker of the queue does."""
        await self.reader._read((await self.job(job)).number, False)

    async def job(self, job: UUID) -> Job:
        return await self.index.get_job(self.project, job)

    async def rows(self, job: UUID, status: AssetStatus | None = None) -> list[tuple[int | None, str, str | None]]:
        found, cursor = [], ""
        while True:
            page, cursor = await self.bulk.rows(self.project, job, status, cursor, 1000)
            found += [(row.line, row.status.value, row.error_code) for row in page]
            if not cursor:
                return found

    async def ask(self, statement: str) -> list[tuple[object, ...]]:
        async with await psycopg.AsyncConnection.connect(self.database.conninfo) as connection:
            return list(await (await connection.execute(statement.encode())).fetchall())


@pytest.fixture
async def desk(database: Database, access: Access) -> AsyncIterator[Desk]:
    settings = read_settings(Settings, {})
    matchers = Matchers(settings)
    quotas = Quotas(database)
    sources = Sources(settings, HeldMedia(1 << 20))
    search = Search(database, access, quotas, matchers, sources, Thresholds(database, access), DecisionLog(database), 10)
    jobs = Jobs(database, matchers, sources, quotas, search, 0, 3)
    index = Index(database, access, quotas, jobs)
    pool = WorkerPool("archive", workers=1, max_waiting=1, memory_bytes=1 << 28, warm_up=lambda: None)
    reader = BulkReader(
        *(database, jobs, FetcherClient(settings, "unix:none.sock", None), pool),
        at_once=0,
        max_attempts=3,
        max_entries=10,
        max_unpacked_bytes=10,
    )
    async with jobs, reader:
        yield Desk(database, index, jobs, reader, Bulk(database, index, reader, MAX_ROWS), (await access.create_project("one", "")).id)


async def test_each_row_becomes_an_asset_or_a_refusal_and_each_asset_a_task(desk: Desk) -> None:
    job, rows = await desk.accept(csv_of(2500, "x,text,", ",image,", 'y,image,"open'))
    assert rows == 2503
    before = await desk.job(job)
    assert (before.total, before.counts[AssetStatus.PENDING], before.is_reading) == (2503, 2503, True)
    await desk.read(job)
    after = await desk.job(job)
    assert after.counts == {AssetStatus.PENDING: 2500, AssetStatus.PROCESSING: 0, AssetStatus.READY: 0, AssetStatus.FAILED: 3}
    assert not after.is_reading
    assert await desk.rows(job) == [
        *((line, "pending", None) for line in range(2, 2502)),
        *((line, "failed", "invalid_request") for line in (2502, 2503, 2504)),
    ]
    assert await desk.rows(job, AssetStatus.FAILED) == (await desk.rows(job))[-3:]
    assert await desk.rows(job, AssetStatus.READY) == []
    queued = await desk.ask("SELECT (args->>'number')::bigint FROM procrastinate_jobs WHERE queue_name = 'assets' ORDER BY 1")
    assert queued == await desk.ask("SELECT number FROM assets ORDER BY number")


async def test_what_was_read_is_kept_no_longer(desk: Desk) -> None:
    job, _ = await desk.accept(csv_of(3))
    assert await desk.ask("SELECT count(*) FROM media_chunks") == [(1,)]
    await desk.read(job)
    assert await desk.ask("SELECT (SELECT count(*) FROM media), (SELECT count(*) FROM media_chunks), url FROM jobs") == [(0, 0, None)]


@pytest.mark.parametrize("stops", [1, 2, 5])
async def test_reading_that_is_interrupted_goes_on_where_it_was(desk: Desk, monkeypatch: pytest.MonkeyPatch, stops: int) -> None:
    job, _ = await desk.accept(csv_of(5500, "x,text,"))
    take, left = desk.reader._take, iter(range(stops))

    async def take_and_die(*arguments: object) -> object:
        done = await take(*arguments)  # type: ignore[arg-type]
        if next(left, None) is not None:
            raise asyncio.CancelledError
        return done

    monkeypatch.setattr(desk.reader, "_take", take_and_die)
    for _ in range(stops):
        with pytest.raises(asyncio.CancelledError):
            await desk.read(job)
    await desk.read(job)
    assert [line for line, _, _ in await desk.rows(job)] == list(range(2, 5503))
    assert await desk.ask("SELECT count(*), count(DISTINCT url) FROM assets") == [(5500, 5500)]
    assert await desk.ask("SELECT count(*) FROM procrastinate_jobs WHERE queue_name = 'assets'") == [(5500,)]


async def test_two_who_read_the_same_file_at_once_add_no_row_twice(desk: Desk) -> None:
    job, _ = await desk.accept(csv_of(5000))
    await asyncio.gather(*(desk.read(job) for _ in range(3)))
    if (await desk.job(job)).is_reading:
        await desk.read(job)
    assert [line for line, _, _ in await desk.rows(job)] == list(range(2, 5002))
    assert await desk.ask("SELECT count(*) FROM procrastinate_jobs WHERE queue_name = 'assets'") == [(5000,)]


async def test_file_that_comes_again_under_its_key_is_the_same_job(desk: Desk) -> None:
    first = await desk.accept(csv_of(3), "k")
    assert await desk.accept(csv_of(3), "k") == first
    with pytest.raises(Conflict):
        await desk.accept(csv_of(4), "k")
    assert (await desk.accept(csv_of(3), "another"))[0] != first[0]
    assert await desk.ask("SELECT count(*) FROM media") == [(2,)]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", InvalidRequest),
        (b"url,media_type\n", InvalidRequest),
        (b"\n\n\r\n", InvalidRequest),
        (b"\xff\xfeu\0", InvalidRequest),
        (csv_of(10) + b"x,image\n" * MAX_ROWS, RequestTooLarge),
        (b"url,media_type\n" + b"x" * (65 << 20), RequestTooLarge),
    ],
    ids=["empty", "header only", "empty lines", "UTF-16", "too many rows", "too large"],
)
async def test_file_that_is_refused_leaves_nothing_behind(desk: Desk, content: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        await desk.accept(content)
    assert await desk.ask("SELECT (SELECT count(*) FROM jobs), (SELECT count(*) FROM media)") == [(0, 0)]


async def test_file_whose_sender_vanishes_is_nobodys_and_is_swept_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def vanishing() -> AsyncIterator[bytes]:
        yield csv_of(50_000)
        raise ConnectionError

    async def not_even_this(*_: object) -> None:
        raise NotFound

    monkeypatch.setattr(media_store, "delete_nobodys", not_even_this)
    with pytest.raises((ConnectionError, NotFound)):
        await desk.bulk.accept_csv(desk.project, MEDIA, vanishing(), "")
    assert await desk.ask("SELECT count(*) FROM jobs") == [(0,)]
    async with desk.database.transaction() as connection:
        await connection.execute("UPDATE media SET expires_at = now()")
        assert await media_store.delete_expired_media(connection, 10) == 1
    assert await desk.ask("SELECT count(*) FROM media_chunks") == [(0,)]


async def test_rows_of_media_that_the_key_may_not_index_are_refused_by_themselves(desk: Desk) -> None:
    job, _ = await desk.accept(b"a,image\nb,audio\nc,video\n", media=[MediaType.AUDIO])
    await desk.read(job)
    assert await desk.rows(job) == [(1, "failed", "insufficient_scope"), (2, "pending", None), (3, "failed", "insufficient_scope")]
    with pytest.raises(InsufficientScope):
        await desk.accept(b"a,image\n", media=[])


async def test_cancelled_job_ends_what_is_awaited_and_leaves_what_is_ready(desk: Desk) -> None:
    job, _ = await desk.accept(csv_of(3))
    await desk.read(job)
    numbers = [row[0] for row in await desk.ask("SELECT number FROM assets ORDER BY number")]
    async with desk.database.transaction() as connection:
        for number in numbers[:2]:
            assert await assets.begin_processing(connection, int(str(number)))
        assert await assets.make_ready(connection, int(str(numbers[0])), fingerprint([1]))
    cancelled = await desk.bulk.cancel(desk.project, job)
    assert cancelled.is_cancelled
    assert cancelled.finished_at is not None
    assert await desk.rows(job) == [(2, "ready", None), (3, "failed", "cancelled"), (4, "failed", "cancelled")]
    async with desk.database.transaction() as connection:
        assert not await assets.make_ready(connection, int(str(numbers[1])), fingerprint([2]))
        assert await assets.begin_processing(connection, int(str(numbers[2]))) is None
    assert await desk.bulk.cancel(desk.project, job) == cancelled


async def test_job_that_is_cancelled_while_its_file_is_read_is_read_no_further(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    job, _ = await desk.accept(csv_of(5000))
    take = desk.reader._take

    async def take_and_cancel(*arguments: object) -> object:
        done = await take(*arguments)  # type: ignore[arg-type]
        await desk.bulk.cancel(desk.project, job)
        return done

    monkeypatch.setattr(desk.reader, "_take", take_and_cancel)
    await desk.read(job)
    found = await desk.job(job)
    assert (found.total, found.counts[AssetStatus.FAILED], found.is_reading, found.is_cancelled) == (1000, 1000, False, True)
    assert await desk.ask("SELECT count(*) FROM media") == [(0,)]


async def test_job_that_is_over_cannot_be_cancelled(desk: Desk) -> None:
    job, _ = await desk.accept(b"a,text\n")
    await desk.read(job)
    with pytest.raises(Conflict):
        await desk.bulk.cancel(desk.project, job)


async def test_other_projects_know_nothing_of_a_job(desk: Desk, access: Access) -> None:
    job, _ = await desk.accept(csv_of(3))
    other = (await access.create_project("two", "")).id
    for ask in (desk.bulk.cancel(other, job), desk.bulk.rows(other, job, None, "", 0), desk.bulk.cancel(desk.project, uuid4())):
        with pytest.raises(NotFound):
            await ask
    assert not (await desk.job(job)).is_cancelled


@pytest.mark.parametrize(
    "rows",
    [pytest.param(10_000, id="some"), pytest.param(MAX_ROWS, id="as many as may be", marks=[pytest.mark.long, pytest.mark.timeout(900)])],
)
async def test_many_rows_are_accepted_and_read_in_little_memory(desk: Desk, rows: int) -> None:
    content = csv_of(rows - 1, "x,text,")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    job, accepted = await desk.accept(content)
    await desk.read(job)
    assert accepted == rows
    assert await desk.ask("SELECT count(*), count(DISTINCT line) FROM assets") == [(rows - 1, rows - 1)]
    found = await desk.job(job)
    assert (found.counts[AssetStatus.PENDING], found.counts[AssetStatus.FAILED]) == (rows - 1, 1)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024
