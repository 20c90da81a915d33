"""Who comes in, before anything of a request is read or done: its address, its key, the key's rate, its grant; a pair and a search also
whether the matcher has room for it, a pair its month.

What is refused here costs nothing.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

from aiohttp import web
from prometheus_client import Gauge

from gateway.access import Access, Caller
from gateway.client_address import ClientAddresses
from gateway.rate_limits import LIMITED, Limit, Rate, RateLimits, limit_fields, limit_of
from gateway.turnstile import Turnstile
from gateway.usage_client import UsageClient
from mesh import call
from mesh.errors import Forbidden, MeshError, QuotaExceeded, RateLimited
from mesh.media import MediaType

_log = logging.getLogger(__name__)

_LIMITS: Final[web.RequestKey[list[Limit]]] = web.RequestKey("limits", list)
_RATES: Final = {"address": 1, "key": 2, "user": 2, "demo": 3, "demo_address": 4}
"""In the order of an answer's fields, after the quotas."""
_UNCOUNT_SECONDS: Final = 3.0

BORNE = Gauge(
    "mediamesh_gateway_matcher_capacity",
    "Requests at once that a matcher bears of this gateway; infinite: not known yet.",
    ["media_type", "work"],
)

Work = tuple[Literal["match", "search"], MediaType]
"""What a matcher is asked for; a search costs it less than a pair, so how many it bears is learnt of each."""


@dataclass(frozen=True, slots=True)
class DemoRates:
    """Of the demo: what one address may ask, and what all of them may together."""

    of_address: Rate
    of_everyone: Rate


class Admission:
    def __init__(
        self,
        access: Access,
        usage: UsageClient,
        rates: RateLimits,
        addresses: ClientAddresses,
        *,
        address_rate: Rate | None,
        demo_rates: DemoRates,
    ) -> None:
        self._access = access
        self._usage = usage
        self._rates = rates
        self._addresses = addresses
        self._address_rate = address_rate
        self._demo_rates = demo_rates
        self._turnstiles: dict[Work, Turnstile] = {(work, medium): Turnstile() for medium in MediaType for work in ("match", "search")}
        for (work, medium), turnstile in self._turnstiles.items():
            BORNE.labels(medium, work).set_function(partial(getattr, turnstile, "borne"))

    @asynccontextmanager
    async def admit(
        self, request: web.Request, scope: str | None, *, asks_for_key: bool, is_pair: bool, work: Work | None = None
    ) -> AsyncIterator[Caller]:
        """Enter it for a request, before its body is read: whose it is, where they may. `work` is what it asks of a matcher."""
        await self._limit_address(request)
        if asks_for_key:
            caller = await self._access.caller(request.headers)
            await self._check(request, caller, scope, is_pair=is_pair)
        else:
            caller = await self._access.known_caller(request.headers) if is_pair else Caller()
        with self._room(work, caller.key_id or caller.user or self._address(request)):
            if not asks_for_key or not is_pair or not caller.project:
                yield caller
                return
            async with self._counted(request, caller):
                yield caller

    async def _check(self, request: web.Request, caller: Caller, scope: str | None, *, is_pair: bool) -> None:
        """What they may do, and how often."""
        if caller.rate is not None:
            policy, name = ("key", caller.key_id) if caller.project else ("user", caller.user)
            note_limits(request, [await self._rates.hit(policy, name, caller.rate)])
        if scope is not None:
            caller.require(scope)
        elif not is_pair and not caller.project:
            raise Forbidden("this needs an API key: a marketplace's subscription has no library")

    @asynccontextmanager
    async def admit_to_demo(self, request: web.Request, work: Work | None) -> AsyncIterator[Caller]:
        """Enter it for whoever it is, up to the day's limits; one address cannot use up what all have together."""
        await self._limit_address(request)
        note_limits(request, [await self._rates.hit("demo_address", self._address(request), self._demo_rates.of_address)])
        note_limits(request, [await self._rates.hit("demo", "everyone", self._demo_rates.of_everyone)])
        with self._room(work, self._address(request)):
            yield Caller()

    def _room(self, work: Work | None, caller: str) -> AbstractContextManager[None]:
        return self._turnstiles[work].pass_through(caller) if work else nullcontext()

    @asynccontextmanager
    async def _counted(self, request: web.Request, caller: Caller) -> AsyncIterator[None]:
        """A call of a pair endpoint, which counts unless it fails through our fault."""
        try:
            calls, month_start = await self._usage.count_call(caller.project)
        except QuotaExceeded as refusal:
            # Those clients know one code for it.
            raise RateLimited(refusal.message, **refusal.details) from refusal
        note_limits(request, calls)
        try:
            yield
        except Exception as problem:
            if _is_ours(problem):
                await self._uncount(caller.project, month_start)
            raise

    async def _limit_address(self, request: web.Request) -> None:
        if self._address_rate is not None:
            note_limits(request, [await self._rates.hit("address", self._address(request), self._address_rate)])

    def _address(self, request: web.Request) -> str:
        return self._addresses.name(request.remote, request.headers.getall("X-Forwarded-For", []))

    async def _uncount(self, project: str, month_start: float) -> None:
        # The time of the call itself may be what ran out.
        call.begin(call.request_id(), _UNCOUNT_SECONDS)
        try:
            await self._usage.uncount_call(project, month_start)
        except MeshError as problem:
            _log.warning("a call that failed stays counted", extra={"problem": problem.code})


def note_limits(request: web.Request, limits: Iterable[Limit]) -> None:
    """They go into the answer's fields, whatever it will be; the one of the key's rate stays the last."""
    request[_LIMITS] = sorted((*request.get(_LIMITS, []), *limits), key=lambda limit: _RATES.get(limit.policy, 0))


def answer_fields(request: web.Request, error: MeshError | None) -> dict[str, str]:
    """What the answer says of the limits that the request met; last, and so in X-RateLimit-*, the one that refused it."""
    limits = request.get(_LIMITS, [])
    refused = limit_of(error) if error else None
    if refused is not None:
        LIMITED.labels(refused.policy).inc()
        limits = [*(limit for limit in limits if limit.policy != refused.policy), refused]
    return limit_fields(limits)


def _is_ours(problem: Exception) -> bool:
    status = problem.http_status if isinstance(problem, MeshError) else problem.status if isinstance(problem, web.HTTPException) else 500
    return status >= 500
