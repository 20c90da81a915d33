"""What was decided, as plain values: one answer, and which of them are asked for; pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mesh.media import Confidence, MediaType


@dataclass(frozen=True, slots=True)
class Decision:
    """One pair, or one search with its hits (asset and score; None: a pair). Hashes are hexadecimal, empty where they are not known."""

    request_id: str
    endpoint: str
    media_type: MediaType
    score: float | None
    confidence: Confidence
    is_match: bool
    threshold: float
    profile: str = ""
    policy: str = ""
    lane: str = ""
    source_sha256: str = ""
    target_sha256: str = ""
    source_pdq: str = ""
    target_pdq: str = ""
    algorithm: str = ""
    version: int = 0
    hits: tuple[tuple[UUID, float], ...] | None = None
    # Once it is written.
    number: int = 0
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DecisionFilter:
    """Those that are set must hold."""

    since: datetime | None = None
    until: datetime | None = None
    endpoint: str = ""
    media_type: MediaType | None = None
    is_match: bool | None = None
    policy: str = ""
    lane: str = ""
    request_id: str = ""
    min_score: float | None = None
