"""What a project decides by, under names of its own."""

from __future__ import annotations

from typing import TypeVar
from uuid import UUID

from index_svc.access import Access
from index_svc.profile import MAX_OF_A_PROJECT, NamedPolicy, ThresholdProfile, product_cutoff
from index_svc.store import thresholds as store
from index_svc.store.database import Connection, Database
from mesh.errors import Conflict, InvalidRequest, NotFound
from mesh.media import MediaType

Kept = TypeVar("Kept")


class Thresholds:
    def __init__(self, database: Database, access: Access) -> None:
        self._database = database
        self._access = access

    async def put_profile(self, project: UUID, profile: ThresholdProfile) -> ThresholdProfile:
        async with self._database.transaction() as connection:
            await self._access.require_project(connection, project)
            kept = await store.put_profile(connection, project, profile.checked())
        if kept is None:
            raise Conflict(f"a project has at most {MAX_OF_A_PROJECT} profiles")
        return kept

    async def get_profile(self, project: UUID, name: str) -> ThresholdProfile:
        async with self._database.transaction() as connection:
            return _there(await store.find_profile(connection, project, name), "profile")

    async def list_profiles(self, project: UUID) -> list[ThresholdProfile]:
        async with self._database.transaction() as connection:
            return await store.list_profiles(connection, project)

    async def delete_profile(self, project: UUID, name: str) -> None:
        async with self._database.transaction() as connection:
            if not await store.delete_profile(connection, project, name):
                raise NotFound("there is no such profile")

    async def put_policy(self, project: UUID, policy: NamedPolicy) -> NamedPolicy:
        async with self._database.transaction() as connection:
            await self._access.require_project(connection, project)
            kept = await store.put_policy(connection, project, policy.checked())
        if kept is None:
            raise Conflict(f"a project has at most {MAX_OF_A_PROJECT} policies")
        return kept

    async def get_policy(self, project: UUID, name: str) -> NamedPolicy:
        async with self._database.transaction() as connection:
            return _there(await store.find_policy(connection, project, name), "policy")

    async def list_policies(self, project: UUID) -> list[NamedPolicy]:
        async with self._database.transaction() as connection:
            return await store.list_policies(connection, project)

    async def delete_policy(self, project: UUID, name: str) -> None:
        async with self._database.transaction() as connection:
            if not await store.delete_policy(connection, project, name):
                raise NotFound("there is no such policy")

    async def cutoff(self, connection: Connection, project: UUID, name: str, medium: MediaType) -> float:
        """Of a profile that a request names, the product's or the project's."""
        cutoff = product_cutoff(name, medium)
        if cutoff is not None:
            return cutoff
        found = await store.find_profile(connection, project, name)
        if found is None:
            raise InvalidRequest("profile: the project has none of that name", field="profile")
        return found.cutoff(medium)

    async def policy(self, connection: Connection, project: UUID, name: str) -> NamedPolicy:
        """One that a request names."""
        found = await store.find_policy(connection, project, name)
        if found is None:
            raise InvalidRequest("policy: the project has none of that name", field="policy")
        return found


def _there(found: Kept | None, what: str) -> Kept:
    if found is None:
        raise NotFound(f"there is no such {what}")
    return found
