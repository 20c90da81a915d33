"""One against many: the query's terms name candidates, and its own matcher compares it with each of them.

So a hit carries the score that the pair endpoint gives the same two files. Candidates are compared in the order of their votes,
batch by batch, until a whole batch holds no hit.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from prometheus_client import Histogram

from index_svc.access import Access
from index_svc.decision import Decision
from index_svc.decision_log import DecisionLog
from index_svc.hashes import LISTED, HashKind, similarity
from index_svc.matchers import Matchers
from index_svc.plans import Quota
from index_svc.query import Known, Queries, Query
from index_svc.quotas import Quotas
from index_svc.ranking import DEFAULT_THRESHOLDS, STRONG_COVERAGE, is_hit, is_strong, ranked
from index_svc.records import Fingerprint, Hit, Kind, Narrowing, ProjectSettings
from index_svc.rule import DEFAULT
from index_svc.sources import Sources
from index_svc.store import access as access_store
from index_svc.store import hashes as hash_store
from index_svc.store import postings as store
from index_svc.store.database import Connection, Database
from index_svc.thresholds import Thresholds
from index_svc.ways import Way, ways
from matching.decision import confidence_label, is_match
from matching.thresholds.lanes import Policy
from mesh import call
from mesh.errors import FingerprintMismatch, InvalidRequest
from mesh.media import Confidence, Coverage, MatchResult, MediaType

MAX_HITS: Final = 100
DEFAULT_HITS: Final = 20
BATCH: Final = 24
"""Of the edited pictures that score .85, 97.6 % stand among the first 24 candidates of 20,000, 98.3 % among the first 200."""

MAX_HASH_HITS: Final = 1000
"""Of one kind, the nearest first; hits past these are not on any page."""

STAGE_SECONDS = Histogram("mediamesh_search_stage_seconds", "Time in each stage of a search.", ["media_type", "stage"])


@dataclass(frozen=True, slots=True)
class Found:
    """A page of the ranked hits, where the next one begins (None: nowhere), the milliseconds of each stage, what is left of the quotas."""

    hits: list[Hit]
    next_offset: int | None
    timings: dict[str, float]
    quotas: list[Quota]


@dataclass(frozen=True, slots=True)
class _Cut:
    """What counts as found, and what as strong; of which kinds the assets are that hashes may find."""

    threshold: float
    min_coverage: float
    default_threshold: float
    strong_coverage: float
    there: frozenset[Kind]
    profile: str = ""
    is_logged: bool = False


class Search:
    def __init__(
        self,
        database: Database,
        access: Access,
        quotas: Quotas,
        matchers: Matchers,
        sources: Sources,
        thresholds: Thresholds,
        log: DecisionLog,
        max_candidates: int,
    ) -> None:
        self._database = database
        self._access = access
        self._quotas = quotas
        self._matchers = matchers
        self._queries = Queries(database, matchers, sources)
        self._thresholds = thresholds
        self._log = log
        self._max_candidates = max_candidates

    async def search(self, project: UUID, query: Query) -> Found:
        """What is allowed first, then what is counted, then the search itself."""
        medium = query.media_type
        limit, taken = _checked_limit(query.limit), ways(medium, query.media_types, by_hash=query.hash is not None)
        timings: dict[str, float] = {}
        async with self._database.transaction() as connection:
            for each in dict.fromkeys([medium, *(way.media_type for way in taken)]):
                await self._access.require_feature(connection, project, f"{each}:search")
            cuts = [await self._asked_cut(connection, project, way, query) for way in taken]
            policy = await self._policy(connection, project, query.policy)
        is_downloading = query.source is not None
        async with self._quotas.search(project, is_downloading=is_downloading) as spending:
            with _timed(timings, medium, "fingerprint"):
                own = next((cut.there for way, cut in zip(taken, cuts, strict=True) if way.has_hashes), frozenset[Kind]())
                known = await self._queries.read(project, query, taken, own)
                await self._quotas.charge(spending, known.media_bytes)
            hits: list[Hit] = []
            for way, cut in zip(taken, cuts, strict=True):
                hits += await self._find(project, way, known, query.narrowing, cut, timings)
            end = query.offset + limit
            page = [_in_lane(hit, policy) for hit in ranked(hits)[query.offset : end]]
            if any(cut.is_logged for cut in cuts):
                await self._log.record(project, [_decision(query, _cut_of(page, taken, cuts), known, page, policy)])
        return Found(page, end if len(hits) > end else None, timings, spending.quotas)

    async def find_original(self, project: UUID, medium: MediaType, made: Fingerprint, collection: str, asset: UUID) -> UUID | None:
        """The ready asset of the collection that this one, which is no part of it yet, is a duplicate of."""
        (way,) = ways(medium, ())
        async with self._database.transaction() as connection:
            cut = await self._cut(connection, project, way, None, 0.0)
        narrowing = Narrowing(collections=[collection], without=asset)
        found = ranked(await self._find(project, way, Known({medium: made}, made.hashes), narrowing, cut, {}))
        return found[0].asset.id if found else None

    async def _asked_cut(self, connection: Connection, project: UUID, way: Way, query: Query) -> _Cut:
        """With the cutoff of the profile that the query names, where it sets no threshold."""
        threshold = query.threshold
        if query.profile:
            cutoff = await self._thresholds.cutoff(connection, project, query.profile, way.through)
            threshold = cutoff if threshold is None else threshold
        return await self._cut(connection, project, way, threshold, query.min_coverage)

    async def _policy(self, connection: Connection, project: UUID, name: str) -> Policy | None:
        return await self._thresholds.policy(connection, project, name) if name else None

    async def _cut(self, connection: Connection, project: UUID, way: Way, threshold: float | None, min_coverage: float) -> _Cut:
        found = await access_store.find_project(connection, project)
        settings = found.settings if found else ProjectSettings()
        own = await self._thresholds.default_cutoff(connection, project, way.through)
        known = (own, settings.threshold(way.through), DEFAULT_THRESHOLDS[way.through])
        default = next(threshold for threshold in known if threshold is not None)
        strong_coverage = STRONG_COVERAGE if settings.strong_coverage is None else settings.strong_coverage
        there = await hash_store.kinds_there(connection, project, way.media_type) if way.has_hashes else set()
        cutoff = _checked_threshold(threshold, default)
        return _Cut(cutoff, min_coverage, default, strong_coverage, frozenset(there), "" if own is None else DEFAULT, settings.decision_log)

    async def _find(self, project: UUID, way: Way, known: Known, narrowing: Narrowing, cut: _Cut, timings: dict[str, float]) -> list[Hit]:
        """By its fingerprint among assets that have one of its kind, and by its hashes among all others of its own medium."""
        hits: list[Hit] = []
        fingerprint = await self._with_search_terms(way.through, known.fingerprints.get(way.through))
        if fingerprint is not None:
            with _timed(timings, way.through, "candidates"):
                async with self._database.transaction() as connection:
                    numbers = await store.find_candidates(
                        connection, project, way.media_type, fingerprint, narrowing, self._max_candidates, through=way.through
                    )
            with _timed(timings, way.through, "compare"):
                hits = [hit async for hit in self._hits(project, way, fingerprint, numbers, cut)]
        if way.has_hashes and (fingerprint is None or cut.there - {fingerprint.kind}):
            with _timed(timings, way.through, "hashes"):
                hits += await self._hash_hits(project, way.media_type, known, narrowing, cut, fingerprint.kind if fingerprint else None)
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
        self, project: UUID, medium: MediaType, known: Known, narrowing: Narrowing, cut: _Cut, compared: Kind | None
    ) -> list[Hit]:
        """Among what was not compared. Of media only what lists are exchanged in counts, of a hash every kind."""
        made = known.fingerprints.get(medium)
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

    async def _hits(self, project: UUID, way: Way, fingerprint: Fingerprint, numbers: list[int], cut: _Cut) -> AsyncIterator[Hit]:
        for start in range(0, len(numbers), BATCH):
            results = await self._compare(project, way, fingerprint, numbers[start : start + BATCH])
            async with self._database.transaction() as connection:
                # Read last: what was deleted while it was being compared is no hit.
                assets = await store.read_ready(connection, project, list(results))
            hits = [Hit(assets[number], result) for number, result in results.items() if number in assets]
            found = [hit for hit in hits if is_hit(hit, cut.threshold, cut.min_coverage)]
            for hit in found:
                yield hit
            if not found:
                return

    async def _compare(self, project: UUID, way: Way, fingerprint: Fingerprint, numbers: list[int]) -> dict[int, MatchResult]:
        async with self._database.transaction() as connection:
            payloads = await store.read_payloads(connection, project, numbers, way.media_type, way.through)
        there = [number for number in numbers if number in payloads]
        results = await self._matchers.compare(way.through, fingerprint.payload, [payloads[number] for number in there])
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


def _in_lane(hit: Hit, policy: Policy | None) -> Hit:
    return hit if policy is None else replace(hit, lane=policy.lane(hit.result.similarity_score))


def _cut_of(page: list[Hit], taken: list[Way], cuts: list[_Cut]) -> _Cut:
    """What decided about the best hit; of nothing, what would have about the query's own medium."""
    through = page[0].result.media_type if page else taken[0].through
    return next((cut for way, cut in zip(taken, cuts, strict=True) if way.through is through), cuts[0])


def _decision(query: Query, cut: _Cut, known: Known, page: list[Hit], policy: Policy | None) -> Decision:
    """What the page says, for the log; its best hit speaks for it."""
    best = page[0].result if page else None
    made = known.fingerprints.get(best.media_type if best else query.media_type)
    return Decision(
        request_id=call.request_id(),
        endpoint=query.endpoint,
        media_type=query.media_type,
        score=best.similarity_score if best else None,
        confidence=best.confidence if best else Confidence.NONE,
        is_match=best is not None,
        threshold=cut.threshold,
        profile=query.profile or cut.profile if query.threshold is None else "",
        policy=query.policy,
        lane=policy.lane(best.similarity_score if best else None) if policy else "",
        source_sha256=made.sha256 if made else known.hashes.get("sha256", ""),
        source_pdq=known.hashes.get("pdq", ""),
        algorithm=made.algorithm if made else "",
        version=made.version if made else 0,
        hits=tuple((hit.asset.id, hit.result.similarity_score) for hit in page),
    )


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
    timings[stage] = timings.get(stage, 0.0) + spent * 1000
    STAGE_SECONDS.labels(medium, stage).observe(spent)
