"""Stored fingerprints stay good: whoever changes what an algorithm makes of a file raises VERSION and writes the record anew."""

from __future__ import annotations

from typing import Any

import pytest

from tests.accuracy.golden import FILMS, PICTURES, SOUNDS, measured, processor, recorded

MAX_DRIFT = 0.001
"""What another instruction set may add or take."""
CHANGED = "The algorithm has changed. Raise VERSION in its service's fingerprint, then: python -m tests.accuracy.golden"
MEDIA = ("image", "audio", "video")
FILES = [("image", path.name) for path in PICTURES] + [("audio", path.name) for path in SOUNDS]
FILES += [("video", path.name) for path in FILMS]


@pytest.fixture(scope="module")
def fresh() -> dict[str, Any]:
    return measured()


@pytest.mark.parametrize("medium", MEDIA)
def test_record_is_of_this_version(fresh: dict[str, Any], medium: str) -> None:
    known = recorded()[medium]
    assert (fresh[medium]["algorithm"], fresh[medium]["version"]) == (known["algorithm"], known["version"]), CHANGED


@pytest.mark.parametrize(("medium", "name"), FILES)
def test_fingerprint_is_the_one_recorded(fresh: dict[str, Any], medium: str, name: str) -> None:
    if processor() != recorded()["processor"]:
        pytest.skip("recorded on another kind of processor; the scores are compared all the same")
    assert fresh[medium]["digests"][name] == recorded()[medium]["digests"][name], CHANGED


@pytest.mark.parametrize("medium", MEDIA)
def test_scores_are_those_recorded(fresh: dict[str, Any], medium: str) -> None:
    assert fresh[medium]["scores"] == pytest.approx(recorded()[medium]["scores"], abs=MAX_DRIFT), CHANGED
