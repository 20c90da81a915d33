"""What a project decides by, under names of its own."""

from __future__ import annotations

from uuid import UUID

from index_svc.access import Access
from index_svc.rule import DEFAULT, MAX_OF_A_PROJECT, Rule, RuleKind, product_cutoff
from index_svc.store import thresholds as store
from index_svc.store.database import Connection, Database
from matching.thresholds.lanes import Policy
from mesh.errors import Conflict, InvalidRequest, NotFound
from mesh.media import MediaType


class Thresholds:
    def __init__(self, database: Database, access: Access) -> None:
        self._database = database
        self._access = access

    async def put(self, project: UUID, rule: Rule) -> Rule:
        async with self._database.transaction() as connection:
            await self._access.require_project(connection, project)
            kept = await store.put(connection, project, rule.checked())
        if kept is None:
            raise Conflict(f"a project has at most {MAX_OF_A_PROJECT} of them")
        return kept

    async def get(self, project: UUID, kind: RuleKind, name: str) -> Rule:
        async with self._database.transaction() as connection:
            found = await store.find(connection, project, kind, name)
        if found is None:
            raise NotFound(f"there is no such {kind}")
        return found

    async def list(self, project: UUID, kind: RuleKind) -> list[Rule]:
        async with self._database.transaction() as connection:
            return await store.read(connection, project, kind)

    async def delete(self, project: UUID, kind: RuleKind, name: str) -> None:
        async with self._database.transaction() as connection:
            if not await store.delete(connection, project, kind, name):
                raise NotFound(f"there is no such {kind}")

    async def cutoff(self, connection: Connection, project: UUID, name: str, medium: MediaType) -> float:
        """Of a profile that a request names, the product's or the project's."""
        cutoff = product_cutoff(name, medium)
        if cutoff is not None:
            return cutoff
        cutoff = await store.find_cutoff(connection, project, name, medium)
        if cutoff is None:
            raise InvalidRequest(f"profile: the project has none of that name with a cutoff for {medium}", field="profile")
        return cutoff

    async def default_cutoff(self, connection: Connection, project: UUID, medium: MediaType) -> float | None:
        """Where a request names no profile; None: the project has none of its own for that."""
        return await store.find_cutoff(connection, project, DEFAULT, medium)

    async def policy(self, connection: Connection, project: UUID, name: str) -> Policy:
        """One that a request names."""
        found = await store.find(connection, project, RuleKind.POLICY, name)
        if found is None or not isinstance(found.body, Policy):
            raise InvalidRequest("policy: the project has none of that name", field="policy")
        return found.body
