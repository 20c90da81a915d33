"""The order of hits."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from index_svc.ranking import DEFAULT_THRESHOLDS, coverage, is_hit, ranked
from index_svc.records import Asset, AssetStatus, Hit
from mesh.media import Confidence, Coverage, MatchResult, MediaType


def hit(number: int, similarity: float, covered: float = 1.0, medium: MediaType = MediaType.AUDIO) -> Hit:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    asset = Asset(uuid4(), number, "", medium, AssetStatus.READY, None, None, "", "", {}, moment, moment)
    result = MatchResult(True, Confidence.HIGH, similarity, 1, medium, coverage=Coverage(covered, 0.1))
    return Hit(asset, result)


def test_similarity_comes_before_coverage_and_coverage_before_age() -> None:
    wanted = [hit(9, 0.9, 0.1), hit(8, 0.8, 0.7), hit(3, 0.8, 0.6), hit(4, 0.8, 0.6)]
    for given in itertools.permutations(wanted):
        assert ranked(given) == wanted


def test_coverage_of_images_does_not_count() -> None:
    wanted = [hit(1, 0.9, 0.1, MediaType.IMAGE), hit(2, 0.9, 0.8, MediaType.IMAGE)]
    assert ranked(reversed(wanted)) == wanted
    assert coverage(wanted[0]) is None


def test_threshold_and_coverage_are_inclusive() -> None:
    assert is_hit(hit(1, 0.8, 0.5), 0.8, 0.5)
    assert not is_hit(hit(1, 0.7999, 0.5), 0.8, 0.5)
    assert not is_hit(hit(1, 0.8, 0.4999), 0.8, 0.5)


@pytest.mark.parametrize(("medium", "threshold"), [("image", 0.85), ("audio", 0.80), ("video", 0.75)])
def test_default_thresholds_are_the_documented_ones(medium: str, threshold: float) -> None:
    assert DEFAULT_THRESHOLDS[MediaType(medium)] == threshold
