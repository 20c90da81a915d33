"""Refinement ends at the simplest model that explains the places, and never at a nonsensical one."""

from __future__ import annotations

import numpy as np

from matching.alignment import (
    Matrix,
    fit_affine,
    fit_homography,
    fit_similarity,
    is_plausible,
    local_scale,
    project,
    refine,
    rotation_degrees,
)

TILTED = np.array([[1.1, 0.1, 10.0], [-0.05, 0.9, 20.0], [3e-4, -2e-4, 1.0]])
TURNED = np.array([[0.0, -2.0, 50.0], [2.0, 0.0, -7.0], [0.0, 0.0, 1.0]])


def places(count: int, seed: int = 1) -> Matrix:
    return np.random.default_rng(seed).uniform(0, 400, (count, 2))


def test_each_model_is_fitted_exactly_where_it_holds() -> None:
    points = places(20)
    affine = np.array([[1.2, 0.3, 5.0], [-0.1, 0.8, 9.0], [0.0, 0.0, 1.0]])
    for fit, truth in ((fit_similarity, TURNED), (fit_affine, affine), (fit_homography, TILTED)):
        assert np.allclose(project(fit(points, project(truth, points)), points), project(truth, points), atol=1e-4)


def test_perspective_is_recovered_from_a_rough_start_with_a_third_of_wrong_places() -> None:
    points = places(90)
    landed = project(TILTED, points)
    landed[60:] = places(30, seed=2)
    start = fit_similarity(points[:60], landed[:60])
    found = refine(start, points, landed, np.arange(60))
    assert np.abs(project(found.matrix, points[:60]) - landed[:60]).max() < 1.0
    assert set(range(60)) <= set(found.inliers.tolist())


def test_few_places_keep_to_the_simple_model() -> None:
    points = places(6)
    found = refine(TURNED, points, project(TURNED, points) + np.random.default_rng(3).normal(0, 1, (6, 2)), np.arange(6))
    assert np.allclose(found.matrix[2], [0, 0, 1])
    assert np.isclose(found.matrix[0, 0], found.matrix[1, 1])


def test_places_on_one_row_or_in_one_column_are_fitted_all_the_same() -> None:
    for axis in (0, 1):
        points = places(12)
        points[:, axis] = 7.0
        for landed in (points + 5.0, points[::-1]):
            assert np.abs(project(fit_affine(points, landed), points) - landed).mean() <= np.abs(points - landed).mean()
            assert np.isfinite(refine(np.eye(3), points, landed, np.arange(12)).matrix).all()


def test_folded_or_squeezed_maps_are_not_plausible() -> None:
    points = places(20)
    assert is_plausible(TILTED, points)
    assert not is_plausible(np.diag([1.0, 0.01, 1.0]), points)
    assert not is_plausible(np.diag([-1.0, 1.0, 1.0]), points)
    assert not is_plausible(np.array([[1.0, 0, 0], [0, 1, 0], [-1 / 200, 0, 1]]), points)


def test_scale_and_rotation_are_read_from_a_matrix() -> None:
    assert np.isclose(local_scale(TURNED, 10, 10), 2.0)
    assert np.isclose(rotation_degrees(TURNED), 90.0)
