"""How many requests in how many seconds, and how answers say so: the library `limits`, in memory or on a Redis for several gateways.

Fields: draft-ietf-httpapi-ratelimit-headers, and X-RateLimit-* beside them, as marketplaces have them.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from limits import RateLimitItemPerSecond
from limits.aio.storage import RedisStorage, Storage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.errors import ConfigurationError, StorageError
from prometheus_client import Counter

from gateway.moving_windows import MovingWindows
from mesh.errors import MeshError, RateLimited

_log = logging.getLogger(__name__)

LIMITED = Counter("mediamesh_http_limited_total", "Requests refused with 429.", ["policy"])

_NAMESPACE: Final = "mediamesh"
_SCHEMES: Final = ("redis", "rediss", "redis+unix")
_STORE_SECONDS: Final = 1.5
_CONNECTIONS: Final = 8
_STORE_PAUSE_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in any so many seconds."""

    requests: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit and how far it is: what an answer says of it."""

    policy: str
    limit: int
    remaining: int
    reset_seconds: int | None
    window_seconds: int | None = None
    unit: str = ""
    """Empty: requests."""


class RateLimits:
    """Where the store is away each gateway counts for itself until it is back: never without a limit."""

    def __init__(self, store_url: str = "", local: Storage | None = None) -> None:
        self._local = MovingWindowRateLimiter(local or MovingWindows())
        self._shared = MovingWindowRateLimiter(open_store(store_url)) if store_url else None
        self._shared_from = 0.0
        self._is_away = False

    async def hit(self, policy: str, name: str, rate: Rate) -> Limit:
        """Counts a request of that name; raises RateLimited, and counts nothing, where it is one too many."""
        item = RateLimitItemPerSecond(rate.requests, rate.seconds, _NAMESPACE)
        is_allowed, reset, remaining = await self._hit(item, policy, name)
        reset_seconds = min(max(1, math.ceil(reset - time.time())), rate.seconds)
        if is_allowed:
            return Limit(policy, rate.requests, remaining, reset_seconds, rate.seconds)
        raise RateLimited(
            f"more than {rate.requests} requests in {rate.seconds} s",
            policy=policy,
            limit=str(rate.requests),
            remaining="0",
            window_seconds=str(rate.seconds),
            retry_after_seconds=str(reset_seconds),
        )

    async def _hit(self, item: RateLimitItemPerSecond, policy: str, name: str) -> tuple[bool, float, int]:
        if self._shared is not None and time.monotonic() >= self._shared_from:
            try:
                async with asyncio.timeout(_STORE_SECONDS):
                    outcome = await _ask(self._shared, item, policy, name)
            except (StorageError, OSError, TimeoutError) as problem:
                self._shared_from = time.monotonic() + _STORE_PAUSE_SECONDS
                if not self._is_away:
                    _log.warning("the store of rate limits is away, counting here", extra={"problem": type(problem).__name__})
                self._is_away = True
            else:
                self._is_away = False
                return outcome
        return await _ask(self._local, item, policy, name)


async def _ask(limiter: MovingWindowRateLimiter, item: RateLimitItemPerSecond, policy: str, name: str) -> tuple[bool, float, int]:
    is_allowed = await limiter.hit(item, policy, name)
    stats = await limiter.get_window_stats(item, policy, name)
    return is_allowed, stats.reset_time, max(0, stats.remaining)


def open_store(url: str) -> Storage:
    """A Redis by its URL; raises ValueError where it is none. Nothing is dialled before it is asked."""
    if urlsplit(url).scheme not in _SCHEMES:
        raise ValueError(f"must be empty, or a URL that begins with {', '.join(f'{scheme}://' for scheme in _SCHEMES)}")
    # As dear to import as all the rest of the gateway, and most have none.
    from redis.asyncio import BlockingConnectionPool  # noqa: PLC0415

    try:
        # A burst waits for a connection that is there: opening one for each of its requests takes longer.
        pool = BlockingConnectionPool.from_url(url.replace("redis+unix:", "unix:"), max_connections=_CONNECTIONS, timeout=_STORE_SECONDS)
        options: dict[str, Any] = {"connection_pool": pool}
        return RedisStorage(f"async+{url}", wrap_exceptions=True, implementation="redispy", key_prefix=_NAMESPACE, **options)
    except ConfigurationError as problem:
        # It would name the location, which may be a password.
        raise ValueError("must name a host and a port, such as redis://127.0.0.1:6379/0") from problem


def limit_of(error: MeshError) -> Limit | None:
    """What a 429 says of the limit that was exceeded."""
    details = error.details
    if error.http_status != 429 or not details.keys() >= {"policy", "limit", "remaining"}:
        return None
    wait, window = details.get("retry_after_seconds"), details.get("window_seconds")
    return Limit(
        policy=details["policy"],
        limit=int(details["limit"]),
        remaining=int(details["remaining"]),
        reset_seconds=int(wait) if wait else None,
        window_seconds=int(window) if window else None,
        unit=unit_of(details["policy"]),
    )


def unit_of(policy: str) -> str:
    return "content-bytes" if policy == "search_bytes" else ""


def limit_fields(limits: Sequence[Limit]) -> dict[str, str]:
    """The fields of an answer; X-RateLimit-* can speak of one limit only, the last."""
    if not limits:
        return {}
    decisive = limits[-1]
    fields = {
        "RateLimit-Policy": ", ".join(map(_policy_item, limits)),
        "RateLimit": ", ".join(map(_limit_item, limits)),
        "X-RateLimit-Limit": str(decisive.limit),
        "X-RateLimit-Remaining": str(decisive.remaining),
    }
    if decisive.reset_seconds is not None:
        fields["X-RateLimit-Reset"] = str(decisive.reset_seconds)
    return fields


def _policy_item(limit: Limit) -> str:
    unit = f';qu="{limit.unit}"' if limit.unit else ""
    window = f";w={limit.window_seconds}" if limit.window_seconds is not None else ""
    return f'"{limit.policy}";q={limit.limit}{unit}{window}'


def _limit_item(limit: Limit) -> str:
    reset = f";t={limit.reset_seconds}" if limit.reset_seconds is not None else ""
    return f'"{limit.policy}";r={limit.remaining}{reset}'
