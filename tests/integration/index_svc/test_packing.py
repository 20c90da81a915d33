"""Runs of blocks on a real PostgreSQL: a search finds the same before, between and after packing and merging."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from uuid import uuid4

import pytest
from psycopg.errors import NotNullViolation
from psycopg.rows import tuple_row

from index_svc import blocks
from index_svc.blocks import Block, PlacedBlock, read_blocks
from index_svc.packing import Packing
from index_svc.records import Fingerprint, Kind, SoundTrack
from index_svc.store import assets, merges, renewals, runs
from index_svc.store.database import Connection
from mesh.media import MediaType
from tests.integration.index_svc.test_store import Library, fingerprint, library, other

__all__ = ["library", "other"]

TERMS = 60


@pytest.fixture(autouse=True)
def _small_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes that a test fills in a moment; slices so small that terms lie across their edges."""
    monkeypatch.setattr(runs, "PACKED_FROM", 4 * TERMS)
    monkeypatch.setattr(merges, "_SLICE_POSTINGS", 200)
    monkeypatch.setattr(blocks, "BLOCK_POSTINGS", 3)


def drawn(seed: int, *, is_timed: bool = False) -> Fingerprint:
    """Terms of which every asset shares a few with the others."""
    draw = random.Random(seed)
    terms = [draw.randrange(0, 300) if draw.random() < 0.5 else draw.randrange(-(2**63), 2**63) for _ in range(TERMS)]
    return fingerprint(terms, [draw.randrange(0, 60_000) for _ in range(TERMS)] if is_timed else None)


async def count(connection: Connection, what: str) -> int:
    cursor = await connection.execute(f"SELECT count(*) AS number FROM {what}")
    return int((await cursor.fetchall())[0]["number"])


async def settle(packing: Packing) -> None:
    """Until there is nothing to pack and nothing to merge."""
    while await packing.pack() or await packing.merge():
        pass


async def pack_each(library: Library, at_once: int) -> None:
    """What waits becomes runs of so many assets."""
    with pytest.MonkeyPatch.context() as small:
        small.setattr(runs, "_PACKED_AT_ONCE", at_once)
        while await Packing(library.database).pack():
            pass


async def packed_assets(connection: Connection) -> set[int]:
    async with connection.cursor(binary=True, row_factory=tuple_row) as cursor:
        await cursor.execute("SELECT runs.first_asset, blocks.first_term, pairs, positions FROM blocks JOIN runs ON runs.id = blocks.run")
        placed = [PlacedBlock(first_asset, Block(*block)) for first_asset, *block in await cursor.fetchall()]
    return set(read_blocks(placed).assets.tolist())


@pytest.mark.parametrize("medium", [MediaType.IMAGE, MediaType.AUDIO])
async def test_every_search_answers_as_before_packing(library: Library, other: Library, medium: MediaType) -> None:
    packing = Packing(library.database)
    made = [drawn(seed, is_timed=medium is MediaType.AUDIO) for seed in range(80)]
    for each in made:
        await library.add(each, medium)
        await other.add(each, medium)
    before = [await library.vote(each, medium=medium) for each in made]
    assert any(len(found) > 1 for found in before)
    await settle(packing)
    async with library.database.transaction() as connection:
        assert await count(connection, "runs WHERE project = (SELECT min(number) FROM projects)") < 8
        assert await count(connection, "unpacked") < 8
    assert [await library.vote(each, medium=medium) for each in made] == before


async def test_sounds_of_films_are_packed_apart_from_what_these_show(library: Library) -> None:
    packing = Packing(library.database)
    shown, heard = ([drawn(seed, is_timed=True) for seed in range(start, start + 30)] for start in (0, 100))
    for picture, sound in zip(shown, heard, strict=True):
        await library.add(picture, MediaType.VIDEO, SoundTrack(sound.kind, sound))

    async def votes() -> list[list[int]]:
        return [await library.vote(each, medium=MediaType.VIDEO) for each in shown] + [
            await library.vote(each, medium=MediaType.VIDEO, through=MediaType.AUDIO) for each in heard
        ]

    before = await votes()
    await settle(packing)
    assert await votes() == before
    again = [replace(drawn(200 + seed, is_timed=True), version=2) for seed in range(30)]
    async with library.database.transaction() as connection:
        cursor = await connection.execute("SELECT number FROM assets ORDER BY number")
        numbers = [row["number"] for row in await cursor.fetchall()]
        assert await count(connection, "unpacked") < 8
        for number, sound in zip(numbers, again, strict=True):
            assert await renewals.replace_fingerprint(connection, number, None, SoundTrack(sound.kind, sound))
        await connection.execute("UPDATE runs SET is_stale = true")
    await settle(packing)
    assert (await votes())[:30] == before[:30]
    for number, sound in zip(numbers, again, strict=True):
        assert (await library.vote(sound, medium=MediaType.VIDEO, through=MediaType.AUDIO))[0] == number
    async with library.database.transaction() as connection:
        cursor = await connection.execute("SELECT coalesce(sum(postings), 0)::int AS packed FROM runs WHERE media_type = 4")
        packed = (await cursor.fetchall())[0]["packed"]
        cursor = await connection.execute("SELECT coalesce(sum(cardinality(terms)), 0)::int AS waiting FROM unpacked WHERE media_type = 4")
        waiting = (await cursor.fetchall())[0]["waiting"]
    assert packed + waiting == 30 * TERMS


