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


def refine(matrix: Matrix, query: Matrix, reference: Matrix, voters: NDArray[np.intp], *, roughly: bool = False) -> Alignment:
    """The best-fitting model of growing freedom from rows of query to rows of reference places; `voters` are those to start from.

    `roughly`: without perspective."""
    places = _columns(query, reference)
    within = _Within(places)
    chosen = voters
    for allowed in _ROUNDS_PX:
        if len(chosen) < 3:
            break
        matrix = _similarity(places[:, chosen])
        chosen = within(matrix, allowed)
    for minimum, fit in ((_MIN_FOR_AFFINE, _affine), (_MIN_FOR_HOMOGRAPHY, _homography))[: 1 if roughly else 2]:
        if len(chosen) < minimum:
            break
        trial, kept = matrix, within(matrix, 2 * _ROUNDS_PX[-1])
        for allowed in (_ROUNDS_PX[-1] * 1.5, _LAST_MISS_PX):
            if len(kept) < minimum:
                break
            trial = fit(places[:, kept])
            kept = within(trial, allowed)
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
    (a, b, c), (d, e, f), (g, h, i) = matrix.tolist()
    (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    depths = [g * x + h * y + i for x, y in ((left, top), (right, top), (right, bottom), (left, bottom))]
    if min(depths) * max(depths) <= 0 or not 0.25 <= max(depths) / min(depths) <= 4:
        return False
    # The singular values of the linear part: their product is its determinant, their squares sum to `squares`.
    area, squares = abs(a * e - b * d), a * a + b * b + d * d + e * e
    largest_2 = (squares + math.sqrt(max(0.0, squares * squares - 4 * area * area))) / 2
    determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    return bool(determinant * i > 0 and area > 0.25 * largest_2)


def fit_similarity(query: Matrix, reference: Matrix) -> Matrix:
    """Least squares over rotation, scale and place."""
    return _similarity(_columns(query, reference))


def fit_affine(query: Matrix, reference: Matrix) -> Matrix:
    """Least squares over the six numbers of an affine map."""
    return _affine(_columns(query, reference))


def fit_homography(query: Matrix, reference: Matrix) -> Matrix:
    """Least squares over the eight numbers of a homography, in centred and scaled coordinates (Hartley 1997)."""
    return _homography(_columns(query, reference))


def inverted(matrix: Matrix) -> Matrix:
    """The inverse of a 3 x 3 matrix, in closed form; LinAlgError where there is none."""
    (a, b, c), (d, e, f), (g, h, i) = matrix.tolist()
    across, down, deep = e * i - f * h, f * g - d * i, d * h - e * g
    determinant = a * across + b * down + c * deep
    if determinant == 0 or not math.isfinite(determinant):
        raise np.linalg.LinAlgError("singular")
    adjugate = np.array([across, c * h - b * i, b * f - c * e, down, a * i - c * g, c * d - a * f, deep, b * g - a * h, a * e - b * d])
    inverse: Matrix = (adjugate / determinant).reshape(3, 3)
    return inverse


# Below, places are columns of x, y in the query and u, v in the reference: one product with itself has all the sums that a fit needs.


def _columns(query: Matrix, reference: Matrix) -> Matrix:
    return np.concatenate([query.T, reference.T]).astype(np.float64)


def _similarity(places: Matrix) -> Matrix:
    middle = places.sum(axis=1) / places.shape[1]
    centred = places - middle[:, None]
    xx, _, xu, xv, _, yy, yu, yv = (centred[:2] @ centred.T).ravel().tolist()
    across, along = (xu + yv) / max(xx + yy, 1e-9), (xv - yu) / max(xx + yy, 1e-9)
    return _mapped(across, -along, along, across, middle)


def _affine(places: Matrix) -> Matrix:
    middle = places.sum(axis=1) / places.shape[1]
    centred = places - middle[:, None]
    sums = centred[:2] @ centred.T
    xx, xy, xu, xv, _, yy, yu, yv = sums.ravel().tolist()
    determinant = xx * yy - xy * xy
    if determinant <= 1e-9 * xx * yy:
        # Places on a line leave it open: the smallest solution.
        (a, d), (b, e) = _solved(sums[:, :2], sums[:, 2:]).tolist()
    else:
        a, b = (xu * yy - yu * xy) / determinant, (yu * xx - xu * xy) / determinant
        d, e = (xv * yy - yv * xy) / determinant, (yv * xx - xv * xy) / determinant
    return _mapped(a, b, d, e, middle)


def _homography(places: Matrix) -> Matrix:
    """Each place gives two rows: x y 1 0 0 0 -ux -uy = u, and 0 0 0 x y 1 -vx -vy = v; what follows are the blocks of their products."""
    middle = places.sum(axis=1) / places.shape[1]
    centred = places - middle[:, None]
    spread = np.abs(centred).sum(axis=1).tolist()
    scale_q, scale_r = (2 * places.shape[1] / max(one + other, 1e-6) for one, other in (spread[:2], spread[2:]))
    rows = np.ones((9, places.shape[1]))
    np.multiply(centred[:2], scale_q, out=rows[:2])
    np.multiply(centred[2:], scale_r, out=rows[7:])
    np.multiply(rows[:2], rows[7], out=rows[3:5])
    np.multiply(rows[:2], rows[8], out=rows[5:7])
    sums = rows @ rows.T
    normal = np.zeros((8, 8))
    normal[:3, :3] = normal[3:6, 3:6] = sums[:3, :3]
    normal[:3, 6:], normal[3:6, 6:] = -sums[:3, 3:5], -sums[:3, 5:7]
    normal[6:, :6] = normal[:6, 6:].T
    normal[6:, 6:] = sums[3:5, 3:5] + sums[5:7, 5:7]
    right = np.concatenate([sums[:3, 7], sums[:3, 8], -(sums[3:5, 7] + sums[5:7, 8])])
    # Of numbers that are centred and scaled: x y 1 to u v 1.
    found = np.append(_solved(normal, right), 1.0).reshape(3, 3)
    x, y, u, v = middle.tolist()
    to_scaled = np.array([[scale_q, 0, -scale_q * x], [0, scale_q, -scale_q * y], [0, 0, 1]])
    from_scaled = np.array([[1 / scale_r, 0, u], [0, 1 / scale_r, v], [0, 0, 1]])
    matrix = from_scaled @ found @ to_scaled
    normalised: Matrix = matrix / matrix[2, 2]
    return normalised


def _solved(normal: Matrix, right: Matrix) -> Matrix:
    """By the normal equations, a tenth of the cost of working on the rows; the smallest solution where places on a line leave it open."""
    solution: Matrix = np.linalg.lstsq(normal, right, rcond=None)[0]
    return solution


def _mapped(a: float, b: float, d: float, e: float, middle: Matrix) -> Matrix:
    """The affine matrix with this linear part that takes the middle of the query's places to that of the reference's."""
    x, y, u, v = middle.tolist()
    return np.array([[a, b, u - a * x - b * y], [d, e, v - d * x - e * y], [0.0, 0.0, 1.0]])


class _Within:
    """Says which places land near enough, measured in the smaller of the two pictures' pixels."""

    def __init__(self, places: Matrix) -> None:
        self._reference = places[2:]
        self._query = np.ones((3, places.shape[1]))
        self._query[:2] = places[:2]

    def __call__(self, matrix: Matrix, allowed_px: float) -> NDArray[np.intp]:
        (a, b, _), (d, e, _), (g, h, _) = matrix.tolist()
        landed = matrix @ self._query
        if g or h:
            depth = landed[2]
            depth[np.abs(depth) < 1e-9] = 1e-9
            landed[:2] /= depth
        missed = landed[:2] - self._reference
        missed *= missed
        return np.flatnonzero(missed[0] + missed[1] < allowed_px * allowed_px * max(1.0, abs(a * e - b * d)))
