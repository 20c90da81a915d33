"""What every matcher does, whatever its medium: fetch, fingerprint as deep as the pair needs, compare, decide.

The medium itself is a `Room`: pure functions that run in worker processes. The same two assets get the same score
whether they come as URLs, inline, or as stored fingerprints.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar, TypeVarTuple

from prometheus_client import Counter, Gauge, Histogram

from mesh import call
from mesh.errors import FingerprintMismatch, Internal, InvalidRequest, MeshError, Overloaded, UnsupportedMedia
from mesh.fetching import FetcherClient
from mesh.fingerprint_cache import FingerprintCache
from mesh.media import (
    DETAIL,
    OUTLINE,
    Comparison,
    Confidence,
    Fingerprint,
    Include,
    MatchOptions,
    MatchResult,
    MediaType,
    Provenance,
    Segment,
)
from mesh.media_file import MediaFile
from mesh.workers import WorkerPool

Left = TypeVar("Left")
Right = TypeVar("Right")
Outcome = TypeVar("Outcome")
Arguments = TypeVarTuple("Arguments")

STAGES: Final = ("fetch", "decode", "fingerprint")
"""Where the time of one side goes; comparing comes after both."""

SCORE_DIGITS: Final = 4
TIME_DIGITS: Final = 3

RESULTS = Counter("mediamesh_results_total", "Comparisons by how sure they came out.", ["media_type", "confidence"])
STAGE_SECONDS = Histogram(
    "mediamesh_stage_seconds", "Time in each stage: of a match on its slower side, of a fingerprint.", ["media_type", "stage"]
)
LOOKUPS = Counter(
    "mediamesh_fingerprint_cache_lookups_total", "Fingerprints looked for, by whether they were kept.", ["media_type", "outcome"]
)
CACHE_BYTES = Gauge("mediamesh_fingerprint_cache_bytes", "Fingerprints kept.", ["media_type"])

TASK_SECONDS: Final = 20.0
"""Of a processor: a file that takes a worker more than this is not an honest one."""


@dataclass(frozen=True)
class Room:
    """A medium: its name and the pure functions that know it, which a worker must be able to import."""

    media_type: MediaType
    algorithm: str
    version: int
    fingerprint: Callable[[str, int, Fingerprint | None], tuple[Fingerprint, dict[str, float]]]
    compare: Callable[[Fingerprint, Fingerprint, MatchOptions], Comparison | None]
    explicit_hashes: Callable[[str, Fingerprint], dict[str, str]]
    search_terms: Callable[[Fingerprint], Fingerprint]
    warm_up: Callable[[], None]
    is_match: Callable[..., bool]
    confidence_label: Callable[[str, float], str]


@dataclass
class _Asset:
    """One side of a pair on its way: its bytes, what is known of them, and where the time went."""

    media: MediaFile
    fingerprint: Fingerprint
    spent_ms: dict[str, float] = field(default_factory=dict)

    def add(self, spent_ms: dict[str, float]) -> None:
        for stage, milliseconds in spent_ms.items():
            self.spent_ms[stage] = self.spent_ms.get(stage, 0.0) + milliseconds


class Matcher:
    """The use case; stateless but for a cache that never changes an answer."""

    def __init__(self, room: Room, workers: WorkerPool, fetcher: FetcherClient, cache: FingerprintCache, max_under_way: int) -> None:
        self._room = room
        self._workers = workers
        self._fetcher = fetcher
        self._cache = cache
        self._max_under_way = max_under_way
        self._under_way = 0
        CACHE_BYTES.labels(room.media_type).set_function(lambda: cache.size_bytes)

    async def match(self, source_url: str, target_url: str, options: MatchOptions) -> MatchResult:
        """Both assets fetched and fingerprinted side by side, then compared."""
        with self.admission(), ExitStack() as files:
            source, target = await _both(
                self._take("source_url", source_url, files),
                self._take("target_url", target_url, files),
            )
            compared = time.perf_counter()
            comparison = await self._compare(source.fingerprint, target.fingerprint, options)
            compare_ms = _milliseconds_since(compared)
            if comparison is None:
                await _both(self._deepen("source_url", source), self._deepen("target_url", target))
                compared = time.perf_counter()
                comparison = await self._compare(source.fingerprint, target.fingerprint, options)
                compare_ms += _milliseconds_since(compared)
            hashes = None
            if Include.HASHES in options.include:
                hashes = await _both(self._hashes("source_url", source), self._hashes("target_url", target))
            timings = {stage: max(side.spent_ms.get(stage, 0.0) for side in (source, target)) for stage in (*STAGES, "processing")}
            processing_ms = timings.pop("processing") + compare_ms
            made = self._provenance(source.fingerprint, target.fingerprint)
            return self._result(comparison, options, hashes, processing_ms, timings | {"compare": compare_ms}, made)

    async def fetch(self, url: str) -> MediaFile:
        return await self._fetcher.fetch(url)

    async def fingerprint(self, media: MediaFile, max_level: int) -> tuple[Fingerprint, dict[str, float]]:
        """As deep as asked for, whatever more of it may be known already, and the milliseconds of each stage."""
        asset = await self._fingerprint(media, max_level)
        for stage in asset.spent_ms.keys() & set(STAGES):
            STAGE_SECONDS.labels(self._room.media_type, stage).observe(asset.spent_ms[stage] / 1000)
        known = asset.fingerprint
        layers = {level: layer for level, layer in known.layers.items() if level <= max_level}
        terms = (known.terms, known.term_positions) if max_level >= DETAIL else ((), ())
        return replace(known, layers=layers, terms=terms[0], term_positions=terms[1]), asset.spent_ms

    async def hashes(self, media: MediaFile, fingerprint: Fingerprint) -> dict[str, str]:
        """The hashes that others speak, of a file whose fingerprint is known."""
        known = replace(fingerprint, layers={}, terms=(), term_positions=(), working=b"")
        return await self._run(self._room.explicit_hashes, media.path, known)

    @property
    def kind(self) -> tuple[str, int]:
        """The algorithm and the version of what it makes."""
        return self._room.algorithm, self._room.version

    async def search_terms(self, known: Fingerprint) -> Fingerprint:
        """With the terms that an index is asked for instead of those that it keeps."""
        self._check_kind(known)
        return await self._run(self._room.search_terms, known)

    async def compare(self, query: Fingerprint, reference: Fingerprint, options: MatchOptions) -> MatchResult:
        """Two stored fingerprints: of this algorithm and version, and as deep as the pair needs."""
        self._check_kind(query)
        self._check_kind(reference)
        started = time.perf_counter()
        comparison = await self._compare(query, reference, options)
        spent_ms = _milliseconds_since(started)
        hashes = (query.hashes, reference.hashes) if Include.HASHES in options.include else None
        made = self._provenance(query, reference)
        return self._result(comparison, options, hashes, spent_ms, {"compare": spent_ms}, made)

    @contextmanager
    def admission(self) -> Iterator[None]:
        """Enter it for each piece of work, before its media come in: what would only wait is refused."""
        if self._under_way >= self._max_under_way or self._workers.expected_wait_seconds > call.remaining_seconds():
            raise Overloaded()
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    async def _take(self, field_name: str, url: str, files: ExitStack) -> _Asset:
        """Fetch one side and make its outline."""
        started = time.perf_counter()
        with _about(field_name):
            media = files.enter_context(await self._fetcher.fetch(url))
            fetch_ms = _milliseconds_since(started)
            asset = await self._fingerprint(media, OUTLINE)
        asset.add({"fetch": fetch_ms})
        return asset

    async def _deepen(self, field_name: str, asset: _Asset) -> None:
        """Add the layers that the outlines left open."""
        with _about(field_name):
            deeper = await self._fingerprint(asset.media, DETAIL, asset.fingerprint)
        asset.fingerprint = deeper.fingerprint
        asset.add(deeper.spent_ms)

    async def _fingerprint(self, media: MediaFile, max_level: int, known: Fingerprint | None = None) -> _Asset:
        cached = self._cache.get(media.sha256)
        is_kept = cached is not None and max(cached.layers) >= max_level
        LOOKUPS.labels(self._room.media_type, "hit" if is_kept else "miss").inc()
        if cached is not None and is_kept:
            return _Asset(media, cached)
        started = time.perf_counter()
        fingerprint, spent_ms = await self._run(self._room.fingerprint, media.path, max_level, known or cached)
        self._cache.put(media.sha256, fingerprint)
        return _Asset(media, fingerprint, {**spent_ms, "processing": _milliseconds_since(started)})

    async def _hashes(self, field_name: str, asset: _Asset) -> dict[str, str]:
        with _about(field_name):
            return await self.hashes(asset.media, asset.fingerprint)

    async def _compare(self, query: Fingerprint, reference: Fingerprint, options: MatchOptions) -> Comparison | None:
        # What the next layer would be made from is of no use to a comparison, and costly to hand over.
        query, reference = (replace(side, working=b"", terms=(), term_positions=()) for side in (query, reference))
        try:
            return await self._run(self._room.compare, query, reference, options)
        except UnsupportedMedia as problem:
            # Both were read without complaint: a worker that this cost its life is our failure.
            raise Internal() from problem

    async def _run(self, function: Callable[[*Arguments], Outcome], *arguments: *Arguments) -> Outcome:
        return await self._workers.run(function, *arguments, cpu_seconds=TASK_SECONDS, deadline=call.deadline())

    def _check_kind(self, fingerprint: Fingerprint) -> None:
        room = self._room
        if (fingerprint.media_type, fingerprint.algorithm, fingerprint.version) != (room.media_type, room.algorithm, room.version):
            raise FingerprintMismatch(
                f"{fingerprint.media_type} {fingerprint.algorithm} {fingerprint.version} does not compare with "
                f"{room.media_type} {room.algorithm} {room.version}"
            )

    def _result(
        self,
        comparison: Comparison | None,
        options: MatchOptions,
        hashes: tuple[dict[str, str], dict[str, str]] | None,
        processing_ms: float,
        timings: dict[str, float],
        provenance: Provenance,
    ) -> MatchResult:
        if comparison is None:
            raise InvalidRequest("this pair cannot be settled by outlines: send fingerprints with all their layers")
        medium, include = self._room.media_type, options.include
        score = published_score(comparison.score)
        confidence = Confidence(self._room.confidence_label(medium, score))
        RESULTS.labels(medium, confidence).inc()
        for stage, milliseconds in timings.items():
            STAGE_SECONDS.labels(medium, stage).observe(milliseconds / 1000)
        return MatchResult(
            match=self._room.is_match(medium, score, profile=options.profile, threshold=options.threshold),
            confidence=confidence,
            similarity_score=score,
            processing_time_ms=int(processing_ms),
            media_type=medium,
            matched_segments=published_segments(comparison.segments),
            regions=comparison.regions if Include.REGIONS in include else (),
            transform=comparison.transform if Include.TRANSFORM in include else None,
            sound_transform=comparison.sound_transform if Include.TRANSFORM in include else None,
            coverage=comparison.coverage if Include.COVERAGE in include else None,
            hashes=hashes,
            timings=timings,
            provenance=provenance,
        )

    def _provenance(self, source: Fingerprint, target: Fingerprint) -> Provenance:
        return Provenance(self._room.algorithm, self._room.version, source.hashes, target.hashes)


def published_score(score: float) -> float:
    """The score as every caller sees it: a number from 0 to 1, whatever the maths made of it."""
    return round(min(1.0, score), SCORE_DIGITS) if score > 0.0 else 0.0


def published_segments(segments: Iterable[Segment]) -> tuple[Segment, ...]:
    """In the source's order, to the millisecond."""
    rounded = (
        Segment(
            _published_time(segment.source_start),
            _published_time(segment.source_end),
            _published_time(segment.target_start),
            _published_time(segment.target_end),
            published_score(segment.score),
        )
        for segment in segments
    )
    return tuple(sorted(rounded, key=lambda segment: (segment.source_start, segment.target_start)))


def _published_time(seconds: float) -> float:
    return round(max(0.0, seconds), TIME_DIGITS)


async def _both(left: Coroutine[Any, Any, Left], right: Coroutine[Any, Any, Right]) -> tuple[Left, Right]:
    """Both at once; the first failure stops the other, and both have stopped when it is raised."""
    tasks = asyncio.create_task(left), asyncio.create_task(right)
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def _about(field_name: str) -> Iterator[None]:
    """Errors say which field of the request they are about."""
    try:
        yield
    except MeshError as error:
        raise error.of_field(field_name) from error


def _milliseconds_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