async def test_searches_find_everything_while_it_is_packed(library: Library) -> None:
    packing = Packing(library.database)
    made = [drawn(seed) for seed in range(60)]
    numbers = [(await library.add(each))[1] for each in made]

    packed = asyncio.create_task(settle(packing))
    while not packed.done():
        for number, each in zip(numbers, made, strict=True):
            assert (await library.vote(each))[0] == number
    await packed


async def test_what_was_deleted_is_gone_from_searches_at_once_and_from_blocks_when_they_are_merged(library: Library) -> None:
    packing = Packing(library.database)
    kept, gone = drawn(1), drawn(2)
    await library.add(kept)
    asset, number = await library.add(gone)
    for seed in range(10, 13):
        await library.add(drawn(seed))
    assert await packing.pack()
    async with library.database.transaction() as connection:
        before = await count(connection, "runs")
        assert await assets.delete_asset(connection, library.project, asset)
    assert before == 1
    assert number not in await library.vote(gone)
    for seed in range(20, 36):
        await library.add(drawn(seed))
        if seed % 5 == 0:
            await packing.pack()
    await settle(packing)
    async with library.database.transaction() as connection:
        held = await packed_assets(connection)
    assert number not in held
    assert (await library.vote(kept))[0] in held


async def test_packing_that_fails_half_way_loses_nothing(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    packing = Packing(library.database)
    made = [drawn(seed) for seed in range(30)]
    numbers = [(await library.add(each))[1] for each in made]

    async def break_off(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as broken:
        broken.setattr(runs, "write_blocks", break_off)
        with pytest.raises(RuntimeError):
            await packing.pack()
    assert [(await library.vote(each))[0] for each in made] == numbers
    await pack_each(library, 4)
    assert await packing.merge()
    with monkeypatch.context() as broken:
        broken.setattr(merges, "write_blocks", break_off)
        with pytest.raises(RuntimeError):
            await packing.merge()
    assert [(await library.vote(each))[0] for each in made] == numbers
    await settle(packing)
    assert [(await library.vote(each))[0] for each in made] == numbers


async def test_two_processes_pack_without_a_loss(library: Library) -> None:
    made = [drawn(seed) for seed in range(60)]
    numbers = [(await library.add(each))[1] for each in made]
    for _ in range(6):
        processes = [Packing(library.database) for _ in range(4)]
        await asyncio.gather(*(each.pack() for each in processes), *(each.merge() for each in processes))
    assert [(await library.vote(each))[0] for each in made] == numbers


async def test_merge_goes_on_where_it_was_broken_off_whoever_does_it(library: Library) -> None:
    made = [drawn(seed, is_timed=True) for seed in range(40)]
    for each in made:
        await library.add(each, MediaType.AUDIO)
    asked = made[::8]
    before = [await library.vote(each, medium=MediaType.AUDIO) for each in asked]
    await pack_each(library, 4)
    slices = 0
    while await Packing(library.database).merge():
        slices += 1
        assert [await library.vote(each, medium=MediaType.AUDIO) for each in asked] == before
    assert slices > 5
    async with library.database.transaction() as connection:
        assert await count(connection, "runs") == 1


async def test_runs_are_merged_until_each_is_twice_what_is_smaller(library: Library) -> None:
    async def sizes() -> list[int]:
        async with library.database.transaction() as connection:
            cursor = await connection.execute("SELECT postings FROM runs ORDER BY postings DESC")
            return [row["postings"] // TERMS for row in await cursor.fetchall()]

    seen = set()
    for seed in range(48):
        await library.add(drawn(seed))
        await settle(Packing(library.database))
        found = await sizes()
        assert all(size > 2 * sum(found[place + 1 :]) for place, size in enumerate(found))
        seen.add(len(found))
    assert seen == {0, 1, 2}


async def test_what_a_large_merge_would_hold_up_is_done_meanwhile(library: Library) -> None:
    made = [drawn(seed) for seed in range(40)]
    added = [await library.add(each) for each in made]
    await pack_each(library, 20)
    async with library.database.transaction() as merging:
        await merges.begin_merges(merging)
    async with library.database.transaction() as merging:
        large = await merges.smallest_merge(merging)
        assert large is not None
        await merges.merge_slice(merging, large, await merges.read_stale_runs(merging, large))
        # Before the slice is written: whoever had to wait for it would wait for ever.
        async with library.database.transaction() as connection:
            assert await assets.delete_asset(connection, library.project, added[0][0])
        assert added[0][1] not in await library.vote(made[0])
        for seed in range(100, 108):
            await library.add(drawn(seed))
        await pack_each(library, 4)
    async with library.database.transaction() as connection:
        await merges.begin_merges(connection)
        small = await merges.smallest_merge(connection)
    assert small is not None
    assert small != large
    await settle(Packing(library.database))
    for (_, number), each in zip(added[1:], made[1:], strict=True):
        assert (await library.vote(each))[0] == number


async def test_what_becomes_stale_while_it_is_merged_is_left_behind_by_the_next_merge(library: Library) -> None:
    packing = Packing(library.database)
    for seed in range(20):
        await library.add(drawn(seed))
    await pack_each(library, 4)
    for _ in range(3):
        assert await packing.merge()
    made = [replace(drawn(100 + seed), version=2) for seed in range(20)]
    await renew(library, made, 2)
    await settle(packing)
    async with library.database.transaction() as connection:
        cursor = await connection.execute("SELECT coalesce(sum(postings), 0)::int AS packed FROM runs")
        assert (await cursor.fetchall())[0]["packed"] == 20 * TERMS
    assert all([await library.vote(each) for each in made])


async def test_index_from_before_makes_no_run_of_what_it_does_not_know(library: Library) -> None:
    """It packed and merged without a look at shelves and slices; until it is replaced the new one does it all."""
    await library.add(drawn(1))
    with pytest.raises(NotNullViolation):
        async with library.database.transaction() as connection:
            await connection.execute(
                "INSERT INTO runs (project, media_type, first_asset, postings) SELECT project, media_type, asset, 60 FROM unpacked"
            )


async def test_project_takes_its_blocks_with_it(library: Library, other: Library) -> None:
    for seed in range(8):
        await library.add(drawn(seed))
        await other.add(drawn(seed))
    await settle(Packing(library.database))
    async with library.database.transaction() as connection:
        before = await count(connection, "blocks")
        await connection.execute("DELETE FROM assets WHERE project = %s", [library.project])
        await connection.execute("DELETE FROM jobs WHERE project = %s", [library.project])
        await connection.execute("DELETE FROM projects WHERE id = %s", [library.project])
        assert 0 < await count(connection, "blocks") < before
        assert await count(connection, "runs") >= 1


async def renew(library: Library, made: list[Fingerprint], version: int) -> None:
    """What a job does to every asset, oldest first, with these instead of a matcher's."""
    job = uuid4()
    async with library.database.transaction() as connection:
        count = await renewals.insert_renewals(connection, library.project, job, {MediaType.IMAGE: Kind("made-up", version)})
        identities = await renewals.claim_next(connection, job, count)
    assert len(identities) == count == len(made)
    for identity, each in zip(identities, made, strict=True):
        async with library.database.transaction() as connection:
            renewal = await renewals.find_renewal(connection, identity)
            assert renewal is not None
            assert await renewals.finish(connection, identity)
            assert not await renewals.finish(connection, identity)
            assert await renewals.replace_fingerprint(connection, renewal.number, each)
    async with library.database.transaction() as connection:
        await renewals.note_stale_runs(connection, job)


@pytest.mark.parametrize("is_packed", [True, False])
async def test_terms_of_an_earlier_version_leave_the_blocks_and_those_of_the_new_one_stay(library: Library, *, is_packed: bool) -> None:
    packing = Packing(library.database)
    first = [drawn(seed) for seed in range(20)]
    numbers = [(await library.add(each))[1] for each in first]
    if is_packed:
        await settle(packing)
    second = [replace(drawn(100 + seed), version=2) for seed in range(20)]
    await renew(library, second, 2)
    assert [(await library.vote(each))[0] for each in second] == numbers
    await settle(packing)
    third = [replace(drawn(200 + seed), version=3) for seed in range(20)]
    await renew(library, third, 3)
    await settle(packing)
    assert [(await library.vote(each))[0] for each in third] == numbers
    assert await library.vote(second[0]) == []
    async with library.database.transaction() as connection:
        assert await count(connection, "runs WHERE is_stale") == 0
        cursor = await connection.execute("SELECT coalesce(sum(postings), 0)::int AS packed FROM runs")
        packed = (await cursor.fetchall())[0]["packed"]
        cursor = await connection.execute("SELECT coalesce(sum(cardinality(terms)), 0)::int AS waiting FROM unpacked")
        waiting = (await cursor.fetchall())[0]["waiting"]
    assert packed + waiting == 20 * TERMS


async def test_first_run_after_a_renewal_is_not_taken_for_a_stale_one(library: Library) -> None:
    packing = Packing(library.database)
    for seed in range(20):
        await library.add(drawn(seed))
    made = [replace(drawn(100 + seed), version=2) for seed in range(20)]
    await renew(library, made, 2)
    await settle(packing)
    async with library.database.transaction() as connection:
        before = await packed_assets(connection)
        await connection.execute("UPDATE runs SET is_stale = true")
    assert before
    await settle(packing)
    async with library.database.transaction() as connection:
        assert await packed_assets(connection) == before
