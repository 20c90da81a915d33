"""Whose request it is: the API key in one of three headers, asked of the index, remembered for a moment, and never logged."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from multidict import CIMultiDictProxy

from gateway.index_client import Grant, IndexClient
from gateway.marketplace import Marketplace
from gateway.plan_rates import PlanRates
from gateway.rate_limits import Rate
from mesh.errors import FeatureDisabled, Forbidden, InsufficientScope, Unauthorized
from mesh.media import MediaType

REMEMBERED_SECONDS: Final = 2.0
"""A revoked key ends everywhere within this and the time of a request; so long a changed plan or rate takes, too."""
_MAX_REMEMBERED: Final = 10_000
_MAX_KEY_CHARACTERS: Final = 200
_BEARER: Final = "bearer "
_OURS: Final = "mm_"
_BY_MARKETPLACE: Final = "this is reached through the marketplace only"
RAPIDAPI_KEY: Final = "x-rapidapi-key"
RAPIDAPI_HOST: Final = "x-rapidapi-host"
KEY_HEADERS: Final = ("Authorization", "X-API-Key", RAPIDAPI_KEY)
_FEATURES: Final = (":index", ":search")
"""Scopes that end so are what a plan has or has not, too."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose request it is: of a key's project, of a marketplace's user, or nobody's."""

    project: str = ""
    key_id: str = ""
    scopes: frozenset[str] = frozenset()
    features: frozenset[str] = frozenset()
    rate: Rate | None = None
    user: str = ""
    """The marketplace's name of them."""
    plan: str = ""
    """What their subscription stands for; a project's plan is the index's to know."""
    logs_decisions: bool = False
    """What it is answered is to be recorded first."""
    default_cutoffs: Mapping[MediaType, float] = field(default_factory=dict)
    """Its project's own, where a request names no profile."""

    def require(self, scope: str) -> None:
        """Refuses what the key may not do, and what the project's plan does not have."""
        if not self.project:
            raise Forbidden("this needs an API key: a marketplace's subscription has no library")
        if scope not in self.scopes:
            raise InsufficientScope(f"the key does not carry the scope {scope}", scope=scope)
        if scope.endswith(_FEATURES) and scope not in self.features:
            raise FeatureDisabled(f"the project's plan does not have {scope}", feature=scope)


@dataclass(frozen=True, slots=True)
class _Answer:
    grant: Grant | None
    until: float


class Access:
    """Keys that were asked about lately, as digests, and what they were found to be."""

    def __init__(
        self,
        index: IndexClient,
        marketplace: Marketplace,
        plan_rates: PlanRates,
        *,
        takes_keys: bool = True,
        rapidapi_host: str = "",
    ) -> None:
        self._index = index
        self._marketplace = marketplace
        self._plan_rates = plan_rates
        self._takes_keys = takes_keys
        self._rapidapi_host = rapidapi_host
        self._answers: OrderedDict[bytes, _Answer] = OrderedDict()

    async def caller(self, headers: CIMultiDictProxy[str]) -> Caller:
        """Who the marketplace says it is, else whose key the request carries."""
        if subscriber := self._marketplace.subscriber(headers):
            return Caller(user=subscriber.user, plan=subscriber.plan, rate=await self._plan_rates.of(subscriber.plan))
        if not self._takes_keys:
            raise Forbidden(_BY_MARKETPLACE if self._marketplace.is_open else "API keys are not taken here")
        if self._rapidapi_host and RAPIDAPI_KEY in headers and headers.getall(RAPIDAPI_HOST, []) != [self._rapidapi_host]:
            raise Forbidden(f"{RAPIDAPI_KEY} goes with {RAPIDAPI_HOST}: {self._rapidapi_host}")
        grant = await self._grant(presented_key(headers))
        return _caller(grant)

    async def known_caller(self, headers: CIMultiDictProxy[str]) -> Caller:
        """Where nobody is asked who they are: whose key it is that the request carries all the same, else nobody.

        What only looks like a key, such as a marketplace's, is none of ours; of one that is, nothing is guessed while the index is away.
        """
        if not self._takes_keys or not self._index.is_there or not carries_key(headers):
            return Caller()
        try:
            key = presented_key(headers)
            return _caller(await self._grant(key)) if key.startswith(_OURS) else Caller()
        except Unauthorized:
            return Caller()

    async def _grant(self, key: str) -> Grant:
        name = hashlib.sha256(key.encode(errors="surrogateescape")).digest()
        answer = self._answers.get(name)
        if answer is None or answer.until <= time.monotonic():
            # From before the question: what is revoked after it was answered is not remembered any longer for it.
            until = time.monotonic() + REMEMBERED_SECONDS
            answer = _Answer(await self._ask(key), until)
            self._answers[name] = answer
            self._answers.move_to_end(name)
            while len(self._answers) > _MAX_REMEMBERED:
                self._answers.popitem(last=False)
        if answer.grant is None:
            raise Unauthorized()
        return answer.grant

    async def _ask(self, key: str) -> Grant | None:
        if not key.isascii() or len(key) > _MAX_KEY_CHARACTERS:
            return None
        try:
            return await self._index.authenticate(key)
        except Unauthorized:
            return None


def _caller(grant: Grant) -> Caller:
    return Caller(
        grant.project,
        grant.key_id,
        grant.scopes,
        grant.features,
        grant.rate,
        logs_decisions=grant.logs_decisions,
        default_cutoffs=grant.default_cutoffs,
    )


def carries_key(headers: CIMultiDictProxy[str]) -> bool:
    """Whether it tries to show one, good or bad."""
    return any(name in headers for name in KEY_HEADERS)


def presented_key(headers: CIMultiDictProxy[str]) -> str:
    """The key of the request; those who send it under several names must mean one."""
    authorization = headers.getall("Authorization", [])
    found = {value[len(_BEARER) :].strip() for value in authorization if value[: len(_BEARER)].lower() == _BEARER}
    found |= {value.strip() for name in KEY_HEADERS[1:] for value in headers.getall(name, [])}
    found.discard("")
    if len(found) > 1:
        raise Unauthorized("the request carries more than one API key")
    if not found:
        raise Unauthorized("this needs an API key: Authorization: Bearer, X-API-Key or x-rapidapi-key")
    return found.pop()
