"""Uploaded bytes on a real PostgreSQL: nobody's, an asset's, kept, swept up."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from index_svc.access import Access
from index_svc.records import AssetDraft, Fingerprint, ProjectSettings
from index_svc.store import access as access_store
from index_svc.store import assets, media
from index_svc.store.database import Connection, Database
from mesh.media import MediaType

MADE = Fingerprint("made-up", 1, "same", b"payload", [1], [0])


@pytest.fixture
async def project(access: Access) -> UUID:
    return (await access.create_project("one", "")).id


async def upload(connection: Connection, project: UUID, *chunks: bytes) -> UUID:
    identity = uuid4()
    await media.begin_media(connection, identity, project, "image/png")
    for number, chunk in enumerate(chunks):
        assert await media.append_chunk(connection, identity, number, chunk)
    return identity


async def accept(connection: Connection, project: UUID, identity: UUID) -> tuple[UUID, int]:
    asset, job = uuid4(), uuid4()
    await assets.insert_job(connection, project, job, MediaType.IMAGE, 1)
    number = await assets.insert_asset(connection, project, asset, job, AssetDraft(MediaType.IMAGE, "", "", "", "", {}))
    assert await media.give_media(connection, identity, number, 3, "sha")
    await assets.begin_processing(connection, number)
    return asset, number


async def chunks_left(connection: Connection) -> int:
    found = await connection.execute("SELECT count(*) AS left FROM media_chunks")
    return int((await found.fetchall())[0]["left"])


async def keep(connection: Connection, project: UUID, days: int | None = None) -> None:
    await access_store.write_settings(connection, project, ProjectSettings(store_media=True, media_days=days))


async def test_upload_that_stands_still_is_swept_up_and_goes_on_no_more(database: Database, project: UUID) -> None:
    async with database.transaction() as connection:
        stalled, alive = await upload(connection, project, b"a", b"b"), await upload(connection, project, b"c")
        assert await media.delete_expired_media(connection, 10) == 0
        await connection.execute("UPDATE media SET expires_at = now() - interval '1 second' WHERE id = %s", [stalled])
        assert await media.delete_expired_media(connection, 10) == 1
        assert await chunks_left(connection) == 1
        assert not await media.append_chunk(connection, stalled, 2, b"late")
        assert not await media.give_media(connection, stalled, 1, 2, "sha")
        assert await media.append_chunk(connection, alive, 1, b"d")


async def test_bytes_of_a_ready_asset_go_unless_the_project_keeps_them(database: Database, project: UUID) -> None:
    async with database.transaction() as connection:
        for is_kept in (False, True):
            if is_kept:
                await keep(connection, project)
            asset, number = await accept(connection, project, await upload(connection, project, b"abc"))
            assert await assets.make_ready(connection, number, MADE)
            await media.settle_ready(connection, number)
            found = await media.find_kept_media(connection, project, asset)
            assert (found is not None) == is_kept
        assert await chunks_left(connection) == 1
        assert found is not None
        assert await media.read_chunk(connection, found.id, 0) == b"abc"
        assert await media.find_kept_media(connection, uuid4(), asset) is None
        assert await assets.delete_asset(connection, project, asset)
        assert await chunks_left(connection) == 0


async def test_bytes_are_kept_for_as_long_as_the_project_says(database: Database, project: UUID) -> None:
    async with database.transaction() as connection:
        await keep(connection, project, days=30)
        asset, number = await accept(connection, project, await upload(connection, project, b"abc"))
        await assets.make_ready(connection, number, MADE)
        await media.settle_ready(connection, number)
        row = await (await connection.execute("SELECT expires_at - now() AS left FROM media")).fetchone()
        assert row is not None
        assert row["left"].days == 30
        await connection.execute("UPDATE media SET expires_at = now()")
        assert await media.find_kept_media(connection, project, asset) is None


async def test_bytes_of_a_failed_asset_wait_a_day_and_are_needed_again_by_a_retry(database: Database, project: UUID) -> None:
    async with database.transaction() as connection:
        asset, number = await accept(connection, project, await upload(connection, project, b"abc"))
        await assets.fail(connection, number, "internal", "why")
        await media.settle_failed(connection, number)
        assert await media.delete_expired_media(connection, 10) == 0
        await connection.execute("UPDATE media SET expires_at = expires_at - interval '23 hours'")
        assert await media.need_again(connection, number)
        await connection.execute("UPDATE media SET expires_at = expires_at - interval '23 hours'")
        assert await media.delete_expired_media(connection, 10) == 0
        await media.settle_failed(connection, number)
        await connection.execute("UPDATE media SET expires_at = expires_at - interval '25 hours'")
        assert await media.delete_expired_media(connection, 10) == 1
        assert not await media.need_again(connection, number)
        assert await assets.find_asset(connection, project, asset)


async def test_url_is_kept_where_media_are_and_forgotten_with_them(database: Database, project: UUID) -> None:
    async with database.transaction() as connection:
        await keep(connection, project)
        job = uuid4()
        await assets.insert_job(connection, project, job, MediaType.IMAGE, 1)
        draft = replace(AssetDraft(MediaType.IMAGE, "", "", "", "", {}), url="https://example.com/")
        number = await assets.insert_asset(connection, project, uuid4(), job, draft)
        await assets.begin_processing(connection, number)
        await assets.make_ready(connection, number, MADE)
        urls = "SELECT url FROM assets WHERE number = %s"
        assert (await (await connection.execute(urls, [number])).fetchall())[0]["url"] == "https://example.com/"
        await media.drop_kept_media(connection, project)
        assert (await (await connection.execute(urls, [number])).fetchall())[0]["url"] is None


async def test_project_that_goes_takes_its_bytes_along(database: Database, project: UUID) -> None:
    async with database.transaction() as connection:
        await upload(connection, project, b"abc")
        await connection.execute("DELETE FROM projects WHERE id = %s", [project])
        assert await chunks_left(connection) == 0
