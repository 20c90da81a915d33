"""The vote finds the transform that links two constellations, among many that are wrong."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from matching.alignment import project
from matching.likeness import Likeness, Matches, nearest_matches
from matching.local_features import extract
from matching.vote import propose
from tests.unit.matching.test_local_features import grey


def planted(scale: float, degrees: float, shift: tuple[float, float], *, right: int, wrong: int, seed: int = 5) -> Matches:
    """`right` matches that one similarity explains up to a pixel, and `wrong` ones that nothing does."""
    random = np.random.default_rng(seed)
    angle = np.radians(degrees)
    query = random.uniform(0, 400, (right + wrong, 2))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    reference = query @ turn.T + shift + random.normal(0, 0.5, query.shape)
    reference[right:] = random.uniform(0, 400, (wrong, 2))
    log_scales = np.log(scale) + random.normal(0, 0.1, right + wrong)
    angles = angle + random.normal(0, 0.1, right + wrong)
    angles[right:] = random.uniform(-np.pi, np.pi, wrong)
    order = random.permutation(right + wrong)
    return Matches(*(values[order].astype(np.float32) for values in (query, reference, log_scales, angles)))


@pytest.mark.parametrize(("scale", "degrees"), [(1.0, 0.0), (0.4, 10.0), (2.5, -135.0), (1.0, 180.0)])
def test_planted_transform_wins_against_three_times_as_many_wrong_matches(scale: float, degrees: float) -> None:
    elected = propose(planted(scale, degrees, (120.0, 40.0), right=25, wrong=75), max_proposals=3)[0]
    assert elected.votes > 12
    cosine, sine = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    truth = np.array([[cosine, -sine], [sine, cosine]])
    assert np.abs(elected.matrix[:2, :2] - truth).max() < 0.35 * scale


def test_second_transform_is_found_once_the_first_has_taken_its_voters() -> None:
    one, two = planted(1.0, 0.0, (0.0, 0.0), right=30, wrong=0), planted(0.5, 90.0, (300.0, 10.0), right=20, wrong=0, seed=6)
    names = ("query_points", "reference_points", "log_scales", "angles")
    both = Matches(*(np.concatenate([getattr(one, name), getattr(two, name)]) for name in names))
    first, second = propose(both, max_proposals=2)
    assert not set(first.voters.tolist()) & set(second.voters.tolist())
    assert first.votes > second.votes > 10


def test_matches_in_one_spot_count_once() -> None:
    spot = np.full((40, 2), 50.0, np.float32)
    crowd = Matches(spot, spot + 3, np.zeros(40, np.float32), np.zeros(40, np.float32))
    assert propose(crowd, max_proposals=3) == []


def test_random_matches_elect_hardly_anyone() -> None:
    proposals = propose(planted(1.0, 0.0, (0.0, 0.0), right=0, wrong=100), max_proposals=3)
    assert max((proposal.votes for proposal in proposals), default=0.0) < 8


def test_picture_and_its_turned_half_size_version_are_linked() -> None:
    picture = grey(4)
    turned = np.ascontiguousarray(np.rot90(picture[::2, ::2], -1))
    matches = nearest_matches(extract(picture, max_features=500), extract(turned, max_features=500))
    elected = propose(matches, max_proposals=1)[0]
    corners: npt.NDArray[np.float64] = np.array([[0.0, 0.0], [400.0, 0.0], [400.0, 300.0]])
    assert np.abs(project(elected.matrix, corners) - [[150, 0], [150, 200], [0, 200]]).max() < 25


def test_empty_constellation_matches_nothing() -> None:
    none = extract(np.zeros((50, 50), np.uint8), max_features=10)
    assert len(nearest_matches(none, extract(grey(4), max_features=50))) == 0


def test_every_second_feature_elects_the_same_transform() -> None:
    features = extract(grey(5), max_features=500)
    likeness = Likeness(features, features)
    half, whole = likeness.nearest(of_half=True), likeness.nearest()
    assert 0.4 * len(features) < len(half) < 0.6 * len(features)
    assert len(half) <= len(whole)
    assert np.allclose(propose(half, max_proposals=1)[0].matrix, propose(whole, max_proposals=1)[0].matrix, atol=0.1)
