"""One against many: the query's terms name candidates, and its own matcher compares it with each of them.

So a hit carries the score that the pair endpoint gives the same two files. Candidates are compared in the order of their votes,
batch by batch, until a whole batch holds no hit.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from prometheus_client import Histogram

from index_svc.access import Access
from index_svc.matchers import Matchers
from index_svc.plans import Quota
from index_svc.quotas import Quotas, Spending
from index_svc.ranking import DEFAULT_THRESHOLDS, is_hit, ranked
from index_svc.records import Fingerprint, Hit, Narrowing
from index_svc.store import postings as store
from index_svc.store.database import Database
from mesh.errors import InvalidRequest, NotFound
from mesh.media import MatchResult, MediaType

MAX_HITS: Final = 100
DEFAULT_HITS: Final = 20
BATCH: Final = 24
"""Of the edited pictures that score .85, 97.6 % stand among the first 24 candidates of 20,000, 98.3 % among the first 200."""

STAGE_SECONDS = Histogram("mediamesh_search_stage_seconds", "Time in each stage of a search.", ["media_type", "stage"])


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for, one of url and asset, and what counts as found."""

    media_type: MediaType
    url: str = ""
    asset: UUID | None = None
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
        limit, threshold = _checked_limit(query.limit), _checked_threshold(query.threshold, medium)
        async with self._database.transaction() as connection:
            await self._access.require_feature(connection, project, f"{medium}:search")
        async with self._quotas.search(project, is_downloading=query.asset is None) as spending:
            hits, timings = await self._find(project, query, threshold, spending)
        end = query.offset + limit
        return Found(ranked(hits)[query.offset : end], end if len(hits) > end else None, timings, spending.quotas)

    async def _find(self, project: UUID, query: Query, threshold: float, spending: Spending) -> tuple[list[Hit], dict[str, float]]:
        medium = query.media_type
        timings: dict[str, float] = {}
        with _timed(timings, medium, "fingerprint"):
            fingerprint = await self._fingerprint(project, query)
            await self._quotas.charge(spending, fingerprint.media_bytes)
            fingerprint = await self._matchers.search_terms(medium, fingerprint)
        with _timed(timings, medium, "candidates"):
            async with self._database.transaction() as connection:
                numbers = await store.find_candidates(connection, project, medium, fingerprint, query.narrowing, self._max_candidates)
        with _timed(timings, medium, "compare"):
            hits = [hit async for hit in self._hits(project, medium, fingerprint, numbers, threshold, query.min_coverage)]
        return hits, timings

    async def _fingerprint(self, project: UUID, query: Query) -> Fingerprint:
        if query.asset is None:
            return await self._matchers.fingerprint(query.media_type, query.url)
        async with self._database.transaction() as connection:
            stored = await store.read_fingerprint(connection, project, query.asset, query.media_type)
        if stored is None:
            raise NotFound(f"there is no such {query.media_type} asset that is ready")
        return stored

    async def _hits(
        self, project: UUID, medium: MediaType, fingerprint: Fingerprint, numbers: list[int], threshold: float, min_coverage: float
    ) -> AsyncIterator[Hit]:
        for start in range(0, len(numbers), BATCH):
            results = await self._compare(project, medium, fingerprint, numbers[start : start + BATCH])
            async with self._database.transaction() as connection:
                # Read last: what was deleted while it was being compared is no hit.
                assets = await store.read_ready(connection, project, list(results))
            hits = [Hit(assets[number], result) for number, result in results.items() if number in assets]
            found = [hit for hit in hits if is_hit(hit, threshold, min_coverage)]
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


def _checked_threshold(threshold: float | None, medium: MediaType) -> float:
    if threshold is None:
        return DEFAULT_THRESHOLDS[medium]
    if not 0.0 <= threshold <= 1.0:
        raise InvalidRequest("threshold must be from 0 to 1", field="threshold")
    return threshold


@contextmanager
def _timed(timings: dict[str, float], medium: MediaType, stage: str) -> Iterator[None]:
    """Milliseconds of a block, into the timings."""
    started = time.perf_counter()
    yield
    spent = time.perf_counter() - started
    timings[stage] = spent * 1000
    STAGE_SECONDS.labels(medium, stage).observe(spent)
