"""The order of hits and the cut below them: total, so that the same search twice gives the same page; pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from index_svc.records import Hit
from mesh.media import MediaType

DEFAULT_THRESHOLDS: Final = {MediaType.IMAGE: 0.85, MediaType.AUDIO: 0.80, MediaType.VIDEO: 0.75}
"""Scores from which on an asset is a hit, inclusive; stricter than the pair endpoint's cutoff, for one query meets many assets."""

STRONG_COVERAGE: Final = 0.7
"""Beside the threshold of films: this much of one that scores as high is no lucky scene."""


def ranked(hits: Iterable[Hit]) -> list[Hit]:
    """By similarity, then by how much of the query was found (nothing for images), then the asset that was indexed first."""
    return sorted(hits, key=lambda hit: (-hit.result.similarity_score, -(coverage(hit) or 0.0), hit.asset.number))


def is_hit(hit: Hit, threshold: float, min_coverage: float) -> bool:
    """Whether it reaches both."""
    found = coverage(hit)
    return hit.result.similarity_score >= threshold and (found is None or found >= min_coverage)


def is_strong(hit: Hit, threshold: float, strong_coverage: float) -> bool | None:
    """Whether a film reaches the project's threshold and this much of the query was found; None: it was not found by what it shows."""
    if hit.result.media_type is not MediaType.VIDEO:
        return None
    return is_hit(hit, threshold, strong_coverage)


def coverage(hit: Hit) -> float | None:
    """The share of the query that was found in the asset; of images there is none."""
    if hit.result.media_type is MediaType.IMAGE or hit.result.coverage is None:
        return None
    return hit.result.coverage.source
