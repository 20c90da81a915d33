"""What an alignment explains: both pictures drawn into one frame, correlated window by window.

A window counts by how much there is to see in it on either side, so that agreement on plain ground is worth nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from matching.alignment import Matrix, local_scale, project
from matching.pyramid import MAX_FRAME_PX, Pyramid
from matching.windows import Floats, Windows, agreement, correlate

# The frame is as fine as the coarser of the two pictures there, but never so coarse that windows fill it.
_MIN_FRAME_PX: Final = 48
_MAX_ENLARGEMENT: Final = 2.0
# Shares of the query and of the frame below which an overlap says nothing.
_MIN_OVERLAP: Final = 0.004
_MIN_CONTENT: Final = 0.01
_CELLS: Final = 8
_TELLING_CELL: Final = 0.1
# Variance of a neighbourhood of 5 x 5 from which it is graded, not flat.
_GRADED: Final = np.float32(6.0)
_FROM_MIDDLE: Final = np.linspace(-1, 1, 64, dtype=np.float32) ** 2
_CENTRALITY: Final = np.outer(1 - _FROM_MIDDLE, 1 - _FROM_MIDDLE)
_WARP: Final = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


@dataclass(frozen=True, slots=True, eq=False)
class Proof:
    """What the dense check found. Agreements are shares, 0 to 1, of the content where the two pictures overlap."""

    agreement: float
    texture_agreement: float
    """Of what is left without rows and columns: lines of text, horizons and frames look alike everywhere."""
    central_agreement: float
    """Of what lies in the middle of both pictures: what assets wear alike stands at their edges."""
    weakest: float
    """Of the worst cell of a coarse grid: a caption or a sticker hides in the mean, not here."""
    query_coverage: float
    reference_coverage: float
    """Shares of all that there is to see in either picture."""
    fidelity: float
    """Mean correlation as a share of what could be, -1 to 1; 1 where the pictures are the same."""
    richness: float
    """How much of what agrees is finely graded on both sides, as photographs are; stickers and icons are flat between their edges."""
    windows: float
    """How many windows' worth of content agrees."""
    query_map: Floats
    reference_map: Floats
    """Where in either picture, on its content grid."""


def check(query: Pyramid, reference: Pyramid, matrix: Matrix) -> Proof | None:
    """How far the two agree where `matrix` (query to reference pixels) lays one upon the other; None where they hardly overlap."""
    frame = _frame(query, reference, matrix)
    if frame is None:
        return None
    to_query, to_reference, size = frame
    first, first_mask = query.draw(to_query, size)
    second, second_mask = reference.draw(to_reference, size)
    windows = Windows(first_mask * second_mask)
    structure = correlate(windows.structure(first), windows.structure(second), windows)
    texture = correlate(windows.texture(first), windows.texture(second), windows)
    weight = structure.weight
    if float(weight.sum()) < _MIN_CONTENT * weight.size:
        return None
    agrees, texture_agrees = agreement(structure.values), agreement(texture.values)
    # Where there is texture it must agree too; where there is none, nothing is asked of it.
    both = np.minimum(agrees, np.maximum(texture_agrees, agrees * (1 - texture.content)))
    good = both * windows.usable
    query_map, query_coverage = _covered(query, good, to_query)
    reference_map, reference_coverage = _covered(reference, good, to_reference)
    return Proof(
        agreement=_mean(agrees, weight),
        texture_agreement=_mean(texture_agrees, texture.weight),
        central_agreement=_mean(both, weight * _centrality(query, to_query, size) * _centrality(reference, to_reference, size)),
        weakest=_weakest(both, weight),
        query_coverage=query_coverage,
        reference_coverage=reference_coverage,
        fidelity=_mean(structure.values, weight) / max(_mean(structure.attainable, weight), 1e-6),
        richness=_richness(first, second, good * weight),
        windows=float((both * weight).sum()) / windows.side**2,
        query_map=query_map,
        reference_map=reference_map,
    )


def _frame(query: Pyramid, reference: Pyramid, matrix: Matrix) -> tuple[Matrix, Matrix, tuple[int, int]] | None:
    """Maps from the common frame (upright in the query, around the overlap) to either picture, and the frame's size."""
    try:
        backward = np.linalg.inv(matrix)
    except np.linalg.LinAlgError:
        return None
    corners = _corners(reference)
    if (corners @ backward[2, :2] + backward[2, 2]).min() <= 0:
        return None
    shown = project(backward, corners).astype(np.float32)
    area, overlap = cv2.intersectConvexConvex(shown, _corners(query).astype(np.float32))
    if area < _MIN_OVERLAP * query.size[0] * query.size[1]:
        return None
    places = overlap.reshape(-1, 2).astype(np.float64)
    low, high = np.floor(places.min(axis=0)), np.ceil(places.max(axis=0))
    longest = float((high - low).max())
    fineness = min(1.0, local_scale(matrix, *(low + high) / 2), MAX_FRAME_PX / longest)
    fineness = max(fineness, min(_MIN_FRAME_PX / longest, _MAX_ENLARGEMENT))
    width, height = (max(8, int(np.ceil(length * fineness))) for length in high - low)
    step, half = 1 / fineness, 0.5 / fineness - 0.5
    to_query = np.array([[step, 0, low[0] + half], [0, step, low[1] + half], [0, 0, 1]])
    return to_query, matrix @ to_query, (width, height)


def _corners(picture: Pyramid) -> Matrix:
    width, height = picture.size
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)


def _covered(picture: Pyramid, good: Floats, to_picture: Matrix) -> tuple[Floats, float]:
    """Where on the picture's content grid the frame agrees, and the share of the content that this is."""
    height, width = picture.content.shape
    across, down = picture.size[0] / width, picture.size[1] / height
    from_grid = np.array([[across, 0, across / 2 - 0.5], [0, down, down / 2 - 0.5], [0, 0, 1]])
    to_frame = np.linalg.inv(to_picture) @ from_grid
    step = local_scale(to_frame, width / 2, height / 2)
    if step > 1.5:
        odd = 2 * int(step / 2) + 1
        good = cv2.blur(good, (odd, odd))
    found = cv2.warpPerspective(good, to_frame, (width, height), flags=_WARP, borderValue=0)
    return found, min(1.0, _mean(found, picture.content))


def _centrality(picture: Pyramid, to_picture: Matrix, size: tuple[int, int]) -> Floats:
    """1 in the middle of the picture, falling towards its edges, as the frame sees it."""
    side = _CENTRALITY.shape[0]
    shrink = np.diag([side / picture.size[0], side / picture.size[1], 1.0])
    return cv2.warpPerspective(_CENTRALITY, shrink @ to_picture, size, flags=_WARP, borderValue=0)


def _weakest(agrees: Floats, weight: Floats) -> float:
    share = cv2.resize(weight, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA)
    agreeing = cv2.resize(weight * agrees, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA)
    telling = share > _TELLING_CELL
    return float((agreeing[telling] / share[telling]).min()) if telling.any() else 0.0


def _richness(first: Floats, second: Floats, weight: Floats) -> float:
    graded = np.ones_like(first)
    for values in (first, second):
        graded *= cv2.blur(values * values, (5, 5)) - cv2.blur(values, (5, 5)) ** 2 > _GRADED
    return _mean(graded, weight)


def _mean(values: Floats, weights: Floats) -> float:
    return float((values * weights).sum()) / max(float(weights.sum()), 1e-6)
