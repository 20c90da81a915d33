"""What Prometheus is told of the index as a whole: its size, what waits, for how long, and whether the database answers.

Every replica tells the same; dashboards and alerts take the largest.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from prometheus_client import Gauge

from index_svc.store import figures as store
from index_svc.store.database import Database
from mesh.errors import MeshError

_log = logging.getLogger(__name__)

WAITING = Gauge("mediamesh_index_jobs_waiting", "Jobs that are due and have no worker yet.", ["queue"])
LAG = Gauge("mediamesh_index_lag_seconds", "How long the first of them has been due; 0: none waits.", ["queue"])
READY = Gauge("mediamesh_index_assets_ready", "Assets that searches find, of all projects.", ["media_type"])
DATABASE_BYTES = Gauge("mediamesh_index_database_bytes", "The database on its disk.")
DATABASE_UP = Gauge("mediamesh_index_database_up", "1 while the database answers.")

QUEUES: Final = ("assets", "bulk")
_PAUSE_SECONDS: Final = 15.0


class Figures:
    """Enter it to have them read now and then."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __aenter__(self) -> Figures:
        self._reader = asyncio.create_task(self._keep_reading())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)

    async def read(self) -> None:
        try:
            async with self._database.transaction() as connection:
                queues = {queue.name: queue for queue in await store.queues(connection)}
                ready, size = await store.ready_assets(connection), await store.database_bytes(connection)
        except MeshError:
            DATABASE_UP.set(0)
            return
        DATABASE_UP.set(1)
        DATABASE_BYTES.set(size)
        for name in {*QUEUES, *queues}:
            queue = queues.get(name)
            WAITING.labels(name).set(queue.waiting if queue else 0)
            LAG.labels(name).set(queue.lag_seconds if queue else 0)
        for medium, count in ready.items():
            READY.labels(medium).set(count)

    async def _keep_reading(self) -> None:
        while True:
            try:
                await self.read()
            except Exception as problem:
                _log.warning("the figures cannot be read", extra={"problem": type(problem).__name__})
            await asyncio.sleep(_PAUSE_SECONDS)
