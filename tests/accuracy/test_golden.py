"""Stored fingerprints stay good: whoever changes what the algorithm makes of a picture raises VERSION and writes the record anew."""

from __future__ import annotations

from typing import Any

import pytest

from tests.accuracy.golden import PICTURES, measured, processor, recorded

MAX_DRIFT = 0.001
"""What another instruction set may add or take."""
CHANGED = "The algorithm has changed. Raise VERSION in image_svc/fingerprint.py, then: python -m tests.accuracy.golden"


@pytest.fixture(scope="module")
def fresh() -> dict[str, Any]:
    return measured()


def test_record_is_of_this_version(fresh: dict[str, Any]) -> None:
    assert (fresh["algorithm"], fresh["version"]) == (recorded()["algorithm"], recorded()["version"]), CHANGED


@pytest.mark.parametrize("name", [path.name for path in PICTURES])
def test_fingerprint_is_the_one_recorded(fresh: dict[str, Any], name: str) -> None:
    if processor() != recorded()["processor"]:
        pytest.skip("recorded on another kind of processor; the scores are compared all the same")
    assert fresh["digests"][name] == recorded()["digests"][name], CHANGED


def test_scores_are_those_recorded(fresh: dict[str, Any]) -> None:
    assert fresh["scores"] == pytest.approx(recorded()["scores"], abs=MAX_DRIFT), CHANGED
