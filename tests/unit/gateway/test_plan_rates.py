"""What a marketplace's user may ask a second, also while nobody can be asked about plans."""

from __future__ import annotations

import asyncio

import pytest

from gateway.plan_rates import PlanRates
from gateway.rate_limits import Rate
from mesh.errors import NotAvailable

FREE, PRO = Rate(10, 1), Rate(200, 2)


class Plans:
    """Of an index that can be taken away."""

    def __init__(self) -> None:
        self.rates: dict[str, Rate | None] = {"free": FREE, "pro": PRO, "unlimited": None}
        self.is_away = False
        self.asked = 0

    async def __call__(self) -> dict[str, Rate | None]:
        self.asked += 1
        if self.is_away:
            raise NotAvailable()
        return dict(self.rates)


async def test_rate_is_that_of_the_plan_and_a_plan_that_is_not_there_counts_as_free() -> None:
    rates = PlanRates(Plans())
    assert [await rates.of(plan) for plan in ("free", "pro", "unlimited", "gone")] == [FREE, PRO, None, FREE]


async def test_plans_are_asked_for_once_and_again_a_moment_later() -> None:
    plans = Plans()
    now = 100.0
    rates = PlanRates(plans, lambda: now)
    assert [await rates.of("pro") for _ in range(5)] == [PRO] * 5
    assert plans.asked == 1
    plans.rates["pro"], now = FREE, now + 2.0
    assert await rates.of("pro") == FREE
    assert plans.asked == 2


async def test_while_the_index_is_away_the_last_known_rate_holds() -> None:
    plans = Plans()
    now = 100.0
    rates = PlanRates(plans, lambda: now)
    assert await rates.of("pro") == PRO
    plans.is_away, now = True, now + 60.0
    assert await rates.of("pro") == PRO


async def test_before_any_plan_is_known_nobody_is_let_in_unlimited() -> None:
    plans = Plans()
    plans.is_away = True
    with pytest.raises(NotAvailable):
        await PlanRates(plans).of("pro")


async def test_mesh_without_an_index_has_no_plans_and_no_rate() -> None:
    assert await PlanRates(None).of("pro") is None


async def test_index_that_does_not_answer_holds_nobody_up_who_has_a_known_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.plan_rates._ASK_SECONDS", 0.01)
    now, silent = 100.0, False

    async def ask() -> dict[str, Rate | None]:
        if silent:
            await asyncio.Event().wait()
        return {"free": FREE, "pro": PRO}

    rates = PlanRates(ask, lambda: now)
    assert await rates.of("pro") == PRO
    now, silent = now + 60.0, True
    assert await rates.of("pro") == PRO
