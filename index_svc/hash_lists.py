"""Lists of hashes, in and out: each row an asset that has no media, ready at once and found by what has that hash."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

from index_svc.access import Access
from index_svc.hashes import HashKind
from index_svc.records import Asset
from index_svc.store import assets as asset_store
from index_svc.store import hashes as store
from index_svc.store.database import Database
from index_svc.store.hashes import HashDraft
from mesh.errors import InvalidRequest
from mesh.media import MediaType

MAX_ROWS: Final = 100_000
MAX_NAMED_ERRORS: Final = 1000
BATCH: Final = 1000


@dataclass(frozen=True, slots=True)
class HashRow:
    """A row of a list as it was read, or why it was not."""

    line: int
    kind: HashKind | None = None
    value: str = ""
    name: str = ""
    collection: str = ""
    owner: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


@dataclass(slots=True)
class Imported:
    job: UUID
    accepted: int = 0
    already_there: int = 0
    refused: int = 0
    errors: list[tuple[int, str]] = field(default_factory=list)

    def refuse(self, line: int, problem: str) -> None:
        self.refused += 1
        if len(self.errors) < MAX_NAMED_ERRORS:
            self.errors.append((line, problem))


class HashLists:
    def __init__(self, database: Database, access: Access) -> None:
        self._database = database
        self._access = access

    async def take_in(
        self, project: UUID, media_type: MediaType, batches: AsyncIterator[list[HashRow]], ttl_seconds: int | None
    ) -> Imported:
        """Every good row an asset; a bad one stops no other. What a killed process has taken in stays, and sent again is taken in once."""
        async with self._database.transaction() as connection:
            await self._access.require_project(connection, project)
            await self._access.require_feature(connection, project, f"{media_type}:index")
            imported, count = Imported(uuid4()), 0
            await asset_store.insert_job(connection, project, imported.job, media_type, 0)
        async for batch in batches:
            count += len(batch)
            if count > MAX_ROWS:
                raise InvalidRequest(f"one list may have at most {MAX_ROWS:,} rows; those before are taken in")
            drafts: dict[UUID, HashDraft] = {}
            for row in batch:
                if row.kind is None:
                    imported.refuse(row.line, row.problem)
                    continue
                identity = hash_asset_id(media_type, row.collection, row.kind, row.value)
                imported.already_there += identity in drafts
                drafts.setdefault(identity, HashDraft(identity, row.kind, row.value, row.name, row.collection, row.owner, row.metadata))
            async with self._database.transaction() as connection:
                added = await store.insert_hash_assets(connection, project, media_type, imported.job, list(drafts.values()), ttl_seconds)
            imported.accepted += added
            imported.already_there += len(drafts) - added
        return imported

    async def give_out(
        self, project: UUID, kind: HashKind, media_type: MediaType | None, collection: str | None
    ) -> AsyncIterator[list[tuple[str, Asset]]]:
        """Batches in the order of indexing; what comes or goes meanwhile may be in it or not."""
        after = 0
        while True:
            async with self._database.transaction() as connection:
                batch = await store.export_hashes(connection, project, kind, media_type, collection, after, BATCH)
            if not batch:
                return
            yield batch
            after = batch[-1][1].number


def hash_asset_id(media_type: MediaType, collection: str, kind: HashKind, value: str) -> UUID:
    """One hash is one asset of its collection, however often a list brings it."""
    return uuid5(NAMESPACE_URL, f"mediamesh:{media_type}:{kind}:{value}:{collection}")
