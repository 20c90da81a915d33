"""What the services talk about, as plain values: fingerprints, options, results. mesh/wire.py turns them into protobuf."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

OUTLINE, DETAIL = 0, 1
"""The levels of a fingerprint's layers: cheap and global, local and dense."""


class MediaType(StrEnum):
    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"


class Confidence(StrEnum):
    NONE = "none"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Profile(StrEnum):
    GENERAL = "general"
    STOCK = "stock"
    ADVERSARIAL = "adversarial"


class Transforms(StrEnum):
    ALL = "all"
    NONE = "none"


class Include(StrEnum):
    REGIONS = "regions"
    TRANSFORM = "transform"
    COVERAGE = "coverage"
    HASHES = "hashes"
    AUDIO = "audio"


_NUMBER_BYTES: Final = 40
"""In a tuple: the place and the object."""
_REST_BYTES: Final = 1024


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A function of the media's bytes alone. `working` is what the next layer is made from; it never leaves the matcher."""

    media_type: MediaType
    algorithm: str
    version: int
    layers: dict[int, bytes]
    information: float
    hashes: dict[str, str] = field(default_factory=dict)
    terms: tuple[int, ...] = ()
    term_positions: tuple[int, ...] = ()
    duration_seconds: float = 0.0
    working: bytes = b""

    @property
    def size_bytes(self) -> int:
        """What it takes in a cache: a number of its own for each term, and for each of their positions."""
        numbers = len(self.terms) + len(self.term_positions)
        return sum(map(len, self.layers.values())) + len(self.working) + _NUMBER_BYTES * numbers + _REST_BYTES


@dataclass(frozen=True, slots=True)
class MatchOptions:
    threshold: float | None = None
    profile: Profile = Profile.GENERAL
    transforms: Transforms = Transforms.ALL
    include: frozenset[Include] = frozenset()


@dataclass(frozen=True, slots=True)
class Segment:
    """Seconds into each asset."""

    source_start: float
    source_end: float
    target_start: float
    target_end: float
    score: float


@dataclass(frozen=True, slots=True)
class Box:
    """Fractions of the upright picture's width and height, from its upper left corner."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Region:
    """The same content in both pictures."""

    source: Box
    target: Box
    score: float


@dataclass(frozen=True, slots=True)
class Transform:
    """What was done to the source to make the target: mirrored, then turned clockwise, then scaled.

    `speed`, of films: above 1 where the target is faster, None where there is no time."""

    mirrored: bool = False
    rotation_degrees: float = 0.0
    scale: float = 1.0
    matrix: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    crop: Box | None = None
    speed: float | None = None


@dataclass(frozen=True, slots=True)
class SoundTransform:
    """What was done to the source's sound to make the target's: higher (above 0) or lower, faster (above 1) or slower."""

    pitch_semitones: float = 0.0
    tempo: float = 1.0


@dataclass(frozen=True, slots=True)
class Coverage:
    """The share of each asset's content that was found in the other."""

    source: float
    target: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """What comparing two fingerprints finds, before any cutoff: a calibrated score and its evidence."""

    score: float
    segments: tuple[Segment, ...] = ()
    regions: tuple[Region, ...] = ()
    transform: Transform | None = None
    sound_transform: SoundTransform | None = None
    coverage: Coverage = Coverage(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Provenance:
    """What was compared: the kind of both fingerprints, and the hashes that each carries anyway."""

    algorithm: str
    version: int
    source: dict[str, str]
    target: dict[str, str]


@dataclass(frozen=True, slots=True)
class MatchResult:
    """The envelope that every medium answers with."""

    match: bool
    confidence: Confidence
    similarity_score: float
    processing_time_ms: int
    media_type: MediaType
    matched_segments: tuple[Segment, ...] = ()
    regions: tuple[Region, ...] = ()
    transform: Transform | None = None
    sound_transform: SoundTransform | None = None
    coverage: Coverage | None = None
    hashes: tuple[dict[str, str], dict[str, str]] | None = None
    timings: dict[str, float] = field(default_factory=dict)
    provenance: Provenance | None = None
