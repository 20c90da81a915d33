"""What a project may still do this month, and that it is counted once, whatever happens.

Counted is every search and call that is answered, and every one that fails through its caller's fault; what fails through ours is
given back. Bytes are those of media that were downloaded whole and fingerprinted. While the database's disk is full nothing can be
counted: what only reads is then answered uncounted, unless its quota was used up before.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from index_svc.plans import READY_POLICY, Month, Plan, Policy, Quota, Usage, check_rate, month_of
from index_svc.store import access as access_store
from index_svc.store import usage as store
from index_svc.store.database import Connection, Database, DiskFull
from mesh import call
from mesh.errors import Conflict, InvalidRequest, MeshError, NotFound, Overloaded, QuotaExceeded
from mesh.media import MediaType

_SEARCHING: Final = (Policy.SEARCHES, Policy.SEARCH_BYTES)


@dataclass
class Spending:
    """One search on its way."""

    project: UUID
    month: Month
    media_bytes: int = 0
    is_counted: bool = True
    quotas: list[Quota] = field(default_factory=list)
    """Once it is charged: those that searching uses."""


class Quotas:
    def __init__(self, database: Database, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database = database
        self._clock = clock

    async def usage(self, project: UUID) -> Usage:
        async with self._database.transaction() as connection:
            return await self._usage(connection, project, month_of(self._clock()))

    @asynccontextmanager
    async def search(self, project: UUID, *, is_downloading: bool) -> AsyncIterator[Spending]:
        """Enter it for a search, before anything is fetched; it is counted from here on, in the month that it began in."""
        spending = Spending(project, month_of(self._clock()))
        try:
            async with self._counting() as connection:
                if not await store.count_search(connection, project, spending.month, is_downloading=is_downloading):
                    await self._refuse_used_up(connection, spending)
                    # Nothing is, any more: something was given back in this moment, or the plan has changed.
                    raise Overloaded()
        except DiskFull:
            async with self._database.transaction() as connection:
                await self._refuse_used_up(connection, spending)
            spending.is_counted = False
        try:
            yield spending
        except BaseException as problem:
            if spending.is_counted and _is_ours(problem):
                await asyncio.shield(self._give_back(spending))
            raise

    async def charge(self, spending: Spending, media_bytes: int) -> None:
        """What the search downloaded, once it is known; refused where that is more than is left."""
        try:
            async with self._counting() as connection:
                is_charged = not media_bytes or await store.charge_search(connection, spending.project, spending.month, media_bytes)
                quotas = (await self._usage(connection, spending.project, spending.month)).quotas
                if not is_charged:
                    raise quotas[Policy.SEARCH_BYTES].exceeded(self._clock(), f", and this query has {media_bytes:,}")
            spending.media_bytes = media_bytes
        except DiskFull:
            quotas = (await self.usage(spending.project)).quotas
        spending.quotas = [quotas[policy] for policy in _SEARCHING]

    async def count_call(self, project: UUID) -> tuple[Quota, Month]:
        """A call of a pair endpoint."""
        month = month_of(self._clock())
        try:
            async with self._counting() as connection:
                is_allowed = await store.count_call(connection, project, month)
                calls = (await self._usage(connection, project, month)).quotas[Policy.CALLS]
        except DiskFull:
            calls = (await self.usage(project)).quotas[Policy.CALLS]
            is_allowed = not calls.is_used_up
        if not is_allowed:
            raise calls.exceeded(self._clock())
        return calls, month

    async def uncount_call(self, project: UUID, month_start: datetime) -> None:
        async with self._counting() as connection:
            await store.give_back(connection, project, month_start, calls=1)

    async def require_place(self, connection: Connection, project: UUID, medium: MediaType) -> None:
        """Refuses an asset where the project is full; those under way may still fill it up before this one is ready."""
        if refusal := await self.place_refusal(connection, project, medium):
            raise refusal

    async def place_refusal(self, connection: Connection, project: UUID, medium: MediaType) -> QuotaExceeded | None:
        held = (await self._usage(connection, project, month_of(self._clock()))).quotas[READY_POLICY[medium]]
        return held.exceeded(self._clock()) if held.is_used_up else None

    async def _refuse_used_up(self, connection: Connection, spending: Spending) -> None:
        quotas = (await self._usage(connection, spending.project, spending.month)).quotas
        used_up = next((policy for policy in _SEARCHING if quotas[policy].is_used_up), None)
        if used_up is not None:
            raise quotas[used_up].exceeded(self._clock())

    @asynccontextmanager
    async def _counting(self) -> AsyncIterator[Connection]:
        async with self._database.transaction() as connection:
            await store.do_not_wait_for_disk(connection)
            yield connection

    async def _give_back(self, spending: Spending) -> None:
        async with self._counting() as connection:
            await store.give_back(connection, spending.project, spending.month.start, searches=1, search_bytes=spending.media_bytes)

    async def _usage(self, connection: Connection, project: UUID, month: Month) -> Usage:
        usage = await store.read_usage(connection, project, month)
        if usage is None:
            raise NotFound("there is no such project")
        return usage


class Plans:
    """What an operator sets: plans, which of them a project is on, a key's own rate."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self) -> list[Plan]:
        async with self._database.transaction() as connection:
            return await store.list_plans(connection)

    async def create(self, plan: Plan) -> None:
        async with self._database.transaction() as connection:
            if not await store.insert_plan(connection, plan.checked()):
                raise Conflict("there is a plan of that name", field="name")

    async def replace(self, plan: Plan) -> None:
        async with self._database.transaction() as connection:
            if not await store.replace_plan(connection, plan.checked()):
                raise NotFound("there is no plan of that name")

    async def set_project_plan(self, project: UUID, plan: str) -> None:
        async with self._database.transaction() as connection:
            if not await access_store.has_plan(connection, plan):
                raise InvalidRequest("there is no plan of that name", field="plan")
            if not await store.set_project_plan(connection, project, plan):
                raise NotFound("there is no such project")

    async def set_key_rate(self, project: UUID, identity: str, requests_per_second: int | None, burst_seconds: int) -> None:
        """A rate of the key's own, or (None) its plan's again."""
        check_rate(requests_per_second, burst_seconds)
        async with self._database.transaction() as connection:
            if not await store.set_key_rate(connection, project, identity, requests_per_second, burst_seconds):
                raise NotFound("the project has no such key")


def _is_ours(problem: BaseException) -> bool:
    """Whether nobody but us is to blame: not where a caller went away, but where its time ran out."""
    if isinstance(problem, MeshError):
        return problem.http_status >= 500
    return not isinstance(problem, asyncio.CancelledError) or call.remaining_seconds() <= 0
