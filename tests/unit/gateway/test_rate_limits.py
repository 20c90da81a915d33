"""Windows that move, and the fields that speak of them."""

from __future__ import annotations

import time

import pytest

from gateway.moving_windows import MovingWindows
from gateway.rate_limits import Limit, Rate, RateLimits, limit_fields, limit_of, open_store
from gateway.server import build
from gateway.settings import Settings
from mesh.errors import NotFound, QuotaExceeded, RateLimited
from mesh.settings import InvalidSettings


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rates(clock: Clock) -> RateLimits:
    return RateLimits(local=MovingWindows(clock))


async def passed(rates: RateLimits, times: int, rate: Rate, name: str = "one", policy: str = "key") -> int:
    """How many of so many requests were let in."""
    count = 0
    for _ in range(times):
        try:
            await rates.hit(policy, name, rate)
            count += 1
        except RateLimited:
            continue
    return count


async def test_one_more_than_the_rate_is_refused_and_counts_for_nothing(rates: RateLimits, clock: Clock) -> None:
    assert await passed(rates, 50, Rate(10, 1)) == 10
    clock.now += 1.001
    assert await passed(rates, 50, Rate(10, 1)) == 10


async def test_burst_is_let_in_and_the_rate_holds_over_its_seconds(rates: RateLimits, clock: Clock) -> None:
    rate = Rate(requests=30, seconds=3)
    assert await passed(rates, 30, rate) == 30
    for _ in range(29):
        clock.now += 0.1
        assert await passed(rates, 1, rate) == 0
    clock.now += 0.11
    assert await passed(rates, 40, rate) == 30


async def test_no_window_of_that_length_ever_holds_more(rates: RateLimits, clock: Clock) -> None:
    rate, let_in = Rate(7, 2), []
    for at in range(400):
        clock.now += 0.05 + 0.2 * (at % 3)
        if await passed(rates, 1, rate):
            let_in.append(clock.now)
    assert len(let_in) > 100
    assert all(later - earlier >= 1.999 for earlier, later in zip(let_in, let_in[7:], strict=False))


async def test_names_and_policies_are_counted_apart(rates: RateLimits) -> None:
    rate = Rate(2, 60)
    assert [await passed(rates, 3, rate, name, policy) for name, policy in (("a", "key"), ("b", "key"), ("a", "address"))] == [2, 2, 2]


async def test_what_is_left_and_when_it_is_whole_again_is_said(rates: RateLimits, clock: Clock) -> None:
    first = await rates.hit("key", "one", Rate(3, 60))
    assert (first.limit, first.remaining, first.window_seconds) == (3, 2, 60)
    assert first.reset_seconds is not None
    assert 55 <= first.reset_seconds <= 60
    await passed(rates, 2, Rate(3, 60))
    with pytest.raises(RateLimited) as refusal:
        await rates.hit("key", "one", Rate(3, 60))
    assert refusal.value.details["policy"] == "key"
    assert 55 <= int(refusal.value.details["retry_after_seconds"]) <= 60


async def test_names_that_are_kept_are_bounded(clock: Clock) -> None:
    windows = MovingWindows(clock, max_names=100)
    rates = RateLimits(local=windows)
    for number in range(1000):
        await rates.hit("address", str(number), Rate(1, 60))
    assert await windows.reset() == 100


async def test_store_that_is_away_leaves_every_gateway_with_its_own_limit() -> None:
    rates = RateLimits("redis://127.0.0.1:1/0")
    assert await passed(rates, 20, Rate(5, 60)) == 5


@pytest.mark.parametrize("url", ["redis://localhost:6379", "rediss://:secret@example.com:6380/2", "redis+unix:///run/redis.sock"])
def test_store_is_a_redis_by_its_url(url: str) -> None:
    assert type(open_store(url)).__name__ == "RedisStorage"


@pytest.mark.parametrize("url", ["memory://", "localhost:6379", "http://localhost", "memcached://localhost", "redis", "redis://localhost"])
def test_store_that_is_no_redis_is_refused_by_the_name_of_its_setting(url: str) -> None:
    with pytest.raises(InvalidSettings, match="RATE_LIMIT_STORE"):
        build(Settings(rate_limit_store=url))


def test_proxies_that_are_no_networks_are_refused_by_the_name_of_their_setting() -> None:
    with pytest.raises(InvalidSettings, match="GATEWAY_TRUSTED_PROXIES"):
        build(Settings(gateway_trusted_proxies=("proxy",)))


def test_fields_are_those_of_the_draft_and_of_marketplaces() -> None:
    quota = Limit("search_bytes", 1000, 400, 86400, 2592000, "content-bytes")
    held = Limit("ready_images", 10, 0, None)
    key = Limit("key", 10, 3, 1, 1)
    assert limit_fields([quota, held, key]) == {
        "RateLimit-Policy": '"search_bytes";q=1000;qu="content-bytes";w=2592000, "ready_images";q=10, "key";q=10;w=1',
        "RateLimit": '"search_bytes";r=400;t=86400, "ready_images";r=0, "key";r=3;t=1',
        "X-RateLimit-Limit": "10",
        "X-RateLimit-Remaining": "3",
        "X-RateLimit-Reset": "1",
    }
    assert limit_fields([]) == {}


def test_refusal_says_which_limit_it_was() -> None:
    details = {"policy": "search_bytes", "limit": "5", "remaining": "1", "retry_after_seconds": "60"}
    assert limit_of(QuotaExceeded("why", **details)) == Limit("search_bytes", 5, 1, 60, None, "content-bytes")
    assert limit_of(NotFound()) is None
