"""Assets of another version are fingerprinted again, behind all other work; each is ready, and found as before, until it is replaced.

A row of the job and its task end in one transaction, in which the next row gets its task: a killed process loses and repeats nothing.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Final
from uuid import UUID, uuid4

from prometheus_client import Counter, Gauge

from index_svc.jobs import TASK_SECONDS, Jobs
from index_svc.kept_media import read_media
from index_svc.leased_queue import TryAgain
from index_svc.listening import listen
from index_svc.matchers import Matchers
from index_svc.records import Fingerprint, Job, Kind, Renewal, SoundTrack, VersionCount
from index_svc.sources import Source, Sources
from index_svc.store import access as access_store
from index_svc.store import assets as asset_store
from index_svc.store import media as media_store
from index_svc.store import renewals as store
from index_svc.store.database import Connection, Database
from mesh import call
from mesh.errors import MeshError, NotAvailable, NotFound
from mesh.media import MediaType

_log = logging.getLogger(__name__)

RENEWED = Counter("mediamesh_index_renewals_total", "Assets that were fingerprinted again, or were not.", ["media_type", "code"])
OLD = Gauge("mediamesh_index_assets_old", "Ready assets of another algorithm or version than their matcher makes now.", ["media_type"])
OLD_SOUNDS = Gauge("mediamesh_index_sounds_old", "Ready films whose sound track was fingerprinted by another version, or not at all yet.")

AT_ONCE: Final = 4
"""Tasks of one job that wait or run at a time; what is indexed meanwhile is done before the next of them."""
_PRIORITY: Final = -2
"""Below files of rows."""
_COUNT_SECONDS: Final = 60.0
_RETRY_SECONDS: Final = 2.0

NOT_KEPT: Final = "media_not_kept"
CHANGED: Final = "media_changed"


class _CannotRenewError(Exception):
    """There is nothing that it could be made again from."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class Renewals:
    """Enter it to have old assets counted now and then, and told of where there are any."""

    def __init__(self, database: Database, matchers: Matchers, sources: Sources, jobs: Jobs, *, with_hashes: bool = True) -> None:
        self._database = database
        self._matchers = matchers
        self._sources = sources
        self._with_hashes = with_hashes
        self._queue = jobs.leased_queue
        self._task = self._queue.add("renew_asset", self._renew)

    async def __aenter__(self) -> Renewals:
        self._counter = asyncio.create_task(self._keep_counting())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._counter.cancel()
        await asyncio.gather(self._counter, return_exceptions=True)

    async def start(self, project: UUID) -> Job | None:
        """The job; the one that is under way where there is one, and None where nothing is old."""
        made = await self._matchers.kinds()
        silent = [medium for medium, kind in made.items() if kind is None]
        if silent:
            raise NotAvailable(f"{silent[0]} matching does not say just now what it makes")
        async with self._database.transaction() as connection:
            if not await access_store.has_project(connection, project):
                raise NotFound("there is no such project")
            job = await store.find_unfinished_job(connection, project)
            if job is not None:
                # A process that is too old to know such tasks may have thrown one away; what comes twice is done once.
                if under_way := await store.rows_under_way(connection, job):
                    await self._queue.put(connection, under_way, priority=_PRIORITY, task=self._task)
                else:
                    await self._queue_next(connection, job, AT_ONCE)
            else:
                job = uuid4()
                if not await store.insert_renewals(connection, project, job, {medium: kind for medium, kind in made.items() if kind}):
                    return None
                await self._queue_next(connection, job, AT_ONCE)
            return await asset_store.find_job(connection, project, job)

    async def versions(self, project: UUID | None) -> list[tuple[VersionCount, bool | None]]:
        """How many ready assets there are of each kind, and whether that is what its matcher makes now (None: it does not say)."""
        made = await self._matchers.kinds()
        async with self._database.transaction() as connection:
            counts = await store.count_versions(connection, project)
        return [(count, _is_current(count, made)) for count in counts]

    async def _queue_next(self, connection: Connection, job: UUID, limit: int = 1) -> None:
        """Tasks for the next rows of the job; behind the last one, what is left of the old fingerprints is to be dropped."""
        numbers = await store.claim_next(connection, job, limit)
        if numbers:
            await self._queue.put(connection, numbers, priority=_PRIORITY, task=self._task)
        elif await store.note_stale_runs(connection, job):
            _log.info("assets were fingerprinted again", extra={"job": str(job)})

    async def _renew(self, identity: int, is_last: bool) -> None:
        async with self._database.transaction() as connection:
            renewal = await store.find_renewal(connection, identity)
            if renewal is None:
                job = await store.drop_renewal(connection, identity)
                if job is not None:
                    await self._queue_next(connection, job)
                return
        call.begin(str(renewal.asset), TASK_SECONDS)
        code = message = None
        try:
            await self._make_again(renewal)
        except MeshError as error:
            if error.retryable and not is_last:
                raise TryAgain() from error
            code, message = error.code, error.message
        except _CannotRenewError as problem:
            code, message = problem.code, problem.message
        if code is not None:
            async with self._database.transaction() as connection:
                if await store.finish(connection, identity, code, message):
                    await self._queue_next(connection, renewal.job)
        RENEWED.labels(renewal.media_type, code or "ok").inc()

    async def _make_again(self, renewal: Renewal) -> None:
        made, sound = await self._made(renewal, await self._source(renewal))
        async with self._database.transaction() as connection:
            if not await store.finish(connection, renewal.id):
                return
            await store.replace_fingerprint(connection, renewal.number, made, sound)
            await self._queue_next(connection, renewal.job)

    async def _made(self, renewal: Renewal, source: Source) -> tuple[Fingerprint | None, SoundTrack | None]:
        """Of a film only what is old: its pictures, its sound, or both."""
        medium = renewal.media_type
        if medium is not MediaType.VIDEO:
            made = await self._matchers.fingerprint(medium, source, with_hashes=self._with_hashes)
            _check_same(made.sha256, renewal)
            return made, None
        pictures: Fingerprint | None = None
        sound: SoundTrack | None = None
        async with self._sources.at_hand(medium, source) as film:
            _check_same(film.sha256 or renewal.sha256, renewal)
            if self._matchers.has(medium) and renewal.kind != await self._matchers.kind(medium):
                pictures = await self._matchers.fingerprint(medium, film, with_hashes=self._with_hashes)
            if self._matchers.has(MediaType.AUDIO) and renewal.sound_kind != await self._matchers.kind(MediaType.AUDIO):
                sound = await listen(self._matchers, film)
        return pictures, sound

    async def _source(self, renewal: Renewal) -> Source:
        """The bytes that are kept, else the URL."""
        async with self._database.transaction() as connection:
            media = await media_store.find_kept_media(connection, renewal.project, renewal.asset)
        if media is not None:
            return Source(read=partial(read_media, self._database, media))
        if renewal.url is None:
            raise _CannotRenewError(NOT_KEPT, "its media are not kept: index it again")
        return Source(renewal.url)

    async def _keep_counting(self) -> None:
        await self._database.is_migrated.wait()
        told: dict[MediaType, Kind] = {}
        while True:
            try:
                is_whole = await self._count(told)
            except Exception as problem:
                _log.warning("counting versions failed", extra={"problem": type(problem).__name__})
                is_whole = False
            await asyncio.sleep(_COUNT_SECONDS if is_whole else _RETRY_SECONDS)

    async def _count(self, told: dict[MediaType, Kind]) -> bool:
        """Whether every matcher said what it makes; of each new kind it is told once what it leaves behind."""
        made = await self._matchers.kinds()
        async with self._database.transaction() as connection:
            counts = await store.count_versions(connection, None)
        for medium, kind in made.items():
            if kind is None:
                continue
            old_counts = [count for count in counts if count.through is medium and count.kind != kind]
            old = sum(count.assets for count in old_counts if count.media_type is medium)
            unheard = sum(count.assets for count in old_counts) - old
            if medium is MediaType.AUDIO:
                OLD_SOUNDS.set(unheard)
            if unheard and told.get(medium) != kind:
                _log.warning("films are not found by their sound: run python -m index_svc.admin refingerprint", extra={"assets": unheard})
            OLD.labels(medium).set(old)
            if old and told.get(medium) != kind:
                _log.warning(
                    "assets of another version are found by their hashes alone: run python -m index_svc.admin refingerprint",
                    extra={"media_type": str(medium), "assets": old, "algorithm": kind.algorithm, "version": kind.version},
                )
            if old_counts:
                told[medium] = kind
        return None not in made.values()


def _check_same(sha256: str, renewal: Renewal) -> None:
    if sha256 != renewal.sha256:
        raise _CannotRenewError(CHANGED, "its URL gives other bytes than when it was indexed")


def _is_current(count: VersionCount, made: dict[MediaType, Kind | None]) -> bool | None:
    kind = made.get(count.through)
    return None if kind is None else count.kind == kind
