"""Quotas on a real PostgreSQL: nothing is lost, counted twice or let past a limit, however many ask at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID, uuid4

import pytest

from index_svc.access import Access
from index_svc.plans import FEATURES, Plan, Policy, Quota
from index_svc.quotas import Plans, Quotas
from index_svc.records import AssetStatus
from index_svc.store import assets
from index_svc.store.database import Database
from mesh import call
from mesh.errors import Conflict, FeatureDisabled, FetchFailed, InvalidRequest, MeshError, NotFound, Overloaded, QuotaExceeded
from mesh.media import MediaType
from tests.integration.index_svc.test_store import Library, fingerprint

LAST_SECOND = datetime(2026, 11, 30, 23, 59, 59, 999999, UTC)
FIRST_SECOND = datetime(2026, 12, 1, tzinfo=UTC)
AT_ONCE = 25

Outcome = TypeVar("Outcome")


class Clock:
    def __init__(self, now: datetime = LAST_SECOND) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


class Tenant:
    """A project on a plan of its own."""

    def __init__(self, database: Database, project: UUID, plan: Plan) -> None:
        self.database, self.project, self.plan = database, project, plan
        self.clock = Clock()
        self.quotas, self.plans = Quotas(database, self.clock), Plans(database)

    async def search(self, media_bytes: int = 0, *, ends: BaseException | None = None, is_downloading: bool = True) -> list[Quota]:
        async with self.quotas.search(self.project, is_downloading=is_downloading) as spending:
            await self.quotas.charge(spending, media_bytes)
            if ends is not None:
                raise ends
        return spending.quotas

    async def used(self, policy: Policy) -> int:
        return (await self.quotas.usage(self.project)).quotas[policy].used

    async def change(self, **changes: object) -> None:
        self.plan = replace(self.plan, **changes)  # type: ignore[arg-type]
        await self.plans.replace(self.plan)


NewTenant = Callable[..., Awaitable[Tenant]]


@pytest.fixture
def tenant(database: Database, access: Access) -> NewTenant:
    async def make(**limits: object) -> Tenant:
        plan = Plan(name=f"plan {uuid4()}", **limits)  # type: ignore[arg-type]
        await Plans(database).create(plan)
        return Tenant(database, (await access.create_project("tenant", plan.name)).id, plan)

    return make


async def at_once(times: int, ask: Callable[[], Awaitable[Outcome]]) -> tuple[list[Outcome], list[MeshError]]:
    """What so many got, and what they were refused with."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one() -> Outcome:
        async with gate:
            return await ask()

    outcomes = await asyncio.gather(*(one() for _ in range(times)), return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert all(isinstance(problem, QuotaExceeded) for problem in refused), refused[:3]
    return [outcome for outcome in outcomes if not isinstance(outcome, BaseException)], refused  # type: ignore[return-value]


async def test_of_a_thousand_searches_at_once_as_many_are_let_in_as_are_left(tenant: NewTenant) -> None:
    one = await tenant(max_searches=137)
    let_in, refused = await at_once(1000, one.search)
    assert (len(let_in), len(refused), await one.used(Policy.SEARCHES)) == (137, 863, 137)
    assert {error.details["policy"] for error in refused} == {"searches"}


async def test_with_ten_searches_left_exactly_ten_of_two_hundred_succeed(tenant: NewTenant) -> None:
    one = await tenant(max_searches=30)
    for _ in range(20):
        await one.search()
    let_in, _ = await at_once(200, one.search)
    assert len(let_in) == 10


async def test_of_a_thousand_calls_at_once_as_many_are_let_in_as_are_left(tenant: NewTenant) -> None:
    one = await tenant(max_calls=61)
    let_in, refused = await at_once(1000, lambda: one.quotas.count_call(one.project))
    assert (len(let_in), await one.used(Policy.CALLS)) == (61, 61)
    assert {error.details["policy"] for error in refused} == {"calls"}


async def test_bytes_never_pass_the_cap_and_are_exactly_those_of_the_answered_searches(tenant: NewTenant) -> None:
    one = await tenant(max_search_bytes=10_000)
    let_in, _ = await at_once(300, lambda: one.search(997))
    assert len(let_in) == 10
    assert await one.used(Policy.SEARCH_BYTES) == 9970
    assert (await one.search(30))[1].is_used_up
    with pytest.raises(QuotaExceeded) as refusal:
        await one.search(1)
    assert refusal.value.details["policy"] == "search_bytes"
    assert await one.used(Policy.SEARCH_BYTES) == 10_000


async def test_twice_the_bytes_are_twice_the_units(tenant: NewTenant) -> None:
    one, two = await tenant(), await tenant()
    await one.search(123_456)
    await two.search(2 * 123_456)
    assert await two.used(Policy.SEARCH_BYTES) == 2 * await one.used(Policy.SEARCH_BYTES) == 246_912


async def test_what_downloads_nothing_goes_on_without_bytes_left(tenant: NewTenant) -> None:
    one = await tenant(max_search_bytes=5)
    await one.search(5)
    with pytest.raises(QuotaExceeded):
        await one.search(0)
    assert (await one.search(is_downloading=False))[0].used == 2
    await one.quotas.count_call(one.project)


async def test_plan_with_nothing_of_it_refuses_the_first(tenant: NewTenant) -> None:
    one = await tenant(max_searches=0, max_calls=0)
    for ask in (one.search, lambda: one.quotas.count_call(one.project)):
        with pytest.raises(QuotaExceeded):
            await ask()
    bytes_none = await tenant(max_search_bytes=0)
    with pytest.raises(QuotaExceeded):
        await bytes_none.search(1)


async def test_searches_go_on_until_the_soft_factor(tenant: NewTenant) -> None:
    one = await tenant(max_searches=10, search_soft_factor=1.25)
    let_in, _ = await at_once(40, one.search)
    assert len(let_in) == 12
    quota = (await one.quotas.usage(one.project)).quotas[Policy.SEARCHES]
    assert (quota.used, quota.limit, quota.soft_limit) == (12, 12, 10)


async def test_month_ends_at_midnight_utc(tenant: NewTenant) -> None:
    one = await tenant(max_searches=1, max_calls=1)
    await one.search(7)
    await one.quotas.count_call(one.project)
    with pytest.raises(QuotaExceeded) as refusal:
        await one.search()
    assert refusal.value.details["retry_after_seconds"] == "1"
    one.clock.now = FIRST_SECOND
    usage = await one.quotas.usage(one.project)
    assert {policy: quota.used for policy, quota in usage.quotas.items() if quota.used} == {}
    assert (usage.month.start, usage.month.end) == (FIRST_SECOND, datetime(2027, 1, 1, tzinfo=UTC))
    await one.search(9)
    await one.quotas.count_call(one.project)
    assert (await one.used(Policy.SEARCHES), await one.used(Policy.SEARCH_BYTES), await one.used(Policy.CALLS)) == (1, 9, 1)
    one.clock.now = LAST_SECOND
    assert (await one.used(Policy.SEARCHES), await one.used(Policy.SEARCH_BYTES)) == (1, 7)


async def test_search_over_the_end_of_a_month_is_counted_where_it_began(tenant: NewTenant) -> None:
    one = await tenant()
    async with one.quotas.search(one.project, is_downloading=True) as spending:
        one.clock.now = FIRST_SECOND
        await one.quotas.charge(spending, 5)
    assert (await one.used(Policy.SEARCHES), await one.used(Policy.SEARCH_BYTES)) == (0, 0)
    with pytest.raises(Overloaded):
        async with one.quotas.search(one.project, is_downloading=True):
            one.clock.now = datetime(2027, 1, 1, tzinfo=UTC)
            raise Overloaded()
    one.clock.now = LAST_SECOND
    assert (await one.used(Policy.SEARCHES), await one.used(Policy.SEARCH_BYTES)) == (1, 5)
    one.clock.now = FIRST_SECOND
    assert await one.used(Policy.SEARCHES) == 0


async def test_searches_on_both_sides_of_a_months_end_are_counted_once_each(tenant: NewTenant) -> None:
    one = await tenant(max_searches=50)
    moments = [LAST_SECOND, FIRST_SECOND] * 100

    async def ask() -> list[Quota]:
        return await Tenant.search(_at(one, moments.pop()), 3)

    let_in, _ = await at_once(200, ask)
    assert len(let_in) == 100
    for moment in (LAST_SECOND, FIRST_SECOND):
        one.clock.now = moment
        assert (await one.used(Policy.SEARCHES), await one.used(Policy.SEARCH_BYTES)) == (50, 150)


def _at(tenant: Tenant, moment: datetime) -> Tenant:
    other = Tenant(tenant.database, tenant.project, tenant.plan)
    other.clock.now = moment
    return other


@pytest.mark.parametrize(
    ("problem", "counted"),
    [(Overloaded(), 0), (RuntimeError("a defect"), 0), (FetchFailed(), 1), (NotFound(), 1), (asyncio.CancelledError(), 1)],
    ids=lambda value: type(value).__name__,
)
async def test_what_fails_through_our_fault_is_given_back(tenant: NewTenant, problem: BaseException, counted: int) -> None:
    one = await tenant()
    call.begin(None, 60.0)
    with pytest.raises(type(problem)):
        await one.search(100, ends=problem)
    assert await one.used(Policy.SEARCHES) == counted
    assert await one.used(Policy.SEARCH_BYTES) == 100 * counted


async def test_search_whose_time_ran_out_is_given_back(tenant: NewTenant) -> None:
    one = await tenant()
    call.begin(None, 0.1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(call.remaining_seconds()), one.quotas.search(one.project, is_downloading=True):
            await asyncio.Event().wait()
    assert await one.used(Policy.SEARCHES) == 0


async def test_while_the_disk_is_full_what_is_not_used_up_is_answered_uncounted(tenant: NewTenant, full_database: Database) -> None:
    one = await tenant(max_searches=2, max_calls=2, max_search_bytes=1000)
    await one.search(100)
    await one.quotas.count_call(one.project)
    full = Tenant(full_database, one.project, one.plan)
    for _ in range(3):
        quotas = await full.search(100)
        assert {quota.policy: quota.used for quota in quotas} == {Policy.SEARCHES: 1, Policy.SEARCH_BYTES: 100}
        assert (await full.quotas.count_call(one.project))[0].used == 1
    with pytest.raises(Overloaded):
        await full.search(ends=Overloaded())
    assert [await one.used(policy) for policy in (Policy.SEARCHES, Policy.CALLS, Policy.SEARCH_BYTES)] == [1, 1, 100]
    await one.search()
    await one.quotas.count_call(one.project)
    with pytest.raises(QuotaExceeded):
        await full.search()
    with pytest.raises(QuotaExceeded):
        await full.quotas.count_call(one.project)


async def test_given_back_call_may_be_made_again(tenant: NewTenant) -> None:
    one = await tenant(max_calls=1)
    _, month = await one.quotas.count_call(one.project)
    await one.quotas.uncount_call(one.project, month.start)
    await one.quotas.uncount_call(one.project, month.start)
    assert await one.used(Policy.CALLS) == 0
    await one.quotas.count_call(one.project)
    with pytest.raises(QuotaExceeded):
        await one.quotas.count_call(one.project)


async def test_projects_on_one_plan_have_counters_of_their_own(tenant: NewTenant, access: Access) -> None:
    one = await tenant(max_searches=5, max_calls=5)
    other = Tenant(one.database, (await access.create_project("other", one.plan.name)).id, one.plan)
    await at_once(20, lambda: one.search(11))
    await one.quotas.count_call(one.project)
    usage = await other.quotas.usage(other.project)
    assert [quota.used for quota in usage.quotas.values()] == [0] * 6
    assert len((await at_once(20, other.search))[0]) == 5


async def test_larger_plan_counts_at_once(tenant: NewTenant, database: Database) -> None:
    one = await tenant(max_searches=1)
    await one.search()
    with pytest.raises(QuotaExceeded):
        await one.search()
    await one.change(max_searches=2)
    await one.search()
    await one.plans.set_project_plan(one.project, "unlimited")
    assert len((await at_once(20, one.search))[0]) == 20


async def fill(library: Library, times: int, medium: MediaType = MediaType.IMAGE) -> list[UUID]:
    """As many assets as wanted, made ready all at once; those that were."""
    accepted = [await library.accept(medium) for _ in range(times)]

    async def make_ready(asset: UUID, number: int) -> UUID | None:
        try:
            async with library.database.transaction() as connection:
                await assets.begin_processing(connection, number)
            async with library.database.transaction() as connection:
                assert await assets.make_ready(connection, number, fingerprint([number]))
        except QuotaExceeded as error:
            async with library.database.transaction() as connection:
                await assets.fail(connection, number, error.code, error.message)
            return None
        return asset

    return [asset for asset in await asyncio.gather(*(make_ready(*both) for both in accepted)) if asset]


async def test_no_more_assets_become_ready_than_the_plan_holds(tenant: NewTenant) -> None:
    one = await tenant(max_ready_images=7)
    library = Library(one.database, one.project)
    ready = await fill(library, 40)
    assert len(ready) == await one.used(Policy.READY_IMAGES) == 7
    async with one.database.transaction() as connection:
        found = await connection.execute("SELECT status, error_code, count(*) AS n FROM assets GROUP BY 1, 2 ORDER BY 1")
        assert [(row["status"], row["error_code"], row["n"]) for row in await found.fetchall()] == [
            ("failed", "quota_exceeded", 33),
            ("ready", None, 7),
        ]
        left = await connection.execute("SELECT (SELECT count(*) FROM fingerprints) + (SELECT count(*) FROM unpacked) AS n")
        assert (await left.fetchall())[0]["n"] == 14
    assert len(await fill(library, 3, MediaType.AUDIO)) == 3


async def test_deleting_frees_a_place_and_a_new_month_does_not(tenant: NewTenant) -> None:
    one = await tenant(max_ready_images=2)
    library = Library(one.database, one.project)
    first, _ = await fill(library, 2)
    one.clock.now = FIRST_SECOND
    assert await fill(library, 1) == []
    async with one.database.transaction() as connection:
        with pytest.raises(QuotaExceeded) as refusal:
            await one.quotas.require_place(connection, one.project, MediaType.IMAGE)
    assert "retry_after_seconds" not in refusal.value.details
    async with one.database.transaction() as connection:
        await assets.delete_asset(connection, one.project, first)
    assert await one.used(Policy.READY_IMAGES) == 1
    assert len(await fill(library, 3)) == 1


async def test_asset_that_never_was_ready_frees_no_place(tenant: NewTenant) -> None:
    one = await tenant(max_ready_images=1)
    library = Library(one.database, one.project)
    await fill(library, 1)
    pending, _ = await library.accept()
    async with one.database.transaction() as connection:
        await assets.delete_asset(connection, one.project, pending)
    assert await one.used(Policy.READY_IMAGES) == 1


async def test_asset_that_has_outlived_its_time_frees_its_place(tenant: NewTenant) -> None:
    one = await tenant(max_ready_images=1)
    library = Library(one.database, one.project)
    asset, _ = await library.add(fingerprint([1]), ttl_seconds=3600)
    async with one.database.transaction() as connection:
        await connection.execute("UPDATE assets SET expires_at = now() - interval '1 second'")
        assert await assets.delete_expired(connection, 10) == 1
    assert await library.status(asset) is None
    assert await one.used(Policy.READY_IMAGES) == 0


async def test_asset_deleted_while_it_was_fingerprinted_takes_no_place(tenant: NewTenant) -> None:
    one = await tenant(max_ready_images=1)
    library = Library(one.database, one.project)
    asset, number = await library.accept()
    async with one.database.transaction() as connection:
        await assets.begin_processing(connection, number)
        await assets.delete_asset(connection, one.project, asset)
        assert not await assets.make_ready(connection, number, fingerprint([1]))
    assert await one.used(Policy.READY_IMAGES) == 0


async def test_failed_asset_is_ready_once_there_is_a_place(tenant: NewTenant) -> None:
    one = await tenant(max_ready_images=1)
    library = Library(one.database, one.project)
    await fill(library, 1)
    asset, number = await library.accept()
    async with one.database.transaction() as connection:
        await assets.begin_processing(connection, number)
        await assets.fail(connection, number, "quota_exceeded", "full")
    await one.change(max_ready_images=2)
    async with one.database.transaction() as connection:
        await one.quotas.require_place(connection, one.project, MediaType.IMAGE)
        await assets.reset_failed(connection, one.project, asset)
        await assets.begin_processing(connection, number)
        assert await assets.make_ready(connection, number, fingerprint([1]))
    assert await library.status(asset) is AssetStatus.READY


async def test_smaller_plan_keeps_what_is_ready(tenant: NewTenant) -> None:
    one = await tenant(max_ready_images=5)
    library = Library(one.database, one.project)
    ready = await fill(library, 5)
    await one.change(max_ready_images=2)
    assert await fill(library, 1) == []
    assert all([await library.status(asset) is AssetStatus.READY for asset in ready])
    assert await one.used(Policy.READY_IMAGES) == 5


@pytest.mark.parametrize("feature", FEATURES)
async def test_plan_has_exactly_its_features(tenant: NewTenant, access: Access, feature: str) -> None:
    one = await tenant(features=[feature])
    async with one.database.transaction() as connection:
        for asked in FEATURES:
            if asked == feature:
                await access.require_feature(connection, one.project, asked)
            else:
                with pytest.raises(FeatureDisabled):
                    await access.require_feature(connection, one.project, asked)


async def test_key_has_the_rate_of_its_plan_or_its_own(tenant: NewTenant, access: Access) -> None:
    one = await tenant(requests_per_second=5, burst_seconds=3)
    key, text = await access.create_key(one.project, "key", [], None)

    async def rate(presented: str) -> tuple[int, int]:
        grant = await access.authenticate(presented)
        return grant.rate_requests, grant.rate_seconds

    assert await rate(text) == (15, 3)
    await one.plans.set_key_rate(one.project, key.id, 100, 2)
    assert await rate(text) == (200, 2)
    _, rotated = await access.rotate_key(one.project, key.id, 60.0)
    assert await rate(rotated) == (200, 2)
    await one.plans.set_key_rate(one.project, key.id, None, 1)
    assert await rate(text) == (15, 3)
    await one.change(requests_per_second=None)
    assert (await rate(text))[0] == 0
    with pytest.raises(NotFound):
        await one.plans.set_key_rate(uuid4(), key.id, 1, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "a\0"},
        {"features": ["image:draw"]},
        {"search_soft_factor": 0.5},
        {"search_soft_factor": float("nan")},
        {"requests_per_second": 0},
        {"burst_seconds": 0},
        {"max_searches": 2**63 - 1},
    ],
    ids=str,
)
async def test_plan_that_makes_no_sense_is_refused(database: Database, wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        await Plans(database).create(replace(Plan("a plan"), **wrong))  # type: ignore[arg-type]


async def test_plans_are_made_once_changed_and_listed(database: Database, tenant: NewTenant) -> None:
    plans = Plans(database)
    gold = Plan("gold", ["image:index"], 1, 2, 3, 4, 5, 6, 1.5, 7, 8)
    await plans.create(gold)
    with pytest.raises(Conflict):
        await plans.create(gold)
    with pytest.raises(NotFound):
        await plans.replace(replace(gold, name="silver"))
    assert gold in await plans.list()
    await plans.replace(replace(gold, max_searches=None))
    assert {plan.name: plan.max_searches for plan in await plans.list()} == {"free": 10000, "gold": None, "unlimited": None}
    one = await tenant()
    with pytest.raises(InvalidRequest):
        await plans.set_project_plan(one.project, "silver")
    with pytest.raises(NotFound):
        await plans.set_project_plan(uuid4(), "gold")
    with pytest.raises(NotFound):
        await one.quotas.usage(uuid4())
