"""One against many: the query's terms name candidates, and its own matcher compares it with each of them.

So a hit carries the score that the pair endpoint gives the same two files. Candidates are compared in the order of their votes,
batch by batch, until a whole batch holds no hit.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

from prometheus_client import Histogram

from index_svc.access import Access
from index_svc.hashes import LISTED, HashKind, similarity
from index_svc.matchers import Matchers
from index_svc.plans import Quota
from index_svc.quotas import Quotas
from index_svc.ranking import DEFAULT_THRESHOLDS, STRONG_COVERAGE, is_hit, is_strong, ranked
from index_svc.records import Fingerprint, Hit, Kind, Narrowing, ProjectSettings
from index_svc.store import access as access_store
from index_svc.store import hashes as hash_store
from index_svc.store import postings as store
from index_svc.store.database import Connection, Database
from matching.decision import confidence_label, is_match
from mesh.errors import FingerprintMismatch, InvalidRequest, NotFound
from mesh.media import Confidence, Coverage, MatchResult, MediaType

MAX_HITS: Final = 100
DEFAULT_HITS: Final = 20
BATCH: Final = 24
"""Of the edited pictures that score .85, 97.6 % stand among the first 24 candidates of 20,000, 98.3 % among the first 200."""

MAX_HASH_HITS: Final = 1000
"""Of one kind, the nearest first; hits past these are not on any page."""

STAGE_SECONDS = Histogram("mediamesh_search_stage_seconds", "Time in each stage of a search.", ["media_type", "stage"])


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for, one of url, asset, hash and media, and what counts as found."""

    media_type: MediaType
    url: str = ""
    asset: UUID | None = None
    hash: tuple[HashKind, str] | None = None
    media: AsyncIterator[bytes] | None = None
    threshold: float | None = None
    min_coverage: float = 0.0
    limit: int = 0
    offset: int = 0
    narrowing: Narrowing = field(default_factory=Narrowing)


