"""Refines a proposed transform on the places it links: similarity, then affine, then homography, each only where enough places carry it."""

from __future__ import annotations

import math
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
    """By how much the matrix enlarges lengths around a place: the root of the determinant of `linear_part`, in closed form."""
    (a, b, c), (d, e, f), (g, h, i) = matrix.tolist()
    determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    return math.sqrt(abs(determinant / (g * x + h * y + i) ** 3))


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
    rows = _homogeneous(query)
    solution = _solved(rows.T @ rows, rows.T @ reference)
    return _matrix(solution[:2].T, solution[2])


def fit_homography(query: Matrix, reference: Matrix) -> Matrix:
    """Least squares over the eight numbers of a homography, in centred and scaled coordinates (Hartley 1997).

    Each place gives two rows: x y 1 0 0 0 -ux -uy = u, and 0 0 0 x y 1 -vx -vy = v; what follows are the blocks of their products."""
    scale_q, scale_r = _normaliser(query), _normaliser(reference)
    places = _homogeneous(query) @ scale_q.T
    landed = _homogeneous(reference) @ scale_r[:2].T
    moved_x, moved_y = places * landed[:, :1], places * landed[:, 1:]
    normal = np.zeros((8, 8))
    normal[:3, :3] = normal[3:6, 3:6] = places.T @ places
    normal[:3, 6:] = -(places.T @ moved_x[:, :2])
    normal[3:6, 6:] = -(places.T @ moved_y[:, :2])
    normal[6:, :6] = normal[:6, 6:].T
    normal[6:, 6:] = moved_x[:, :2].T @ moved_x[:, :2] + moved_y[:, :2].T @ moved_y[:, :2]
    right = np.concatenate([*(places.T @ landed).T, -(moved_x[:, :2].T @ landed[:, 0] + moved_y[:, :2].T @ landed[:, 1])])
    matrix = np.linalg.inv(scale_r) @ np.append(_solved(normal, right), 1.0).reshape(3, 3) @ scale_q
    normalised: Matrix = matrix / matrix[2, 2]
    return normalised


def _homogeneous(points: Matrix) -> Matrix:
    rows = np.ones((len(points), 3))
    rows[:, :2] = points
    return rows


def _solved(normal: Matrix, right: Matrix) -> Matrix:
    """By the normal equations, a tenth of the cost of working on the rows; the smallest solution where places on a line leave it open."""
    solution: Matrix = np.linalg.lstsq(normal, right, rcond=None)[0]
    return solution


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
    across, down = (project(matrix, query) - reference).T
    (a, b), (c, d) = matrix[:2, :2].tolist()
    return np.flatnonzero(across * across + down * down < allowed_px * allowed_px * max(1.0, abs(a * d - b * c)))
