"""What a plan grants and what a project has used of it, as plain values; pure. Months are UTC."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from index_svc.keys import MEDIA_SCOPES
from mesh.errors import InvalidRequest, QuotaExceeded
from mesh.media import MediaType

FEATURES: Final = MEDIA_SCOPES
"""What a plan can have or not, named as the scopes are."""
MAX_NAME_CHARACTERS: Final = 64
MAX_RATE: Final = 1_000_000
MAX_BURST_SECONDS: Final = 3600
_MAX_NUMBER: Final = 2**62


class Policy(StrEnum):
    """The quotas, as answers name them."""

    SEARCHES = "searches"
    SEARCH_BYTES = "search_bytes"
    CALLS = "calls"
    READY_IMAGES = "ready_images"
    READY_VIDEOS = "ready_videos"
    READY_AUDIO = "ready_audio"


READY_POLICY: Final = {
    MediaType.IMAGE: Policy.READY_IMAGES,
    MediaType.VIDEO: Policy.READY_VIDEOS,
    MediaType.AUDIO: Policy.READY_AUDIO,
}
_MESSAGES: Final = {
    Policy.SEARCHES: "the project has used up its {limit:,} searches of this month",
    Policy.SEARCH_BYTES: "the project has used {used:,} of its {limit:,} bytes of search processing of this month{more}",
    Policy.CALLS: "the project has used up its {limit:,} calls of this month",
    Policy.READY_IMAGES: "the project has as many images ready as its plan holds, {limit:,}: delete some, or change the plan",
    Policy.READY_VIDEOS: "the project has as many videos ready as its plan holds, {limit:,}: delete some, or change the plan",
    Policy.READY_AUDIO: "the project has as many sounds ready as its plan holds, {limit:,}: delete some, or change the plan",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """Where a number is None there is no limit."""

    name: str
    features: list[str] = field(default_factory=lambda: list(FEATURES))
    max_ready_images: int | None = None
    max_ready_videos: int | None = None
    max_ready_audio: int | None = None
    max_search_bytes: int | None = None
    max_searches: int | None = None
    max_calls: int | None = None
    search_soft_factor: float = 1.0
    requests_per_second: int | None = None
    burst_seconds: int = 1

    def checked(self) -> Plan:
        """Itself, where it makes sense."""
        if not 1 <= len(self.name) <= MAX_NAME_CHARACTERS or not self.name.isprintable():
            raise InvalidRequest(f"name must have from 1 to {MAX_NAME_CHARACTERS} printable characters", field="name")
        if unknown := sorted(set(self.features) - set(FEATURES)):
            raise InvalidRequest(f"{unknown[0][:64]} is no feature", field="features")
        for name in ("max_ready_images", "max_ready_videos", "max_ready_audio", "max_search_bytes", "max_searches", "max_calls"):
            if (getattr(self, name) or 0) > _MAX_NUMBER:
                raise InvalidRequest(f"{name} is too large", field=name)
        if not (math.isfinite(self.search_soft_factor) and 1.0 <= self.search_soft_factor <= 1000.0):
            raise InvalidRequest("search_soft_factor must be from 1 to 1000", field="search_soft_factor")
        check_rate(self.requests_per_second, self.burst_seconds)
        return self

    @property
    def hard_max_searches(self) -> int | None:
        """Where searches are refused."""
        return None if self.max_searches is None else math.floor(self.max_searches * self.search_soft_factor)

    def max_ready(self, medium: MediaType) -> int | None:
        return {
            MediaType.IMAGE: self.max_ready_images,
            MediaType.VIDEO: self.max_ready_videos,
            MediaType.AUDIO: self.max_ready_audio,
        }[medium]


def check_rate(requests_per_second: int | None, burst_seconds: int) -> None:
    if requests_per_second is not None and not 1 <= requests_per_second <= MAX_RATE:
        raise InvalidRequest(f"requests_per_second must be from 1 to {MAX_RATE}", field="requests_per_second")
    if not 1 <= burst_seconds <= MAX_BURST_SECONDS:
        raise InvalidRequest(f"burst_seconds must be from 1 to {MAX_BURST_SECONDS}", field="burst_seconds")


@dataclass(frozen=True, slots=True)
class Month:
    """From the first instant of one to that of the next."""

    start: datetime
    end: datetime


def month_of(moment: datetime) -> Month:
    start = moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    is_december = start.month == 12
    return Month(start, start.replace(year=start.year + is_december, month=1 if is_december else start.month + 1))


@dataclass(frozen=True, slots=True)
class Quota:
    """How much of one thing is used; `limit` is where it is refused, `soft_limit` what the plan calls it where that is less."""

    policy: Policy
    used: int
    limit: int | None
    soft_limit: int | None = None
    resets_at: datetime | None = None

    @property
    def is_used_up(self) -> bool:
        return self.limit is not None and self.used >= self.limit

    def exceeded(self, now: datetime, more: str = "") -> QuotaExceeded:
        """The refusal; only what starts anew says when."""
        limit = self.limit or 0
        message = _MESSAGES[self.policy].format(used=self.used, limit=limit, more=more)
        details = {"policy": str(self.policy), "limit": str(limit), "remaining": str(max(0, limit - self.used))}
        if self.resets_at is not None:
            details["retry_after_seconds"] = str(max(1, math.ceil((self.resets_at - now).total_seconds())))
        return QuotaExceeded(message, **details)


@dataclass(frozen=True, slots=True)
class Usage:
    """A project's month so far, and what it has ready."""

    plan: Plan
    month: Month
    quotas: dict[Policy, Quota]


def usage_of(plan: Plan, month: Month, counted: dict[str, int], ready: dict[MediaType, int]) -> Usage:
    end = month.end
    monthly = [
        Quota(Policy.SEARCHES, counted["searches"], plan.hard_max_searches, plan.max_searches, end),
        Quota(Policy.SEARCH_BYTES, counted["search_bytes"], plan.max_search_bytes, resets_at=end),
        Quota(Policy.CALLS, counted["calls"], plan.max_calls, resets_at=end),
    ]
    held = [Quota(READY_POLICY[medium], ready.get(medium, 0), plan.max_ready(medium)) for medium in MediaType]
    return Usage(plan, month, {quota.policy: quota for quota in (*monthly, *held)})
