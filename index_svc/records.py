"""What the index speaks of, as plain values: projects, keys, assets, jobs, what a matcher made of a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

from mesh.media import MatchResult, MediaType

MEDIUM_NUMBER: Final = {MediaType.IMAGE: 1, MediaType.VIDEO: 2, MediaType.AUDIO: 3}
"""As the tables have them; never given anew."""
MEDIUM: Final = {number: medium for medium, number in MEDIUM_NUMBER.items()}


class AssetStatus(StrEnum):
    """pending → processing → ready | failed; back to pending where the matcher was away, or by a retry of what failed."""

    PENDING = "pending"
    PROCESSING = "processing"
    READY = "ready"
    FAILED = "failed"


class JobKind(StrEnum):
    """What a job is about: one asset, the rows of a file, or assets that are fingerprinted again."""

    ASSET = "asset"
    CSV = "csv"
    ZIP = "zip"
    REFINGERPRINT = "refingerprint"


class OnDuplicate(StrEnum):
    """What happens to an asset that its collection has already."""

    INDEX = "index"
    SKIP = "skip"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class ProjectSettings:
    """What a project sets for itself; None: the product's own."""

    store_media: bool = False
    media_days: int | None = None
    image_threshold: float | None = None
    audio_threshold: float | None = None
    video_threshold: float | None = None
    strong_coverage: float | None = None
    decision_log: bool = False
    decision_days: int | None = None

    def threshold(self, medium: MediaType) -> float | None:
        """Of searches that name none."""
        return {MediaType.IMAGE: self.image_threshold, MediaType.AUDIO: self.audio_threshold, MediaType.VIDEO: self.video_threshold}[medium]


@dataclass(frozen=True, slots=True)
class Project:
    id: UUID
    name: str
    plan: str
    created_at: datetime
    settings: ProjectSettings = ProjectSettings()


@dataclass(frozen=True, slots=True)
class Key:
    """Everything about a key but its secret."""

    id: str
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    # Its own rate instead of the plan's.
    requests_per_second: int | None = None
    burst_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """What a valid key allows: so many requests in any so many seconds (0: as many as it likes), and what its plan has."""

    project: UUID
    key_id: str
    scopes: list[str]
    rate_requests: int = 0
    rate_seconds: int = 0
    features: list[str] = field(default_factory=list)
    # What is decided is to be recorded.
    logs_decisions: bool = False
    # Of the project's profile `default`.
    default_cutoffs: dict[MediaType, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AssetDraft:
    """What a client says of an asset."""

    media_type: MediaType
    url: str
    name: str
    collection: str
    owner: str
    metadata: dict[str, Any]
    ttl_seconds: int | None = None
    on_duplicate: OnDuplicate = OnDuplicate.INDEX
    # Of what was uploaded, where there is no URL.
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Asset:
    id: UUID
    number: int
    name: str
    media_type: MediaType
    status: AssetStatus
    error_code: str | None
    error_message: str | None
    collection: str
    owner: str
    metadata: dict[str, Any]
    created_at: datetime
    finished_at: datetime | None
    duplicate_of: UUID | None = None
    # Of a film: it is found by its sound track, too.
    is_heard: bool = False


@dataclass(frozen=True, slots=True)
class Media:
    """Bytes that were uploaded: their type by themselves, whatever was said of it."""

    id: UUID
    content_type: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Received:
    """Bytes that are there whole, and nobody's yet."""

    media: UUID
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class AssetFilter:
    """Those that are set must hold."""

    status: AssetStatus | None = None
    media_type: MediaType | None = None
    collection: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """`counts` by status, of the assets that are still there, of rows that are not read yet (pending) and of refused ones (failed)."""

    id: UUID
    number: int
    kind: JobKind
    media_type: MediaType | None
    total: int
    counts: dict[AssetStatus, int]
    asset_id: UUID | None
    error_code: str | None
    error_message: str | None
    created_at: datetime
    finished_at: datetime | None
    is_reading: bool = False
    is_cancelled: bool = False


@dataclass(frozen=True, slots=True)
class BulkJob:
    """A file of rows that is being read: where it is, what its sender may index, and how far it is read."""

    id: UUID
    project: UUID
    kind: JobKind
    source: UUID | None
    url: str | None
    sha256: str | None
    allowed: frozenset[MediaType]
    features: frozenset[str]
    read_to: int


@dataclass(frozen=True, slots=True)
class NewRow:
    """A row that becomes an asset."""

    line: int
    draft: AssetDraft
    file: str | None = None


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that does not, or a file without a row (`line` is None)."""

    number: int
    line: int | None
    file: str | None
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class JobRow:
    """A row as it is reported."""

    number: int
    line: int | None
    file: str | None
    status: AssetStatus
    asset_id: UUID | None
    media_type: MediaType | None
    name: str
    error_code: str | None
    error_message: str | None


class Kind(NamedTuple):
    """What a fingerprint is of; only those of one kind compare."""

    algorithm: str
    version: int


NO_KIND: Final = Kind("", 0)
"""Of what has no fingerprint."""


@dataclass(frozen=True, slots=True)
class VersionCount:
    """How many ready assets of a medium have fingerprints of one kind; NO_KIND: they were not listened to yet."""

    media_type: MediaType
    kind: Kind
    assets: int
    # Whose fingerprints; of films there are those of the sound tracks, too.
    through: MediaType


@dataclass(frozen=True, slots=True)
class Renewal:
    """An asset that is to be fingerprinted again: what it is now, and where its media may be had."""

    id: int
    job: UUID
    number: int
    asset: UUID
    project: UUID
    media_type: MediaType
    kind: Kind
    # Of a film's sound track; NO_KIND: it was not listened to yet. None: it is no film.
    sound_kind: Kind | None
    sha256: str
    url: str | None


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a matcher made of a file: `payload` is opaque, the terms and their positions (milliseconds) are what can be looked up."""

    algorithm: str
    version: int
    sha256: str
    payload: bytes
    terms: list[int]
    positions: list[int]
    # What was downloaded or came in for it; 0 of a stored one.
    media_bytes: int = 0
    # By their names; those of a blank picture's looks are left out, for they are alike for no reason.
    hashes: dict[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        return Kind(self.algorithm, self.version)


@dataclass(frozen=True, slots=True)
class SoundTrack:
    """What a matcher of this kind made of a film's sound; None: there is nothing to hear."""

    kind: Kind
    made: Fingerprint | None


@dataclass(frozen=True, slots=True)
class Narrowing:
    """Which assets a search is about."""

    collections: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    without: UUID | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    asset: Asset
    result: MatchResult
    is_strong: bool | None = None
    # Where the search names a policy.
    lane: str = ""
