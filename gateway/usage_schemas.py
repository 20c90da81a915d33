"""The public JSON of what a project may use and has used, as types."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType


class PeriodBody(msgspec.Struct, kw_only=True):
    """A month of UTC; its end is the next one's start."""

    start: str
    end: str


class QuotaBody(msgspec.Struct, kw_only=True):
    """Without a limit, `limit` and `remaining` are null; what does not start anew has no `reset`."""

    used: int
    limit: int | None
    remaining: int | None
    reset: str | None
    # Of searches, where the plan lets them go on beyond what it names.
    soft_limit: int | UnsetType = UNSET


class QuotasBody(msgspec.Struct, kw_only=True):
    """Named as `error.details.policy` names them."""

    searches: QuotaBody
    search_bytes: QuotaBody
    calls: QuotaBody
    ready_images: QuotaBody
    ready_videos: QuotaBody
    ready_audio: QuotaBody


class IndexedBody(msgspec.Struct, kw_only=True):
    """Assets that are ready."""

    image: int
    video: int
    audio: int


class RateBody(msgspec.Struct, kw_only=True):
    """So many requests in any so many seconds."""

    requests: int
    seconds: int


class UsageBody(msgspec.Struct, kw_only=True):
    """The answer of GET /v1/usage."""

    project_id: str
    plan: str
    period: PeriodBody
    quotas: QuotasBody
    indexed: IndexedBody
    features: list[str]
    # Of the key that asks; null: no limit.
    rate: RateBody | None
