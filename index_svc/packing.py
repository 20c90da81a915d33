"""Behind the scenes: the terms of new assets are packed, and what was packed is merged, so that a search reads little."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from index_svc.store import merges, runs
from index_svc.store.database import Database

_log = logging.getLogger(__name__)

_PAUSE_SECONDS: Final = 1.0


class Packing:
    """Enter it to have it done in this process; of several processes one packs at a time, and one merges."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._merge: merges.Merge | None = None
        self._stale_runs: NDArray[np.int64] = np.zeros(0, np.int64)

    async def __aenter__(self) -> Packing:
        # Apart: a large merge takes minutes, in which what is new is packed all the same.
        self._keepers = [asyncio.create_task(self._keep(doing)) for doing in (self.pack, self.merge)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    async def pack(self) -> bool:
        """Everything that is ripe for it; whether there was anything."""
        async with self._database.transaction() as connection:
            full = await runs.full_shelves(connection)
        was_ripe = False
        for shelf in full:
            async with self._database.transaction() as connection:
                was_ripe |= await runs.pack(connection, shelf)
        return was_ripe

    async def merge(self) -> bool:
        """One slice of the smallest merge that there is to do; whether there was any."""
        # Before anybody asks what is stale: what becomes so after that marks the run that is made here.
        async with self._database.transaction() as connection:
            await merges.begin_merges(connection)
        async with self._database.transaction() as connection:
            merge = await merges.smallest_merge(connection)
            if merge is None:
                return False
            if merge != self._merge:
                self._merge, self._stale_runs = merge, await merges.read_stale_runs(connection, merge)
            await merges.merge_slice(connection, merge, self._stale_runs)
        return True

    async def _keep(self, doing: Callable[[], Awaitable[bool]]) -> None:
        await self._database.is_migrated.wait()
        while True:
            try:
                was_ripe = await doing()
            except Exception as problem:
                _log.warning("packing failed", extra={"problem": type(problem).__name__})
                was_ripe = False
            await asyncio.sleep(0 if was_ripe else _PAUSE_SECONDS)
