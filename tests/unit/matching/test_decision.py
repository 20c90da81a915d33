"""The function from score to answer: promises about `match` and `confidence` are tested here, where they are made."""

from __future__ import annotations

import random

import pytest

from matching.decision import CUTOFFS, confidence_label, is_match

MEDIA = ("image", "video", "audio")
LABELS = ("none", "low", "medium", "high")


@pytest.mark.parametrize("medium", MEDIA)
def test_match_is_exactly_reaching_the_cutoff(medium: str) -> None:
    dice = random.Random(7)
    cutoff = CUTOFFS[medium].profiles["general"]
    for _ in range(10_000):
        score = dice.random()
        assert is_match(medium, score) == (score >= cutoff)
    assert is_match(medium, cutoff)
    assert not is_match(medium, cutoff - 1e-6)


@pytest.mark.parametrize("medium", MEDIA)
def test_label_changes_exactly_at_its_boundaries(medium: str) -> None:
    cutoffs = CUTOFFS[medium]
    for below, label, floor in (("none", "low", cutoffs.low), ("low", "medium", cutoffs.medium), ("medium", "high", cutoffs.high)):
        assert confidence_label(medium, floor - 1e-6) == below
        assert confidence_label(medium, floor) == label
        assert confidence_label(medium, floor + 1e-6) == label


@pytest.mark.parametrize("medium", MEDIA)
def test_label_never_falls_as_the_score_rises(medium: str) -> None:
    ranks = [LABELS.index(confidence_label(medium, step / 1000)) for step in range(1001)]
    assert ranks == sorted(ranks)
    assert set(ranks) == {0, 1, 2, 3}


@pytest.mark.parametrize("medium", MEDIA)
def test_label_none_is_never_a_match(medium: str) -> None:
    assert not any(is_match(medium, step / 1000) for step in range(1001) if confidence_label(medium, step / 1000) == "none")


def test_documented_examples_come_out_as_documented() -> None:
    assert is_match("audio", 0.74)
    assert confidence_label("audio", 0.74) == "medium"
    assert confidence_label("video", 0.88) == "high"
    assert confidence_label("image", 0.92) == confidence_label("image", 0.94) == "high"


def test_own_threshold_decides_instead_of_the_profile_and_changes_no_label() -> None:
    assert is_match("image", 0.3, profile="stock", threshold=0.3)
    assert not is_match("image", 0.99, threshold=1.0)


@pytest.mark.parametrize("medium", MEDIA)
def test_profiles_order_as_their_names_say(medium: str) -> None:
    profiles = CUTOFFS[medium].profiles
    assert profiles["adversarial"] < profiles["general"] < profiles["stock"]
