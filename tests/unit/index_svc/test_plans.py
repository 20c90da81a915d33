"""Months and quotas, without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from index_svc.plans import Plan, Policy, Quota, month_of, usage_of
from mesh.media import MediaType

NOVEMBER = (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
NOTHING = {"searches": 0, "search_bytes": 0, "calls": 0}


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 11, 1, tzinfo=UTC),
        datetime(2026, 11, 30, 23, 59, 59, 999999, UTC),
        datetime(2026, 12, 1, 13, 59, tzinfo=timezone(timedelta(hours=14))),
        datetime(2026, 10, 31, 12, tzinfo=timezone(timedelta(hours=-12))),
    ],
    ids=str,
)
def test_month_is_that_of_utc_wherever_the_clock_stands(moment: datetime) -> None:
    month = month_of(moment)
    assert (month.start, month.end) == NOVEMBER


@pytest.mark.parametrize(("year", "month", "days"), [(2026, 2, 28), (2028, 2, 29), (2026, 12, 31), (2026, 4, 30), (2027, 1, 31)], ids=str)
def test_every_month_has_its_days_and_ends_where_the_next_begins(year: int, month: int, days: int) -> None:
    found = month_of(datetime(year, month, 15, tzinfo=UTC))
    assert (found.end - found.start).days == days
    assert month_of(found.end).start == found.end


def test_refusal_says_when_the_month_ends_and_a_full_library_does_not() -> None:
    now = datetime(2026, 11, 30, 23, 59, 0, 1, UTC)
    monthly = Quota(Policy.SEARCHES, 7, 5, resets_at=NOVEMBER[1]).exceeded(now)
    assert monthly.details == {"policy": "searches", "limit": "5", "remaining": "0", "retry_after_seconds": "60"}
    assert Quota(Policy.READY_AUDIO, 5, 5).exceeded(now).details == {"policy": "ready_audio", "limit": "5", "remaining": "0"}


def test_plan_without_limits_is_never_used_up() -> None:
    counted = dict.fromkeys(NOTHING, 2**40)
    usage = usage_of(Plan("unlimited"), month_of(NOVEMBER[0]), counted, dict.fromkeys(MediaType, 2**40))
    assert not any(quota.is_used_up for quota in usage.quotas.values())


def test_plan_that_has_none_is_used_up_at_once() -> None:
    none = Plan("none", [], 0, 0, 0, 0, 0, 0)
    usage = usage_of(none, month_of(NOVEMBER[0]), NOTHING, {})
    assert all(quota.is_used_up for quota in usage.quotas.values())


def test_each_medium_has_a_place_of_its_own() -> None:
    plan = Plan("small", max_ready_images=1, max_ready_videos=2, max_ready_audio=3)
    usage = usage_of(plan, month_of(NOVEMBER[0]), NOTHING, {MediaType.IMAGE: 1, MediaType.VIDEO: 1, MediaType.AUDIO: 3})
    assert [policy for policy, quota in usage.quotas.items() if quota.is_used_up] == [Policy.READY_IMAGES, Policy.READY_AUDIO]
