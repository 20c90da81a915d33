"""Assets, postings and the vote on a real PostgreSQL, with fingerprints made up by the tests."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from index_svc.access import Access
from index_svc.records import AssetDraft, AssetFilter, AssetStatus, Fingerprint, Narrowing, SoundTrack
from index_svc.store import assets, postings
from index_svc.store.database import Database
from mesh.media import MediaType


def fingerprint(terms: list[int], positions: list[int] | None = None, *, sha256: str = "", version: int = 1) -> Fingerprint:
    return Fingerprint("made-up", version, sha256 or uuid4().hex, b"payload", terms, positions or [0] * len(terms))


class Library:
    """A project and what is in it."""

    def __init__(self, database: Database, project: UUID) -> None:
        self.database, self.project = database, project

    async def accept(self, medium: MediaType = MediaType.IMAGE, **said: object) -> tuple[UUID, int]:
        draft = AssetDraft(**{"media_type": medium, "url": "u", "name": "", "collection": "", "owner": "", "metadata": {}, **said})  # type: ignore[arg-type]
        asset, job = uuid4(), uuid4()
        async with self.database.transaction() as connection:
            await assets.insert_job(connection, self.project, job, medium, 1)
            return asset, await assets.insert_asset(connection, self.project, asset, job, draft)

    async def add(
        self, made: Fingerprint, medium: MediaType = MediaType.IMAGE, sound: SoundTrack | None = None, **said: object
    ) -> tuple[UUID, int]:
        asset, number = await self.accept(medium, **said)
        async with self.database.transaction() as connection:
            assert await assets.begin_processing(connection, number)
            assert await assets.make_ready(connection, number, made, sound)
        return asset, number

    async def vote(
        self,
        query: Fingerprint,
        narrowing: Narrowing | None = None,
        medium: MediaType = MediaType.IMAGE,
        limit: int = 100,
        through: MediaType | None = None,
    ) -> list[int]:
        async with self.database.transaction() as connection:
            return await postings.find_candidates(connection, self.project, medium, query, narrowing or Narrowing(), limit, through=through)

    async def status(self, asset: UUID) -> AssetStatus | None:
        async with self.database.transaction() as connection:
            found = await assets.find_asset(connection, self.project, asset)
        return found.status if found else None


@pytest.fixture
async def library(database: Database, access: Access) -> Library:
    return Library(database, (await access.create_project("one", "")).id)


@pytest.fixture
async def other(database: Database, access: Access) -> Library:
    return Library(database, (await access.create_project("two", "")).id)


async def test_assets_are_named_by_how_many_terms_they_share(library: Library) -> None:
    _, few = await library.add(fingerprint([1, 2, 9]))
    _, many = await library.add(fingerprint([1, 2, 3, 4]))
    await library.add(fingerprint([7, 8]))
    assert await library.vote(fingerprint([1, 2, 3, 4, 5])) == [many, few]


async def test_equal_votes_are_named_in_the_order_of_indexing(library: Library) -> None:
    numbers = [(await library.add(fingerprint([1, 2])))[1] for _ in range(5)]
    assert await library.vote(fingerprint([1, 2])) == numbers
    assert await library.vote(fingerprint([1, 2]), limit=2) == numbers[:2]


async def test_terms_count_where_they_agree_on_the_time(library: Library) -> None:
    terms = list(range(40))
    _, clip = await library.add(fingerprint(terms, [60_000 + 100 * at for at in range(40)]), MediaType.AUDIO)
    _, scattered = await library.add(fingerprint(terms, [7_919 * at for at in range(40)]), MediaType.AUDIO)
    _, half = await library.add(fingerprint(terms[:20], [90_000 + 100 * at for at in range(20)]), MediaType.AUDIO)
    assert await library.vote(fingerprint(terms, [100 * at for at in range(40)]), medium=MediaType.AUDIO) == [clip, half, scattered]


async def test_term_that_is_held_counts_once(library: Library) -> None:
    _, tone = await library.add(fingerprint([5] * 50, list(range(50))), MediaType.AUDIO)
    _, tune = await library.add(fingerprint([5, 6], [0, 1]), MediaType.AUDIO)
    assert await library.vote(fingerprint([5] * 50 + [6], list(range(51))), medium=MediaType.AUDIO) == [tune, tone]


async def test_same_bytes_come_first_even_without_a_term(library: Library) -> None:
    await library.add(fingerprint([1, 2, 3]))
    _, blank = await library.add(fingerprint([], sha256="blank"))
    assert (await library.vote(fingerprint([1, 2, 3], sha256="blank")))[0] == blank


async def test_terms_above_the_sign_are_kept(library: Library) -> None:
    _, number = await library.add(fingerprint([-1, -(2**63), 2**63 - 1]))
    assert await library.vote(fingerprint([-1, -(2**63), 2**63 - 1])) == [number]


async def test_other_project_sees_nothing(library: Library, other: Library) -> None:
    asset, number = await library.add(fingerprint([1, 2, 3], sha256="same"))
    assert await other.vote(fingerprint([1, 2, 3], sha256="same")) == []
    assert await other.status(asset) is None
    async with other.database.transaction() as connection:
        assert await postings.read_payloads(connection, other.project, [number], MediaType.IMAGE) == {}
        assert await postings.read_ready(connection, other.project, [number]) == {}
        assert await postings.read_fingerprint(connection, other.project, asset, MediaType.IMAGE) is None
        assert await assets.list_assets(connection, other.project, AssetFilter(), None, 100) == []
        assert not await assets.delete_asset(connection, other.project, asset)
        assert await assets.list_jobs(connection, other.project, None, 100) == []
    assert await library.status(asset) is AssetStatus.READY


async def test_other_medium_version_and_algorithm_are_not_named(library: Library) -> None:
    await library.add(fingerprint([1, 2]), MediaType.AUDIO)
    await library.add(fingerprint([1, 2], version=2))
    assert await library.vote(fingerprint([1, 2])) == []


async def test_film_is_named_by_its_sound_among_films_alone_and_by_what_it_shows_as_ever(library: Library) -> None:
    shown, heard = fingerprint([1, 2, 3], sha256="film"), fingerprint([7, 8, 9], sha256="film", version=5)
    _, film = await library.add(shown, MediaType.VIDEO, SoundTrack(heard.kind, heard))
    _, mute = await library.add(fingerprint([1, 2], sha256="mute"), MediaType.VIDEO, SoundTrack(heard.kind, None))
    _, sound = await library.add(heard, MediaType.AUDIO)
    assert await library.vote(heard, medium=MediaType.VIDEO, through=MediaType.AUDIO) == [film]
    assert await library.vote(fingerprint([7], sha256="mute", version=5), medium=MediaType.VIDEO, through=MediaType.AUDIO) == [film]
    assert await library.vote(heard, medium=MediaType.AUDIO) == [sound]
    assert await library.vote(shown, medium=MediaType.VIDEO) == [film, mute]
    assert await library.vote(fingerprint([7, 8, 9], version=5), medium=MediaType.VIDEO) == []
    async with library.database.transaction() as connection:
        payloads = await postings.read_payloads(connection, library.project, [film, mute], MediaType.VIDEO, MediaType.AUDIO)
    assert payloads == {film: b"payload"}


async def test_only_what_is_ready_is_named(library: Library) -> None:
    _, pending = await library.accept()
    _, processing = await library.accept()
    _, failed = await library.accept()
    async with library.database.transaction() as connection:
        for number in (processing, failed):
            await assets.begin_processing(connection, number)
        await assets.fail(connection, failed, "fetch_failed", "why")
        await connection.execute("UPDATE assets SET sha256 = 'same', algorithm = 'made-up', version = 1")
    assert await library.vote(fingerprint([1], sha256="same")) == []
    assert pending != processing


async def test_narrowing_holds_for_every_candidate(library: Library) -> None:
    asset, red = await library.add(fingerprint([1]), collection="red", metadata={"by": "ann", "year": 2026, "tags": ["a", "b"]})
    _, blue = await library.add(fingerprint([1]), collection="blue", metadata={"by": "ann"})
    query = fingerprint([1])
    assert await library.vote(query, Narrowing(collections=["red"])) == [red]
    assert await library.vote(query, Narrowing(collections=["red", "blue"], metadata={"by": "ann"})) == [red, blue]
    assert await library.vote(query, Narrowing(metadata={"tags": ["b"], "year": 2026})) == [red]
    assert await library.vote(query, Narrowing(without=asset)) == [blue]
    assert await library.vote(query, Narrowing(collections=["' OR 1=1 --"])) == []


async def test_deleting_leaves_no_trace(library: Library) -> None:
    asset, number = await library.add(fingerprint([1, 2, 3], sha256="same"))
    kept, other_number = await library.add(fingerprint([1, 2, 3]))
    async with library.database.transaction() as connection:
        assert await assets.delete_asset(connection, library.project, asset)
        assert not await assets.delete_asset(connection, library.project, asset)
    assert await library.vote(fingerprint([1, 2, 3], sha256="same")) == [other_number]
    async with library.database.transaction() as connection:
        for table, column in (("unpacked", "asset"), ("fingerprints", "asset"), ("assets", "number")):
            found = await connection.execute(f"SELECT count(*) AS left FROM {table} WHERE {column} = %s", [number])
            assert (await found.fetchall())[0]["left"] == 0
    assert await library.status(kept) is AssetStatus.READY


async def test_asset_that_was_deleted_while_it_was_fingerprinted_stays_gone(library: Library) -> None:
    asset, number = await library.accept()
    async with library.database.transaction() as connection:
        await assets.begin_processing(connection, number)
        await assets.delete_asset(connection, library.project, asset)
        assert not await assets.make_ready(connection, number, fingerprint([1]))
    assert await library.vote(fingerprint([1])) == []


async def test_asset_that_has_outlived_its_time_is_as_if_deleted_and_soon_is(library: Library) -> None:
    old, number = await library.add(fingerprint([1], sha256="old"), ttl_seconds=3600)
    fresh, kept = await library.add(fingerprint([1]), ttl_seconds=3600)
    async with library.database.transaction() as connection:
        assert await assets.delete_expired(connection, 10) == 0
        await connection.execute("UPDATE assets SET expires_at = now() - interval '1 second' WHERE number = %s", [number])
    assert await library.vote(fingerprint([1], sha256="old")) == [kept]
    assert await library.status(old) is None
    async with library.database.transaction() as connection:
        assert await postings.read_ready(connection, library.project, [number]) == {}
        assert await postings.read_fingerprint(connection, library.project, old, MediaType.IMAGE) is None
        assert [asset.number for asset in await assets.list_assets(connection, library.project, AssetFilter(), None, 9)] == [kept]
        assert not await assets.delete_asset(connection, library.project, old)
        assert await assets.delete_expired(connection, 10) == 1
        left = await connection.execute("SELECT asset FROM unpacked")
        assert [row["asset"] for row in await left.fetchall()] == [kept]
    assert await library.status(fresh) is AssetStatus.READY


async def test_request_is_claimed_once_for_each_project(library: Library, other: Library) -> None:
    asset, job = uuid4(), uuid4()
    async with library.database.transaction() as connection:
        assert await assets.claim_request(connection, library.project, "key", b"what", asset, job) is None
        assert await assets.claim_request(connection, library.project, "key", b"else", uuid4(), uuid4()) == (b"what", asset, job)
        assert await assets.claim_request(connection, other.project, "key", b"what", uuid4(), uuid4()) is None
        await connection.execute("UPDATE repeatable_requests SET created_at = now() - interval '25 hours'")
        await assets.delete_expired(connection, 10)
        assert await assets.claim_request(connection, library.project, "key", b"else", uuid4(), uuid4()) is None


async def test_status_only_moves_along_its_way(library: Library) -> None:
    asset, number = await library.accept()
    async with library.database.transaction() as connection:
        await assets.fail(connection, number, "internal", "never begun")
        assert not await assets.make_ready(connection, number, fingerprint([1]))
    assert await library.status(asset) is AssetStatus.PENDING
    async with library.database.transaction() as connection:
        await assets.begin_processing(connection, number)
        await assets.make_ready(connection, number, fingerprint([1]))
        await assets.fail(connection, number, "internal", "too late")
        await assets.wait_again(connection, number)
        assert await assets.begin_processing(connection, number) is None
        assert await assets.reset_failed(connection, library.project, asset) is None
    assert await library.status(asset) is AssetStatus.READY


async def test_url_is_forgotten_once_the_asset_is_ready(library: Library) -> None:
    _, number = await library.add(fingerprint([1]), url="https://example.com/?signature=secret")
    async with library.database.transaction() as connection:
        found = await connection.execute("SELECT assets::text AS whole FROM assets WHERE number = %s", [number])
        assert "secret" not in (await found.fetchall())[0]["whole"]


async def test_pages_hold_every_asset_once_the_newest_first(library: Library) -> None:
    numbers = [(await library.accept(name=str(at % 2)))[1] for at in range(7)]
    seen: list[int] = []
    async with library.database.transaction() as connection:
        while page := await assets.list_assets(connection, library.project, AssetFilter(), seen[-1] if seen else None, 3):
            seen += [asset.number for asset in page]
        odd = await assets.list_assets(connection, library.project, AssetFilter(name="1", status=AssetStatus.PENDING), None, 100)
    assert seen == numbers[::-1]
    assert [asset.number for asset in odd] == numbers[1::2][::-1]
