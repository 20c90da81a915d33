"""What happens behind the scenes: queued with its asset in one transaction, leased by a heartbeat, tried again, never lost.

A job is taken from its worker when that stops beating: a killed process loses nothing but time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any, Final
from uuid import UUID

import procrastinate
from procrastinate import JobContext, PsycopgConnector, RetryDecision
from procrastinate.jobs import Job as QueuedJob
from procrastinate.jobs import Status
from procrastinate.retry import BaseRetryStrategy
from prometheus_client import Counter

from index_svc.hashes import HashKind
from index_svc.kept_media import read_media
from index_svc.matchers import Matchers
from index_svc.quotas import Quotas
from index_svc.records import MEDIUM, Fingerprint, OnDuplicate
from index_svc.search import Search
from index_svc.store import assets as store
from index_svc.store import hashes as hash_store
from index_svc.store import media as media_store
from index_svc.store.database import Connection, Database
from mesh import call
from mesh.errors import Duplicate, MeshError, NotFound

_log = logging.getLogger(__name__)

FINISHED = Counter("mediamesh_index_assets_total", "Assets that were fingerprinted, or were not.", ["media_type", "code"])

_TASK_SECONDS: Final = 60.0
_BEAT_SECONDS: Final = 2.0
_LEASE_SECONDS: Final = 10.0
_SWEEP_SECONDS: Final = 2.0
_EXPIRED_AT_ONCE: Final = 100
_POLL_SECONDS: Final = 2.0
_RESTART_SECONDS: Final = 1.0
_MAX_PAUSE_SECONDS: Final = 60.0
_DRAIN_SECONDS: Final = 10.0
QUEUE: Final = "assets"


class _TryAgain(Exception):
    """The matcher was away or too busy."""


class Jobs:
    """Enter it to have jobs done in this process; with `at_once` 0 it only queues them."""

    def __init__(
        self,
        database: Database,
        matchers: Matchers,
        quotas: Quotas,
        search: Search,
        at_once: int,
        max_attempts: int,
        *,
        with_hashes: bool = True,
    ) -> None:
        self._database = database
        self._matchers = matchers
        self._quotas = quotas
        self._search = search
        self._with_hashes = with_hashes
        self._checking = asyncio.Lock()
        self._at_once = at_once
        self._max_attempts = max_attempts
        self._app = procrastinate.App(connector=PsycopgConnector())
        task = self._app.task(name="fingerprint_asset", queue=QUEUE, pass_context=True, retry=_Pauses())
        self._fingerprint = task(self._run_one)
        self._running: set[int] = set()
        self._workers: set[int] = set()
        logging.getLogger("procrastinate").setLevel(logging.CRITICAL)

    async def __aenter__(self) -> Jobs:
        await self._app.open_async(self._database.pool)
        self._keepers = [asyncio.create_task(keep()) for keep in (self._keep_working, self._keep_sweeping)] if self._at_once else []
        return self

    async def __aexit__(self, *_: object) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        await self._app.close_async()

    async def queue(self, connection: Connection, number: int) -> None:
        """Seen by the workers once the transaction is through."""
        await self._fingerprint.configure(connection=connection).defer_async(number=number)

    async def _run_one(self, context: JobContext, number: int) -> None:
        job = context.job
        assert job.id is not None
        self._running.add(job.id)
        self._workers.add(job.worker_id or 0)
        try:
            await self._fingerprint_asset(number, is_last=job.attempts + 1 >= self._max_attempts)
        finally:
            self._running.discard(job.id)

    async def _fingerprint_asset(self, number: int, *, is_last: bool) -> None:
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
        call.begin(str(asset["id"]), _TASK_SECONDS)
        try:
            made = await self._matchers.fingerprint(medium, await self._source(number, asset["url"]), with_hashes=self._with_hashes)
            if on_duplicate is OnDuplicate.INDEX:
                async with self._database.transaction() as connection:
                    await self._make_ready(connection, number, made)
            else:
                await self._check_then_index(number, asset, made, on_duplicate)
        except MeshError as error:
            await self._end_badly(number, error, is_last=is_last)
            FINISHED.labels(medium, error.code).inc()
            return
        FINISHED.labels(medium, "ok").inc()

    async def _source(self, number: int, url: str | None) -> str | AsyncIterator[bytes]:
        if url is not None:
            return url
        async with self._database.transaction() as connection:
            media = await media_store.find_media(connection, number)
        if media is None:
            raise NotFound("its bytes are not there any more: upload it again")
        return read_media(self._database, media)

    async def _make_ready(self, connection: Connection, number: int, made: Fingerprint) -> None:
        if not await store.make_ready(connection, number, made):
            return
        await hash_store.write_hashes(connection, number, {HashKind(name): value for name, value in made.hashes.items()})
        await media_store.settle_ready(connection, number)

    async def _check_then_index(self, number: int, asset: dict[str, Any], made: Fingerprint, on_duplicate: OnDuplicate) -> None:
        """One at a time in each collection, so that of two copies that come at once one finds the other."""
        medium = MEDIUM[asset["media_type"]]
        async with self._checking, self._database.transaction() as connection:
            await store.lock_collection(connection, asset["project"], medium, asset["collection"])
            original = await self._search.find_original(asset["project"], medium, made, asset["collection"], asset["id"])
            if original is not None and on_duplicate is OnDuplicate.SKIP:
                raise Duplicate(f"is a duplicate of the asset {original}", duplicate_of=str(original))
            await self._make_ready(connection, number, made)
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
            raise _TryAgain() from error

    async def _keep_working(self) -> None:
        """A worker of the queue; a new one where the database's absence ended it."""
        await self._database.is_migrated.wait()
        while True:
            try:
                await self._app.run_worker_async(
                    queues=[QUEUE],
                    concurrency=self._at_once,
                    fetch_job_polling_interval=_POLL_SECONDS,
                    update_heartbeat_interval=_BEAT_SECONDS,
                    stalled_worker_timeout=_LEASE_SECONDS,
                    shutdown_graceful_timeout=_DRAIN_SECONDS,
                    install_signal_handlers=False,
                    delete_jobs="successful",
                )
            except Exception as problem:
                _log.warning("the worker ended, starting another", extra={"problem": type(problem).__name__})
            await asyncio.sleep(_RESTART_SECONDS)

    async def _keep_sweeping(self) -> None:
        """Jobs whose worker is gone, or could not say that they are done, are done again; what has outlived its time is deleted."""
        await self._database.is_migrated.wait()
        suspects: set[int] = set()
        while True:
            try:
                await self._retry_stalled()
                suspects = await self._retry_unsaid(suspects)
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

    async def _retry_stalled(self) -> None:
        for job in await self._app.job_manager.get_stalled_jobs(queue=QUEUE, seconds_since_heartbeat=_LEASE_SECONDS):
            await self._retry(job)

    async def _retry_unsaid(self, suspects: set[int]) -> set[int]:
        """Those of our own workers' that nobody here works on, where that is so for the second time."""
        doing = await self._app.job_manager.list_jobs_async(queue=QUEUE, status=Status.DOING.value)
        unsaid = {job.id: job for job in doing if job.id and job.worker_id in self._workers and job.id not in self._running}
        for identity in suspects & unsaid.keys():
            await self._retry(unsaid[identity])
        return set(unsaid)

    async def _retry(self, job: QueuedJob) -> None:
        _log.warning("a job lost its worker, it is done again", extra={"job": job.id})
        await self._app.job_manager.retry_job(job)


class _Pauses(BaseRetryStrategy):
    """A second, then twice as long each time. Whatever can be said of an asset is said before: here is only what may pass."""

    def get_retry_decision(self, *, exception: BaseException, job: QueuedJob) -> RetryDecision:
        # Cancelled: this process ends, and another goes on.
        is_leaving = isinstance(exception, asyncio.CancelledError)
        return RetryDecision(retry_in={"seconds": 0 if is_leaving else int(min(2.0**job.attempts, _MAX_PAUSE_SECONDS))})
