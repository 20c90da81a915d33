"""Whom the marketplace is believed to ask for, and when it is not believed."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from gateway.marketplace import Marketplace, Subscriber, read_plans
from mesh.errors import Forbidden

OLD, NEW = "old-secret-of-the-proxy", "new-secret-of-the-proxy"
MARKETPLACE = Marketplace((OLD, NEW), {"PRO": "business"})


def headers(*pairs: tuple[str, str]) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict(pairs))


@pytest.mark.parametrize("secret", [OLD, NEW])
@pytest.mark.parametrize(("subscription", "plan"), [("PRO", "business"), ("pro", "business"), ("BASIC", "free"), ("", "free")])
def test_either_secret_is_believed(secret: str, subscription: str, plan: str) -> None:
    sent = headers(("x-rapidapi-proxy-secret", secret), ("X-RapidAPI-User", "ann"), ("X-RapidAPI-Subscription", subscription))
    assert MARKETPLACE.subscriber(sent) == Subscriber("ann", plan)


@pytest.mark.parametrize(
    "pairs",
    [
        [("X-RapidAPI-Proxy-Secret", "another-secret-altogether"), ("X-RapidAPI-User", "ann")],
        [("X-RapidAPI-Proxy-Secret", OLD[:-1]), ("X-RapidAPI-User", "ann")],
        [("X-RapidAPI-Proxy-Secret", ""), ("X-RapidAPI-User", "ann")],
        [("X-RapidAPI-Proxy-Secret", "\udcff\udcfe"), ("X-RapidAPI-User", "ann")],
        [("X-RapidAPI-Proxy-Secret", OLD), ("X-RapidAPI-Proxy-Secret", NEW), ("X-RapidAPI-User", "ann")],
        [("X-RapidAPI-Proxy-Secret", OLD)],
        [("X-RapidAPI-Proxy-Secret", OLD), ("X-RapidAPI-User", "ann"), ("X-RapidAPI-User", "bob")],
    ],
)
def test_other_secrets_and_unclear_users_are_refused(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(Forbidden) as refusal:
        MARKETPLACE.subscriber(headers(*pairs))
    assert OLD not in str(refusal.value)


def test_who_comes_past_the_proxy_is_nobody_it_knows() -> None:
    assert MARKETPLACE.subscriber(headers(("X-RapidAPI-User", "ann"), ("X-RapidAPI-Subscription", "PRO"))) is None


def test_without_a_secret_nothing_that_it_says_is_believed() -> None:
    sent = headers(("X-RapidAPI-Proxy-Secret", ""), ("X-RapidAPI-User", "ann"))
    assert Marketplace((), {}).subscriber(sent) is None


@pytest.mark.parametrize("pairs", [("BASIC",), ("=free",), ("BASIC=",), ("BASIC=free", "BASIC=business")])
def test_plans_that_are_no_pairs_are_refused(pairs: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="pairs"):
        read_plans(pairs)
