"""The decision log on a real PostgreSQL: only appended to, read in its order, deleted by age alone; and what is decided by."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from index_svc.access import Access
from index_svc.decision import Decision, DecisionFilter
from index_svc.decision_log import DecisionLog
from index_svc.records import ProjectSettings
from index_svc.rule import MAX_OF_A_PROJECT, Rule, RuleKind
from index_svc.store import decisions as store
from index_svc.store.database import Database
from index_svc.thresholds import Thresholds
from matching.thresholds.lanes import Policy
from mesh.errors import Conflict, InvalidRequest, NotAvailable, NotFound
from mesh.media import Confidence, MediaType

SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
PAIR = Decision(
    request_id="one",
    endpoint="match_image",
    media_type=MediaType.IMAGE,
    score=0.9,
    confidence=Confidence.HIGH,
    is_match=True,
    threshold=0.6,
    profile="strict",
    policy="moderation",
    lane="review",
    source_sha256=SHA256,
    source_pdq=SHA256,
    algorithm="sift",
    version=3,
)
ALL = DecisionFilter()


@pytest.fixture
def access(database: Database) -> Access:
    return Access(database, "secret")


@pytest.fixture
async def project(access: Access) -> UUID:
    return (await access.create_project("logged", "unlimited")).id


@pytest.fixture
async def log(database: Database) -> AsyncIterator[DecisionLog]:
    async with DecisionLog(database) as running:
        yield running


async def everything(log: DecisionLog, project: UUID, wanted: DecisionFilter = ALL, after: int = 0, limit: int = 0) -> list[Decision]:
    return [decision async for batch in log.read(project, wanted, after, limit) for decision in batch]


async def test_what_was_recorded_is_read_as_it_was(log: DecisionLog, project: UUID) -> None:
    search = replace(PAIR, endpoint="search_image_by_url", target_sha256="", hits=((uuid4(), 0.9), (uuid4(), 0.8)))
    none = replace(search, score=None, confidence=Confidence.NONE, is_match=False, hits=())
    await log.record(project, [PAIR, search, none])
    read = await everything(log, project)
    assert [replace(decision, number=0, at=None) for decision in read] == [PAIR, search, none]
    assert all(decision.at is not None for decision in read)


async def test_recorded_means_on_disk(log: DecisionLog, project: UUID, database: Database) -> None:
    await log.record(project, [PAIR])
    async with database.transaction() as connection:
        assert len(await store.read(connection, project, ALL, 0, 10)) == 1


async def test_many_at_once_are_all_there_and_in_one_order(log: DecisionLog, project: UUID) -> None:
    rows = [replace(PAIR, request_id=f"r{at}") for at in range(300)]
    await asyncio.gather(*(log.record(project, [row]) for row in rows))
    read = await everything(log, project)
    assert sorted(row.request_id for row in read) == sorted(row.request_id for row in rows)
    assert [row.number for row in read] == sorted({row.number for row in read})
    times = [row.at for row in read if row.at]
    assert times == sorted(times)


async def test_row_that_cannot_be_written_costs_its_own_answer_alone(log: DecisionLog, project: UUID) -> None:
    outcomes = await asyncio.gather(
        log.record(project, [PAIR]), log.record(uuid4(), [PAIR]), log.record(project, [PAIR]), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [type(None), NotFound, type(None)]
    assert len(await everything(log, project)) == 2


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE decisions SET score = 0",
        "DELETE FROM decisions",
        "TRUNCATE decisions",
        "DELETE FROM projects WHERE id IN (SELECT project FROM decisions)",
    ],
)
async def test_database_itself_refuses_to_change_the_log(log: DecisionLog, project: UUID, database: Database, statement: str) -> None:
    await log.record(project, [PAIR])
    with pytest.raises(psycopg.Error, match=r"only ever appended|violates foreign key"):
        async with database.transaction() as connection:
            await connection.execute(statement.encode())
    assert len(await everything(log, project)) == 1


async def test_only_what_is_past_the_projects_days_is_deleted(log: DecisionLog, project: UUID, access: Access, database: Database) -> None:
    other = (await access.create_project("keeps all", "unlimited")).id
    for whose in (project, other):
        await log.record(whose, [PAIR])
    async with database.transaction() as connection:
        # Older rows cannot be made but by going round the trigger, as only the owner of the table can.
        await connection.execute("ALTER TABLE decisions DISABLE TRIGGER keep_decision")
        await connection.execute("UPDATE decisions SET at = at - interval '3 days'")
        await connection.execute("ALTER TABLE decisions ENABLE TRIGGER keep_decision")
    await log.record(project, [replace(PAIR, request_id="new")])
    await access.update_project(project, ProjectSettings(decision_log=True, decision_days=2))
    async with database.transaction() as connection:
        assert await store.delete_expired(connection, 100) == 1
    assert [row.request_id for row in await everything(log, project)] == ["new"]
    assert len(await everything(log, other)) == 1


async def test_log_is_read_on_from_where_it_was_left(log: DecisionLog, project: UUID) -> None:
    await log.record(project, [replace(PAIR, request_id=f"r{at}") for at in range(1200)])
    first = await everything(log, project, limit=700)
    rest = await everything(log, project, after=first[-1].number)
    assert [row.request_id for row in (*first, *rest)] == [f"r{at}" for at in range(1200)]
    assert len(first) == 700


async def test_filters_narrow_the_log_and_its_counts(log: DecisionLog, project: UUID) -> None:
    video = replace(PAIR, media_type=MediaType.VIDEO, endpoint="match_video", score=0.2, is_match=False, lane="pass", request_id="two")
    nothing = replace(PAIR, endpoint="search_image_by_url", score=None, is_match=False, hits=(), policy="", lane="", request_id="three")
    await log.record(project, [PAIR, video, nothing])
    middle = (await everything(log, project))[1].at
    for wanted, ids in {
        DecisionFilter(media_type=MediaType.VIDEO): ["two"],
        DecisionFilter(is_match=False): ["two", "three"],
        DecisionFilter(endpoint="match_image"): ["one"],
        DecisionFilter(policy="moderation", lane="pass"): ["two"],
        DecisionFilter(request_id="three"): ["three"],
        DecisionFilter(min_score=0.2): ["one", "two"],
        DecisionFilter(since=middle): ["two", "three"],
        DecisionFilter(until=middle): ["one"],
    }.items():
        assert [row.request_id for row in await everything(log, project, wanted)] == ids, wanted
    assert await log.count(project, ALL, [0.95, 0.9, 0.1]) == (3, [0, 1, 2])


async def test_log_of_another_project_is_not_seen(log: DecisionLog, project: UUID, access: Access) -> None:
    await log.record((await access.create_project("other", "unlimited")).id, [PAIR])
    assert await everything(log, project) == []
    assert await log.count(project, ALL, []) == (0, [])


PROFILE = Rule("strict", {MediaType.IMAGE: 0.72, MediaType.AUDIO: 0.8}, "by the pilot")
POLICY = Rule("moderation", Policy.of({"remove": 0.95, "review": 0.7}, "pass"))


async def test_profiles_and_policies_are_kept_by_project_and_name(database: Database, access: Access, project: UUID) -> None:
    thresholds, other = Thresholds(database, access), (await access.create_project("other", "unlimited")).id
    await thresholds.put(project, PROFILE)
    kept = await thresholds.put(project, replace(PROFILE, body={MediaType.VIDEO: 0.5}))
    assert (kept.body, await thresholds.list(other, RuleKind.PROFILE)) == ({MediaType.VIDEO: 0.5}, [])
    assert (await thresholds.put(project, POLICY)).body == (await thresholds.get(project, RuleKind.POLICY, "moderation")).body
    assert [policy.name for policy in await thresholds.list(project, RuleKind.POLICY)] == ["moderation"]
    await thresholds.delete(project, RuleKind.PROFILE, "strict")
    await thresholds.delete(project, RuleKind.POLICY, "moderation")
    for gone in (thresholds.get(project, RuleKind.PROFILE, "strict"), thresholds.delete(project, RuleKind.POLICY, "moderation")):
        with pytest.raises(NotFound):
            await gone


async def test_cutoff_is_the_products_own_or_the_projects(database: Database, access: Access, project: UUID) -> None:
    thresholds = Thresholds(database, access)
    await thresholds.put(project, PROFILE)
    async with database.transaction() as connection:
        assert await thresholds.cutoff(connection, project, "stock", MediaType.VIDEO) == 0.85
        assert await thresholds.cutoff(connection, project, "strict", MediaType.AUDIO) == 0.8
        for name, medium in (("strict", MediaType.VIDEO), ("lax", MediaType.IMAGE)):
            with pytest.raises(InvalidRequest) as refused:
                await thresholds.cutoff(connection, project, name, medium)
            assert refused.value.details == {"field": "profile"}


@pytest.mark.parametrize(
    "profile",
    [
        replace(PROFILE, name="general"),
        replace(PROFILE, name="Strict"),
        replace(PROFILE, body={}),
        replace(PROFILE, body={MediaType.IMAGE: 1.01}),
        replace(PROFILE, body={MediaType.IMAGE: float("nan")}),
        replace(PROFILE, note="\0"),
    ],
    ids=["product's own name", "upper case", "no cutoff", "above one", "no number", "NUL"],
)
async def test_profile_that_makes_no_sense_is_refused(database: Database, access: Access, project: UUID, profile: Rule) -> None:
    with pytest.raises(InvalidRequest):
        await Thresholds(database, access).put(project, profile)


async def test_project_has_so_many_profiles_and_no_more(database: Database, access: Access, project: UUID) -> None:
    thresholds = Thresholds(database, access)
    for at in range(MAX_OF_A_PROJECT - 1):
        await thresholds.put(project, replace(PROFILE, name=f"p{at}"))
    last = await asyncio.gather(*(thresholds.put(project, replace(PROFILE, name=f"q{at}")) for at in range(4)), return_exceptions=True)
    assert sorted(type(one).__name__ for one in last) == ["Conflict", "Conflict", "Conflict", "Rule"]
    assert (await thresholds.put(project, replace(PROFILE, name="p0"))).name == "p0"
    assert Conflict.http_status == 409


async def test_what_cannot_be_written_is_refused_and_not_lost_in_silence(tmp_path: Path) -> None:
    async with Database(f"host={tmp_path} dbname=nowhere", 4) as away, DecisionLog(away) as log:
        outcomes = await asyncio.gather(*(log.record(uuid4(), [PAIR]) for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [NotAvailable] * 3
