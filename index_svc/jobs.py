"""What happens to an asset behind the scenes: fingerprinted, tried again where that helps, deleted when its time is over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Any, Final
from uuid import UUID

from prometheus_client import Counter

from index_svc.hashes import HashKind
from index_svc.kept_media import read_media
from index_svc.leased_queue import LeasedQueue, TryAgain
from index_svc.listening import listen
from index_svc.matchers import Matchers
from index_svc.quotas import Quotas
from index_svc.records import MEDIUM, Fingerprint, OnDuplicate, SoundTrack
from index_svc.search import Search
from index_svc.sources import Source, Sources
from index_svc.store import assets as store
from index_svc.store import hashes as hash_store
from index_svc.store import media as media_store
from index_svc.store.database import Connection, Database
from mesh import call
from mesh.errors import Duplicate, MeshError, NotFound
from mesh.media import MediaType

_log = logging.getLogger(__name__)

FINISHED = Counter("mediamesh_index_assets_total", "Assets that were fingerprinted, or were not.", ["media_type", "code"])

TASK_SECONDS: Final = 60.0
_SWEEP_SECONDS: Final = 2.0
_EXPIRED_AT_ONCE: Final = 100
QUEUE: Final = "assets"


class Jobs:
    """Enter it to have jobs done in this process; with `at_once` 0 it only queues them."""

    def __init__(
        self,
        database: Database,
        matchers: Matchers,
        sources: Sources,
        quotas: Quotas,
        search: Search,
        at_once: int,
        max_attempts: int,
        *,
        with_hashes: bool = True,
    ) -> None:
        self._database = database
        self._matchers = matchers
        self._sources = sources
        self._quotas = quotas
        self._search = search
        self._with_hashes = with_hashes
        self._checking = asyncio.Lock()
        self._at_once = at_once
        self.leased_queue = self._queue = LeasedQueue(database, QUEUE, "fingerprint_asset", self._fingerprint_asset, at_once, max_attempts)

    async def __aenter__(self) -> Jobs:
        await self._queue.__aenter__()
        self._sweeper = asyncio.create_task(self._keep_sweeping()) if self._at_once else None
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        await self._queue.__aexit__()

    async def queue(self, connection: Connection, number: int) -> None:
        """Seen by the workers once the transaction is through."""
        await self._queue.put(connection, [number])

    async def queue_many(self, connection: Connection, numbers: Sequence[int]) -> None:
        """After all that was queued one by one, before it or since."""
        await self._queue.put(connection, numbers, priority=-1)

    async def _fingerprint_asset(self, number: int, is_last: bool) -> None:
        async with self._database.transaction() as connection:
            asset = await store.begin_processing(connection, number)
            if asset is None:
                return
            medium = MEDIUM[asset["media_type"]]
            refusal = await self._quotas.place_refusal(connection, asset["project"], medium)
            if refusal is not None:
                await store.fail(connection, number, refusal.code, refusal.message)
                await media_store.settle_failed(connection, number)
        if refusal is not None:
            FINISHED.labels(medium, refusal.code).inc()
            return
        on_duplicate = OnDuplicate(asset["on_duplicate"])
        call.begin(str(asset["id"]), TASK_SECONDS)
        try:
            made, sound = await self._fingerprint(medium, await self._source(number, asset["url"]), is_last=is_last)
            if on_duplicate is OnDuplicate.INDEX:
                async with self._database.transaction() as connection:
                    await self._make_ready(connection, number, made, sound)
            else:
                await self._check_then_index(number, asset, made, sound, on_duplicate)
        except MeshError as error:
            await self._end_badly(number, error, is_last=is_last)
            FINISHED.labels(medium, error.code).inc()
            return
        FINISHED.labels(medium, "ok").inc()

    async def _fingerprint(self, medium: MediaType, source: Source, *, is_last: bool) -> tuple[Fingerprint, SoundTrack | None]:
        """What is made of the asset, and of a film's sound; None: nobody has listened to it."""
        if medium is not MediaType.VIDEO or not self._matchers.has(MediaType.AUDIO):
            return await self._matchers.fingerprint(medium, source, with_hashes=self._with_hashes), None
        async with self._sources.at_hand(medium, source) as film:
            made = await self._matchers.fingerprint(medium, film, with_hashes=self._with_hashes)
            try:
                return made, await listen(self._matchers, film)
            except MeshError as error:
                if error.retryable and not is_last:
                    raise
                _log.warning("a film is indexed without its sound", extra={"code": error.code})
                return made, None

    async def _source(self, number: int, url: str | None) -> Source:
        if url is not None:
            return Source(url)
        async with self._database.transaction() as connection:
            media = await media_store.find_media(connection, number)
        if media is None:
            raise NotFound("its bytes are not there any more: upload it again")
        return Source(read=partial(read_media, self._database, media))

    async def _make_ready(self, connection: Connection, number: int, made: Fingerprint, sound: SoundTrack | None) -> None:
        if not await store.make_ready(connection, number, made, sound):
            return
        await hash_store.write_hashes(connection, number, {HashKind(name): value for name, value in made.hashes.items()})
        await media_store.settle_ready(connection, number)

    async def _check_then_index(
        self, number: int, asset: dict[str, Any], made: Fingerprint, sound: SoundTrack | None, on_duplicate: OnDuplicate
    ) -> None:
        """One at a time in each collection, so that of two copies that come at once one finds the other."""
        medium = MEDIUM[asset["media_type"]]
        async with self._checking, self._database.transaction() as connection:
            await store.lock_collection(connection, asset["project"], medium, asset["collection"])
            original = await self._search.find_original(asset["project"], medium, made, asset["collection"], asset["id"])
            if original is not None and on_duplicate is OnDuplicate.SKIP:
                raise Duplicate(f"is a duplicate of the asset {original}", duplicate_of=str(original))
            await self._make_ready(connection, number, made, sound)
            if original is not None:
                await store.link(connection, number, original)

    async def _end_badly(self, number: int, error: MeshError, *, is_last: bool) -> None:
        """It waits again where that may help, else the asset has failed, and says why."""
        is_worth_another = error.retryable and not is_last
        async with self._database.transaction() as connection:
            if is_worth_another:
                await store.wait_again(connection, number)
            else:
                original = error.details.get("duplicate_of")
                await store.fail(connection, number, error.code, error.message, UUID(original) if original else None)
                await (media_store.drop_media if original else media_store.settle_failed)(connection, number)
        if is_worth_another:
            raise TryAgain() from error

    async def _keep_sweeping(self) -> None:
        """What has outlived its time is deleted."""
        await self._database.is_migrated.wait()
        while True:
            try:
                await self._delete_expired()
            except Exception as problem:
                _log.warning("sweeping failed", extra={"problem": type(problem).__name__})
            await asyncio.sleep(_SWEEP_SECONDS)

    async def _delete_expired(self) -> None:
        while True:
            async with self._database.transaction() as connection:
                assets = await store.delete_expired(connection, _EXPIRED_AT_ONCE)
            async with self._database.transaction() as connection:
                media = await media_store.delete_expired_media(connection, _EXPIRED_AT_ONCE)
            if max(assets, media) < _EXPIRED_AT_ONCE:
                return