@dataclass(frozen=True, slots=True)
class Found:
    """A page of the ranked hits, where the next one begins (None: nowhere), the milliseconds of each stage, what is left of the quotas."""

    hits: list[Hit]
    next_offset: int | None
    timings: dict[str, float]
    quotas: list[Quota]


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of the query: a fingerprint, hashes by their kind, or both."""

    fingerprint: Fingerprint | None
    hashes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Cut:
    """What counts as found, and what as strong."""

    threshold: float
    min_coverage: float
    default_threshold: float
    strong_coverage: float


class Search:
    def __init__(self, database: Database, access: Access, quotas: Quotas, matchers: Matchers, max_candidates: int) -> None:
        self._database = database
        self._access = access
        self._quotas = quotas
        self._matchers = matchers
        self._max_candidates = max_candidates

    async def search(self, project: UUID, query: Query) -> Found:
        """What is allowed first, then what is counted, then the search itself."""
        medium = query.media_type
        limit = _checked_limit(query.limit)
        timings: dict[str, float] = {}
        async with self._database.transaction() as connection:
            await self._access.require_feature(connection, project, f"{medium}:search")
            cut = await self._cut(connection, project, medium, query.threshold, query.min_coverage)
            there = await hash_store.kinds_there(connection, project, medium)
        is_downloading = query.asset is None and query.hash is None
        async with self._quotas.search(project, is_downloading=is_downloading) as spending:
            with _timed(timings, medium, "fingerprint"):
                known = await self._known(project, query, there)
                await self._quotas.charge(spending, known.fingerprint.media_bytes if known.fingerprint else 0)
            hits = await self._find(project, medium, known, query.narrowing, cut, timings, there)
        end = query.offset + limit
        return Found(ranked(hits)[query.offset : end], end if len(hits) > end else None, timings, spending.quotas)

    async def find_original(self, project: UUID, medium: MediaType, made: Fingerprint, collection: str, asset: UUID) -> UUID | None:
        """The ready asset of the collection that this one, which is no part of it yet, is a duplicate of."""
        async with self._database.transaction() as connection:
            cut = await self._cut(connection, project, medium, None, 0.0)
            there = await hash_store.kinds_there(connection, project, medium)
        narrowing = Narrowing(collections=[collection], without=asset)
        found = ranked(await self._find(project, medium, _Known(made, made.hashes), narrowing, cut, {}, there))
        return found[0].asset.id if found else None

    async def _cut(self, connection: Connection, project: UUID, medium: MediaType, threshold: float | None, min_coverage: float) -> _Cut:
        found = await access_store.find_project(connection, project)
        settings = found.settings if found else ProjectSettings()
        own = settings.threshold(medium)
        default = DEFAULT_THRESHOLDS[medium] if own is None else own
        strong_coverage = STRONG_COVERAGE if settings.strong_coverage is None else settings.strong_coverage
        return _Cut(_checked_threshold(threshold, default), min_coverage, default, strong_coverage)

    async def _known(self, project: UUID, query: Query, there: set[Kind]) -> _Known:
        """What there is to find others by."""
        if query.hash is not None:
            return _Known(None, dict([query.hash]))
        if query.asset is None:
            with_hashes = bool(there) and there != {await self._matchers.kind_if_known(query.media_type)}
            made = await self._matchers.fingerprint(query.media_type, query.media or query.url, with_hashes=with_hashes)
            return _Known(made, made.hashes)
        async with self._database.transaction() as connection:
            stored = await store.read_fingerprint(connection, project, query.asset, query.media_type)
            hashes = await hash_store.read_hashes(connection, project, query.asset, query.media_type)
        if stored is None and not hashes:
            raise NotFound(f"there is no such {query.media_type} asset that is ready")
        return _Known(stored, {str(kind): value for kind, value in hashes.items()})

    async def _find(
        self,
        project: UUID,
        medium: MediaType,
        known: _Known,
        narrowing: Narrowing,
        cut: _Cut,
        timings: dict[str, float],
        there: set[Kind],
    ) -> list[Hit]:
        """By its fingerprint among assets that have one of its kind, and by its hashes among all others."""
        hits: list[Hit] = []
        fingerprint = await self._with_search_terms(medium, known.fingerprint)
        if fingerprint is not None:
            with _timed(timings, medium, "candidates"):
                async with self._database.transaction() as connection:
                    numbers = await store.find_candidates(connection, project, medium, fingerprint, narrowing, self._max_candidates)
            with _timed(timings, medium, "compare"):
                hits = [hit async for hit in self._hits(project, medium, fingerprint, numbers, cut)]
        if fingerprint is None or there - {fingerprint.kind}:
            with _timed(timings, medium, "hashes"):
                hits += await self._hash_hits(project, medium, known, narrowing, cut, fingerprint.kind if fingerprint else None)
        return [replace(hit, is_strong=is_strong(hit, cut.default_threshold, cut.strong_coverage)) for hit in hits]

    async def _with_search_terms(self, medium: MediaType, known: Fingerprint | None) -> Fingerprint | None:
        """None: there is no fingerprint, or (of an asset that is not fingerprinted again yet) none that its matcher still compares."""
        if known is None:
            return None
        try:
            return await self._matchers.search_terms(medium, known)
        except FingerprintMismatch:
            return None

    async def _hash_hits(
        self, project: UUID, medium: MediaType, known: _Known, narrowing: Narrowing, cut: _Cut, compared: Kind | None
    ) -> list[Hit]:
        """Among what was not compared. Of media only what lists are exchanged in counts, of a hash every kind."""
        made = known.fingerprint
        best: dict[int, float] = {}
        async with self._database.transaction() as connection:
            for kind in HashKind if made is None else LISTED:
                if kind in known.hashes:
                    value = known.hashes[kind]
                    found = await hash_store.find_by_hash(
                        connection, project, medium, kind, value, narrowing, MAX_HASH_HITS, not_of=compared
                    )
                    for number, distance in found:
                        best[number] = max(best.get(number, 0.0), similarity(kind, distance))
            if made is not None:
                same = await hash_store.find_same_bytes(connection, project, medium, made.sha256, narrowing, MAX_HASH_HITS, not_of=compared)
                best.update(dict.fromkeys(same, 1.0))
            assets = await store.read_ready(connection, project, list(best))
        hits = [Hit(asset, _result(medium, best[number])) for number, asset in assets.items()]
        return [hit for hit in hits if is_hit(hit, cut.threshold, cut.min_coverage)]

    async def _hits(self, project: UUID, medium: MediaType, fingerprint: Fingerprint, numbers: list[int], cut: _Cut) -> AsyncIterator[Hit]:
        for start in range(0, len(numbers), BATCH):
            results = await self._compare(project, medium, fingerprint, numbers[start : start + BATCH])
            async with self._database.transaction() as connection:
                # Read last: what was deleted while it was being compared is no hit.
                assets = await store.read_ready(connection, project, list(results))
            hits = [Hit(assets[number], result) for number, result in results.items() if number in assets]
            found = [hit for hit in hits if is_hit(hit, cut.threshold, cut.min_coverage)]
            for hit in found:
                yield hit
            if not found:
                return

    async def _compare(self, project: UUID, medium: MediaType, fingerprint: Fingerprint, numbers: list[int]) -> dict[int, MatchResult]:
        async with self._database.transaction() as connection:
            payloads = await store.read_payloads(connection, project, numbers)
        there = [number for number in numbers if number in payloads]
        results = await self._matchers.compare(medium, fingerprint.payload, [payloads[number] for number in there])
        return {number: result for number, result in zip(there, results, strict=True) if result is not None}


def _checked_limit(limit: int) -> int:
    if limit > MAX_HITS:
        raise InvalidRequest(f"limit must be from 1 to {MAX_HITS}", field="limit")
    return limit or DEFAULT_HITS


def _checked_threshold(threshold: float | None, default: float) -> float:
    if threshold is None:
        return default
    if not 0.0 <= threshold <= 1.0:
        raise InvalidRequest("threshold must be from 0 to 1", field="threshold")
    return threshold


def _result(medium: MediaType, score: float) -> MatchResult:
    """What a hash can say: how alike the whole is, and nothing of where."""
    return MatchResult(
        match=is_match(medium, score),
        confidence=Confidence(confidence_label(medium, score)),
        similarity_score=score,
        processing_time_ms=0,
        media_type=medium,
        coverage=Coverage(1.0, 1.0),
    )


@contextmanager
def _timed(timings: dict[str, float], medium: MediaType, stage: str) -> Iterator[None]:
    """Milliseconds of a block, into the timings."""
    started = time.perf_counter()
    yield
    spent = time.perf_counter() - started
    timings[stage] = spent * 1000
    STAGE_SECONDS.labels(medium, stage).observe(spent)
