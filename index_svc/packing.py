"""Behind the scenes: the terms of new assets are packed, and what was packed is merged, so that a search reads little."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from index_svc.store import runs as store
from index_svc.store.database import Database

_log = logging.getLogger(__name__)

_PAUSE_SECONDS: Final = 1.0
_MERGE_MINUTES: Final = 60


class Packing:
    """Enter it to have it done in this process; of several processes one packs at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __aenter__(self) -> Packing:
        self._keeper = asyncio.create_task(self._keep_packing())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._keeper.cancel()
        await asyncio.gather(self._keeper, return_exceptions=True)

    async def pack(self) -> bool:
        """Everything that is ripe for it; whether there was anything."""
        async with self._database.transaction() as connection:
            full, stale = await store.full_shelves(connection), await store.stale_shelves(connection)
        for shelf in full:
            async with self._database.transaction() as connection:
                await store.pack(connection, shelf)
        shelves = list(dict.fromkeys([*full, *stale]))
        for shelf in shelves:
            while await self._merge(shelf):
                pass
        return bool(shelves)

    async def _merge(self, shelf: store.Shelf) -> bool:
        async with self._database.transaction() as connection:
            await connection.execute(f"SET LOCAL statement_timeout = '{_MERGE_MINUTES}min'")
            runs = await store.runs_to_merge(connection, shelf)
            return bool(runs) and await store.merge(connection, shelf, runs)

    async def _keep_packing(self) -> None:
        await self._database.is_migrated.wait()
        while True:
            try:
                was_ripe = await self.pack()
            except Exception as problem:
                _log.warning("packing failed", extra={"problem": type(problem).__name__})
                was_ripe = False
            await asyncio.sleep(0 if was_ripe else _PAUSE_SECONDS)
