"""Several gateways that count together: on a Redis where the machine has one, else on one memory."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.moving_windows import MovingWindows
from gateway.rate_limits import Rate, RateLimits
from mesh.errors import RateLimited

REDIS = shutil.which("redis-server")
START_SECONDS = 20.0

Gateway = Callable[[], RateLimits]


@pytest.fixture(params=["memory", *(["redis"] if REDIS else [])])
def gateway(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Gateway]:
    """Makes one more gateway on the same store."""
    if request.param == "memory":
        windows = MovingWindows()
        yield lambda: RateLimits(local=windows)
        return
    assert REDIS is not None
    path = tmp_path / "redis.sock"
    command = [REDIS, "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        deadline = time.monotonic() + START_SECONDS
        while not path.exists():
            assert time.monotonic() < deadline
            assert server.poll() is None
        yield lambda: RateLimits(f"redis+unix://{path}")
        server.terminate()


async def passed(rates: RateLimits, rate: Rate, name: str) -> int:
    try:
        await rates.hit("key", name, rate)
    except RateLimited as refusal:
        assert refusal.details["policy"] == "key"
        assert 1 <= int(refusal.details["retry_after_seconds"]) <= rate.seconds
        return 0
    return 1


async def test_two_gateways_let_in_no_more_than_one(gateway: Gateway) -> None:
    gateways = gateway(), gateway()
    rate = Rate(10, 60)
    assert sum(await asyncio.gather(*(passed(gateways[at % 2], rate, "one") for at in range(100)))) == 10
    assert sum(await asyncio.gather(*(passed(gateways[at % 2], rate, "other") for at in range(100)))) == 10


async def test_what_is_left_is_known_to_both(gateway: Gateway) -> None:
    first, second = gateway(), gateway()
    assert [(await rates.hit("key", "one", Rate(5, 60))).remaining for rates in (first, second, first)] == [4, 3, 2]


async def test_changed_rate_holds_at_once(gateway: Gateway) -> None:
    rates = gateway()
    assert sum([await passed(rates, Rate(2, 60), "one") for _ in range(5)]) == 2
    assert sum([await passed(rates, Rate(4, 60), "one") for _ in range(5)]) == 4
