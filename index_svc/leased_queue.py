"""Work behind the scenes: queued in the transaction that it belongs to, leased by a heartbeat, tried again, never lost.

A piece of work is taken from its worker when that stops beating: a killed process loses nothing but time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import procrastinate
from procrastinate import JobContext, PsycopgConnector, RetryDecision
from procrastinate.jobs import Job as QueuedJob
from procrastinate.jobs import Status
from procrastinate.retry import BaseRetryStrategy

from index_svc.store.database import Connection, Database
from mesh import traces

_log = logging.getLogger(__name__)

_BEAT_SECONDS: Final = 2.0
_LEASE_SECONDS: Final = 10.0
_SWEEP_SECONDS: Final = 2.0
_POLL_SECONDS: Final = 2.0
_RESTART_SECONDS: Final = 1.0
_MAX_PAUSE_SECONDS: Final = 60.0
_DRAIN_SECONDS: Final = 10.0

Task = procrastinate.tasks.Task[..., Any, Any]
Work = Callable[[int, bool], Awaitable[None]]
"""Does the work that this number stands for, and is told whether this is its last chance; may raise TryAgain."""


class TryAgain(Exception):
    """Whoever was needed was away or too busy."""


class LeasedQueue:
    """Enter it to have the work done in this process; with `at_once` 0 it is only queued."""

    def __init__(self, database: Database, name: str, task_name: str, work: Work, at_once: int, max_attempts: int) -> None:
        self._database = database
        self._name = name
        self._at_once = at_once
        self._max_attempts = max_attempts
        self._app = procrastinate.App(connector=PsycopgConnector())
        self._task = self.add(task_name, work)
        self._running: set[int] = set()
        self._workers: set[int] = set()
        self._is_leaving = False
        logging.getLogger("procrastinate").setLevel(logging.CRITICAL)

    async def __aenter__(self) -> LeasedQueue:
        await self._app.open_async(self._database.pool)
        self._keepers = [asyncio.create_task(keep()) for keep in (self._keep_working, self._keep_sweeping)] if self._at_once else []
        return self

    async def __aexit__(self, *_: object) -> None:
        # A worker that is told to end where there is no database ends with that for its reason.
        self._is_leaving = True
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        await self._app.close_async()

    def add(self, task_name: str, work: Work) -> Task:
        """Another kind of work for the same workers, to be put in by what this returns; before it is entered."""

        async def run(context: JobContext, number: int) -> None:
            await self._run_one(context.job, number, work)

        return self._app.task(name=task_name, queue=self._name, pass_context=True, retry=_Pauses())(run)

    async def put(self, connection: Connection, numbers: Sequence[int], *, priority: int = 0, task: Task | None = None) -> None:
        """Seen by the workers once the transaction is through; what has a higher priority is done first."""
        arguments: list[dict[str, Any]] = [{"number": number} for number in numbers]
        deferrer = (task or self._task).configure(connection=connection, priority=priority)
        await deferrer.batch_defer_async(*arguments)

    async def _run_one(self, job: QueuedJob, number: int, work: Work) -> None:
        assert job.id is not None
        self._running.add(job.id)
        self._workers.add(job.worker_id or 0)
        try:
            with traces.working(f"job {job.task_name}"):
                await work(number, job.attempts + 1 >= self._max_attempts)
        finally:
            self._running.discard(job.id)

    async def _keep_working(self) -> None:
        """A worker of the queue; a new one where the database's absence ended it."""
        await self._database.is_migrated.wait()
        while not self._is_leaving:
            try:
                await self._app.run_worker_async(
                    queues=[self._name],
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
        """Work whose worker is gone, or could not say that it is done, is done again."""
        await self._database.is_migrated.wait()
        suspects: set[int] = set()
        while True:
            try:
                await self._retry_stalled()
                suspects = await self._retry_unsaid(suspects)
            except Exception as problem:
                _log.warning("sweeping failed", extra={"problem": type(problem).__name__})
            await asyncio.sleep(_SWEEP_SECONDS)

    async def _retry_stalled(self) -> None:
        for job in await self._app.job_manager.get_stalled_jobs(queue=self._name, seconds_since_heartbeat=_LEASE_SECONDS):
            await self._retry(job)

    async def _retry_unsaid(self, suspects: set[int]) -> set[int]:
        """Those of our own workers' that nobody here works on, where that is so for the second time."""
        doing = await self._app.job_manager.list_jobs_async(queue=self._name, status=Status.DOING.value)
        unsaid = {job.id: job for job in doing if job.id and job.worker_id in self._workers and job.id not in self._running}
        for identity in suspects & unsaid.keys():
            await self._retry(unsaid[identity])
        return set(unsaid)

    async def _retry(self, job: QueuedJob) -> None:
        _log.warning("a job lost its worker, it is done again", extra={"job": job.id})
        await self._app.job_manager.retry_job(job)


class _Pauses(BaseRetryStrategy):
    """A second, then twice as long each time. Whatever can be said of the work is said before: here is only what may pass."""

    def get_retry_decision(self, *, exception: BaseException, job: QueuedJob) -> RetryDecision:
        # Cancelled: this process ends, and another goes on.
        is_leaving = isinstance(exception, asyncio.CancelledError)
        return RetryDecision(retry_in={"seconds": 0 if is_leaving else int(min(2.0**job.attempts, _MAX_PAUSE_SECONDS))})
