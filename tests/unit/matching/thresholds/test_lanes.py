"""Which lane a score falls in."""

from __future__ import annotations

import pytest

from matching.thresholds.lanes import Policy

POLICY = Policy.of({"review": 0.7, "auto_block": 0.95}, "pass")


@pytest.mark.parametrize(
    ("score", "lane"), [(1.0, "auto_block"), (0.95, "auto_block"), (0.9499, "review"), (0.7, "review"), (0.69, "pass"), (None, "pass")]
)
def test_lane_begins_at_its_score(score: float | None, lane: str) -> None:
    assert POLICY.lane(score) == lane


def test_counts_are_the_same_one_by_one_and_from_what_reaches_each_floor() -> None:
    scores = [0.99, 0.96, 0.8, 0.2, 0.1, None]
    one_by_one = POLICY.counts_of(scores)
    reaching = [sum(score is not None and score >= floor for score in scores) for floor in POLICY.floors]
    assert one_by_one == POLICY.counts(len(scores), reaching) == {"auto_block": 2, "review": 1, "pass": 3}


@pytest.mark.parametrize(
    ("lanes", "otherwise"),
    [
        ({}, "pass"),
        ({"review": 0.7}, "review"),
        ({"review": 1.1}, "pass"),
        ({"review": 0.7, "block": 0.7}, "pass"),
        ({"Re view": 0.7}, "pass"),
        ({f"lane{at}": at / 10 for at in range(9)}, "pass"),
    ],
)
def test_policy_that_makes_no_sense_is_refused(lanes: dict[str, float], otherwise: str) -> None:
    with pytest.raises(ValueError, match="lane"):
        Policy.of(lanes, otherwise)
