"""What was decided is on disk before it is answered: rows that come while others are being written go together in the next transaction.

So a busy log costs each answer the time of one to two commits, however many answers there are, and a log that cannot be written to fails
the answer instead of losing it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from prometheus_client import Counter

from index_svc.decision import Decision, DecisionFilter
from index_svc.store import decisions as store
from index_svc.store.database import Database
from mesh import call
from mesh.errors import DeadlineExceeded, Overloaded

_log = logging.getLogger(__name__)

MAX_AT_ONCE: Final = 500
"""Rows of one transaction."""
_MAX_WAITING: Final = 5_000
_READ_ROWS: Final = 500
_EXPIRED_AT_ONCE: Final = 1_000
_SWEEP_SECONDS: Final = 60.0

WRITTEN = Counter("mediamesh_decisions_total", "Decisions written to the log.", ["media_type"])


@dataclass(frozen=True, slots=True)
class _Entry:
    rows: list[tuple[UUID, Decision]]
    written: asyncio.Future[None]


class DecisionLog:
    """Enter it to have it written in this process, and what is past its time deleted."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._entries: list[_Entry] = []
        self._has_entries = asyncio.Event()

    async def __aenter__(self) -> DecisionLog:
        self._keepers = [asyncio.create_task(keep()) for keep in (self._keep_writing, self._keep_sweeping)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    async def record(self, project: UUID, decisions: Sequence[Decision]) -> None:
        """Returns once they are on disk."""
        if not decisions:
            return
        if sum(len(entry.rows) for entry in self._entries) + len(decisions) > _MAX_WAITING:
            raise Overloaded("the decision log is busy")
        entry = _Entry([(project, decision) for decision in decisions], asyncio.get_running_loop().create_future())
        self._entries.append(entry)
        self._has_entries.set()
        try:
            async with asyncio.timeout(call.remaining_seconds()):
                await entry.written
        except TimeoutError as problem:
            raise DeadlineExceeded() from problem
        for decision in decisions:
            WRITTEN.labels(decision.media_type).inc()

    async def read(self, project: UUID, wanted: DecisionFilter, after: int, limit: int) -> AsyncIterator[list[Decision]]:
        """Batches, in the order of writing; `limit` 0: all of them."""
        left = limit
        while True:
            size = min(_READ_ROWS, left) if limit else _READ_ROWS
            async with self._database.transaction() as connection:
                found = await store.read(connection, project, wanted, after, size)
            if found:
                yield found
                after, left = found[-1].number, left - len(found)
            if len(found) < size or (limit and left <= 0):
                return

    async def count(self, project: UUID, wanted: DecisionFilter, floors: Sequence[float]) -> tuple[int, list[int]]:
        async with self._database.transaction() as connection:
            return await store.count(connection, project, wanted, floors)

    async def _keep_writing(self) -> None:
        while True:
            await self._has_entries.wait()
            taken = self._take()
            try:
                await self._write(taken)
            except Exception as problem:
                if len(taken) == 1:
                    _settle(taken[0], problem)
                    continue
                # One of them may be to blame, and the others are not.
                for entry in taken:
                    await self._write_alone(entry)

    def _take(self) -> list[_Entry]:
        taken: list[_Entry] = []
        size = 0
        while self._entries and (not taken or size + len(self._entries[0].rows) <= MAX_AT_ONCE):
            taken.append(self._entries.pop(0))
            size += len(taken[-1].rows)
        if not self._entries:
            self._has_entries.clear()
        return taken

    async def _write_alone(self, entry: _Entry) -> None:
        try:
            await self._write([entry])
        except Exception as problem:
            _settle(entry, problem)

    async def _write(self, entries: list[_Entry]) -> None:
        async with self._database.transaction() as connection:
            await store.append(connection, [row for entry in entries for row in entry.rows])
        for entry in entries:
            _settle(entry, None)

    async def _keep_sweeping(self) -> None:
        await self._database.is_migrated.wait()
        while True:
            try:
                async with self._database.transaction() as connection:
                    deleted = await store.delete_expired(connection, _EXPIRED_AT_ONCE)
            except Exception as problem:
                _log.warning("sweeping failed", extra={"problem": type(problem).__name__})
                deleted = 0
            await asyncio.sleep(0 if deleted else _SWEEP_SECONDS)


def _settle(entry: _Entry, problem: Exception | None) -> None:
    if entry.written.done():
        return
    if problem is None:
        entry.written.set_result(None)
    else:
        entry.written.set_exception(problem)
