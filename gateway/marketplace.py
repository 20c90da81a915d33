"""Requests that a marketplace's proxy passes on: who its user is, believed only with the secret that it and we share.

RapidAPI's proxy adds X-RapidAPI-Proxy-Secret, -User and -Subscription to what its users send, and keeps their keys, bills and quotas.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from multidict import CIMultiDictProxy

from mesh.errors import Forbidden

DEFAULT_PLAN: Final = "free"
_SECRET: Final = "X-RapidAPI-Proxy-Secret"  # noqa: S105
_USER: Final = "X-RapidAPI-User"
_SUBSCRIPTION: Final = "X-RapidAPI-Subscription"
MIN_SECRET_CHARACTERS: Final = 16


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A user of the marketplace, and the plan of ours that the subscription stands for."""

    user: str
    plan: str


class Marketplace:
    """Without a secret there is none, and what its headers say is nobody's word."""

    def __init__(self, secrets: Sequence[str], plans: Mapping[str, str]) -> None:
        self._secrets = [secret.encode() for secret in secrets]
        self._plans = {subscription.upper(): plan for subscription, plan in plans.items()}

    @property
    def is_open(self) -> bool:
        return bool(self._secrets)

    def subscriber(self, headers: CIMultiDictProxy[str]) -> Subscriber | None:
        """Nobody where the request did not come by the proxy; a secret that is not ours is refused."""
        given = headers.getall(_SECRET, [])
        if not self.is_open or not given:
            return None
        if len(given) > 1 or not self._is_ours(given[0]):
            raise Forbidden("the marketplace's secret is not the one that was agreed on")
        users = headers.getall(_USER, [])
        if len(users) != 1 or not users[0]:
            raise Forbidden("the marketplace does not say for whom it asks")
        return Subscriber(users[0], self._plans.get(headers.get(_SUBSCRIPTION, "").upper(), DEFAULT_PLAN))

    def _is_ours(self, secret: str) -> bool:
        """As long as the comparison takes it says nothing, neither of how much is right nor of which one."""
        given = secret.encode(errors="surrogateescape")
        return any([hmac.compare_digest(given, known) for known in self._secrets])  # noqa: C419


def read_plans(pairs: Sequence[str]) -> dict[str, str]:
    """`SUBSCRIPTION=plan` each; raises ValueError."""
    plans = dict(pair.partition("=")[::2] for pair in pairs)
    if not all(plans) or not all(plans.values()) or len(plans) < len(pairs):
        raise ValueError("must be pairs such as BASIC=free,PRO=business, each subscription once")
    return plans
