"""Refines a proposed transform on the places it links: similarity, then affine, then homography, each only where enough places carry it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.floating[Any]]

# A model needs a few times as many places as it has unknowns, or it fits its own noise.
_MIN_FOR_AFFINE: Final = 8
_MIN_FOR_HOMOGRAPHY: Final = 14
_ROUNDS_PX: Final = (12.0, 7.0, 4.0)
_LAST_MISS_PX: Final = 3.0


@dataclass(frozen=True, slots=True)
class Alignment:
    """A 3 x 3 matrix from query to reference pixels, and which of the places it explains."""

    matrix: Matrix
    inliers: NDArray[np.intp]


def refine(matrix: Matrix, query: Matrix, reference: Matrix, voters: NDArray[np.intp]) -> Alignment:
    """The best-fitting model of growing freedom from rows of query to rows of reference places; `voters` are those to start from."""
    query, reference = query.astype(np.float64), reference.astype(np.float64)
    chosen = voters
    for allowed in _ROUNDS_PX:
        if len(chosen) < 3:
            break
        matrix = fit_similarity(query[chosen], reference[chosen])
        chosen = _within(matrix, query, reference, allowed)
    for minimum, fit in ((_MIN_FOR_AFFINE, fit_affine), (_MIN_FOR_HOMOGRAPHY, fit_homography)):
        if len(chosen) < minimum:
            break
        trial, kept = matrix, _within(matrix, query, reference, 2 * _ROUNDS_PX[-1])
        for allowed in (_ROUNDS_PX[-1] * 1.5, _LAST_MISS_PX):
            if len(kept) < minimum:
                break
            trial = fit(query[kept], reference[kept])
            kept = _within(trial, query, reference, allowed)
        if len(kept) >= minimum and len(kept) >= 0.9 * len(chosen) and is_plausible(trial, query[kept]):
            matrix, chosen = trial, kept
    return Alignment(matrix, chosen)


def project(matrix: Matrix, points: Matrix) -> Matrix:
    """Where the matrix takes the points."""
    homogeneous = points @ matrix[:, :2].T + matrix[:, 2]
    depth = homogeneous[:, 2:]
    landed: Matrix = homogeneous[:, :2] / np.where(np.abs(depth) < 1e-9, 1e-9, depth)
    return landed


def linear_part(matrix: Matrix, x: float, y: float) -> Matrix:
    """What the matrix does to small steps around a place, as 2 x 2."""
    u, v, depth = matrix @ np.array([x, y, 1.0])
    linear: Matrix = (matrix[:2, :2] * depth - np.outer([u, v], matrix[2, :2])) / depth**2
    return linear


def local_scale(matrix: Matrix, x: float, y: float) -> float:
    """By how much the matrix enlarges lengths around a place."""
    return float(np.sqrt(abs(np.linalg.det(linear_part(matrix, x, y)))))


def rotation_degrees(linear: Matrix) -> float:
    """The turn, clockwise as y points down, of the nearest unmirrored similarity; -180 to 180."""
    return float(np.degrees(np.arctan2(linear[1, 0] - linear[0, 1], linear[0, 0] + linear[1, 1])))


def is_plausible(matrix: Matrix, points: Matrix) -> bool:
    """Whether it keeps its handedness over the points and neither squeezes nor folds what lies between them."""
    low, high = points.min(axis=0), points.max(axis=0)
    corners = np.array([low, [high[0], low[1]], high, [low[0], high[1]]])
    depths = corners @ matrix[2, :2] + matrix[2, 2]
    if depths.min() * depths.max() <= 0 or depths.max() / depths.min() > 4 or depths.max() / depths.min() < 0.25:
        return False
    values = np.linalg.svd(matrix[:2, :2], compute_uv=False)
    return bool(np.linalg.det(matrix) * np.sign(matrix[2, 2]) > 0 and values[1] > 0.25 * values[0])


def fit_similarity(query: Matrix, reference: Matrix) -> Matrix:
    """Least squares over rotation, scale and place (as complex numbers: one division)."""
    middle_q, middle_r = query.mean(axis=0), reference.mean(axis=0)
    q = (query - middle_q) @ np.array([1, 1j])
    r = (reference - middle_r) @ np.array([1, 1j])
    turn = np.vdot(q, r) / max(float(np.vdot(q, q).real), 1e-9)
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return _matrix(linear, middle_r - linear @ middle_q)


def fit_affine(query: Matrix, reference: Matrix) -> Matrix:
    """Least squares over the six numbers of an affine map."""
    rows = np.column_stack([query, np.ones(len(query))])
    solution = np.linalg.lstsq(rows, reference, rcond=None)[0]
    return _matrix(solution[:2].T, solution[2])


def fit_homography(query: Matrix, reference: Matrix) -> Matrix:
    """Least squares over the eight numbers of a homography, in centred and scaled coordinates (Hartley 1997)."""
    scale_q, scale_r = _normaliser(query), _normaliser(reference)
    x, y = project(scale_q, query).T
    u, v = project(scale_r, reference).T
    zero, one = np.zeros_like(x), np.ones_like(x)
    rows = np.concatenate(
        [np.column_stack([x, y, one, zero, zero, zero, -u * x, -u * y]), np.column_stack([zero, zero, zero, x, y, one, -v * x, -v * y])]
    )
    solution = np.linalg.lstsq(rows, np.concatenate([u, v]), rcond=None)[0]
    matrix = np.linalg.inv(scale_r) @ np.append(solution, 1.0).reshape(3, 3) @ scale_q
    normalised: Matrix = matrix / matrix[2, 2]
    return normalised


def _normaliser(points: Matrix) -> Matrix:
    middle = points.mean(axis=0)
    scale = 1 / max(float(np.abs(points - middle).mean()), 1e-6)
    return _matrix(np.eye(2) * scale, -scale * middle)


def _matrix(linear: Matrix, offset: Matrix) -> Matrix:
    matrix = np.eye(3)
    matrix[:2, :2], matrix[:2, 2] = linear, offset
    return matrix


def _within(matrix: Matrix, query: Matrix, reference: Matrix, allowed_px: float) -> NDArray[np.intp]:
    """Places that land near enough, measured in the smaller of the two pictures' pixels."""
    miss = np.linalg.norm(project(matrix, query) - reference, axis=1)
    scale = np.sqrt(abs(np.linalg.det(matrix[:2, :2])))
    return np.flatnonzero(miss < allowed_px * max(1.0, float(scale)))
