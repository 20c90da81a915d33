"""Lists of hashes on a real PostgreSQL: places that they take, and the isolation of projects."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from index_svc.access import Access
from index_svc.hash_lists import HashLists, HashRow
from index_svc.hashes import HashKind
from index_svc.records import NO_KIND, Narrowing
from index_svc.store import assets
from index_svc.store import hashes as store
from index_svc.store.database import Database
from mesh.errors import NotFound, QuotaExceeded
from mesh.media import MediaType


@pytest.fixture
def lists(database: Database, access: Access) -> HashLists:
    return HashLists(database, access)


async def rows(*sizes: int) -> AsyncIterator[list[HashRow]]:
    """Batches of so many rows, all of them different."""
    line = 0
    for size in sizes:
        yield [HashRow(line + at, HashKind.PDQ, f"{(line + at) * 0x0F1E2D3C4B5A69788796A5B4C3D2E1F0:064x}") for at in range(1, size + 1)]
        line += size


async def ready(database: Database, project: UUID) -> int:
    async with database.transaction() as connection:
        found = await connection.execute("SELECT coalesce(sum(ready), 0) AS ready FROM ready_assets WHERE project = %s", [project])
        return int((await found.fetchall())[0]["ready"])


async def test_rows_take_places_and_leave_them(database: Database, access: Access, lists: HashLists) -> None:
    project = (await access.create_project("one", "")).id
    made = await lists.take_in(project, MediaType.IMAGE, rows(5), None)
    assert (made.accepted, await ready(database, project)) == (5, 5)
    again = await lists.take_in(project, MediaType.IMAGE, rows(5), None)
    assert (again.accepted, again.already_there, await ready(database, project)) == (0, 5, 5)
    async with database.transaction() as connection:
        found = await connection.execute("SELECT id FROM assets WHERE project = %s LIMIT 1", [project])
        assert await assets.delete_asset(connection, project, (await found.fetchall())[0]["id"])
    assert await ready(database, project) == 4


async def test_plan_that_is_full_takes_no_batch_half(database: Database, access: Access, lists: HashLists) -> None:
    project = (await access.create_project("one", "")).id
    async with database.transaction() as connection:
        await connection.execute("UPDATE plans SET max_ready_images = 7 WHERE name = 'free'")
    with pytest.raises(QuotaExceeded):
        await lists.take_in(project, MediaType.IMAGE, rows(4, 4), None)
    assert await ready(database, project) == 4
    with pytest.raises(QuotaExceeded):
        await lists.take_in((await access.create_project("two", "")).id, MediaType.IMAGE, rows(8), None)


async def test_one_projects_hashes_are_none_of_anothers(database: Database, access: Access, lists: HashLists) -> None:
    one, two = [(await access.create_project(name, "")).id for name in ("one", "two")]
    for project in (one, two):
        assert (await lists.take_in(project, MediaType.IMAGE, rows(3), None)).accepted == 3
    batch = await anext(rows(3))
    async with database.transaction() as connection:
        for project in (one, two):
            found = await store.find_by_hash(
                connection, project, MediaType.IMAGE, HashKind.PDQ, batch[0].value, Narrowing(), 10, not_of=NO_KIND
            )
            owner = await connection.execute("SELECT project FROM assets WHERE number = ANY(%s)", [[number for number, _ in found]])
            assert {row["project"] for row in await owner.fetchall()} == {project}
    with pytest.raises(NotFound):
        await lists.take_in(UUID(int=0), MediaType.IMAGE, rows(1), None)
