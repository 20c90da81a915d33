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
# Agreement below which a window shows something else, and from which it plainly shows the same.
_OUTRIGHT: Final = np.float32(0.15)
_PLAINLY: Final = np.float32(0.60)
MIN_CRISPNESS: Final = 0.78
"""From here on two pictures agree or do not; below, there is a haze over the agreement."""
# What covers something up: a patch at least this wide in the frame, over that much that is not even in the other picture.
_PATCH_PX: Final = 9
_MIN_COVERED: Final = 0.3
# Of the frame; windows astride its edge make a patch over a quarter as large as this.
_MAX_RIVALS: Final = 0.36
# So coarse that a blur of a fiftieth of the side is no wider than the softening.
_COARSE_PX: Final = 48
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
    contradiction: float
    """The share of what shows something else outright: blur and thin overlays take agreement away, but contradict nothing."""
    crispness: float
    """Of what does not contradict, the share that agrees plainly: what was cut out and pasted does, or not at all; a haze does in part."""
    rivalry: float
    """Of what both show equally strongly, the share that contradicts outright; not looked for, and 0, where nothing is hazy."""
    centre_seen: float
    """How much of the middle of both pictures was compared and had something to show, 0 to 1."""
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


def check(
    query: Pyramid,
    reference: Pyramid,
    matrix: Matrix,
    *,
    max_frame_px: int = MAX_FRAME_PX,
    uncovered: bool = False,
    without_rivals: bool = False,
) -> Proof | None:
    """How far the two agree where `matrix` (query to reference pixels) lays one upon the other; None where they hardly overlap.

    `uncovered`: leave out what a plain patch hides in one of them; `without_rivals`: and what contradicts, where that is a minor part.
    With a smaller frame it is a glance: about the same, and several times as fast.
    """
    frame = common_frame(query.size, reference.size, matrix, max_frame_px)
    if frame is None:
        return None
    to_query, to_reference, size = frame
    first, first_mask = query.draw(to_query, size)
    second, second_mask = reference.draw(to_reference, size)
    seen = first_mask * second_mask
    if uncovered:
        seen *= 1 - np.maximum(_hidden(first, second), _hidden(second, first))
    if without_rivals:
        seen *= 1 - _rivals(first, second, Windows(seen))
    windows = Windows(seen)
    (structure_1, texture_1), (structure_2, texture_2) = windows.reliefs(first), windows.reliefs(second)
    structure = correlate(structure_1, structure_2, windows)
    texture = correlate(texture_1, texture_2, windows)
    weight = structure.weight
    if float(weight.sum()) < _MIN_CONTENT * weight.size:
        return None
    agrees, texture_agrees = agreement(structure.values), agreement(texture.values)
    # Where there is texture it must agree too; where there is none, nothing is asked of it.
    both = np.minimum(agrees, np.maximum(texture_agrees, agrees * (1 - texture.content)))
    good = both * windows.usable
    middle = centrality(query.size, to_query, size) * centrality(reference.size, to_reference, size)
    contradiction = _mean(both < _OUTRIGHT, weight)
    crispness = _mean(both > _PLAINLY, weight) / max(1 - contradiction, 1e-6)
    query_map, query_coverage = _covered(query, good, to_query)
    reference_map, reference_coverage = _covered(reference, good, to_reference)
    return Proof(
        agreement=_mean(agrees, weight),
        texture_agreement=_mean(texture_agrees, texture.weight),
        central_agreement=_mean(both, weight * middle),
        contradiction=contradiction,
        crispness=crispness,
        rivalry=_mean(both < _OUTRIGHT, weight * _evenness(first, second, windows)) if crispness < MIN_CRISPNESS else 0.0,
        centre_seen=_mean(structure.content * windows.usable, middle),
        weakest=_weakest(both, weight),
        query_coverage=query_coverage,
        reference_coverage=reference_coverage,
        fidelity=_mean(structure.values, weight) / max(_mean(structure.attainable, weight), 1e-6),
        richness=_richness(first, second, good * weight),
        windows=float((both * weight).sum()) / windows.side**2,
        query_map=query_map,
        reference_map=reference_map,
    )


def _evenness(first: Floats, second: Floats, windows: Windows) -> Floats:
    """1 where both show equally much for what they show elsewhere, 0 where one shows less than half of it."""
    one, two = (np.sqrt(np.maximum(windows.average(windows.structure(values) ** 2), 1e-3)) for values in (first, second))
    one, two = one / one.mean(), two / two.mean()
    even: Floats = np.clip((np.minimum(one, two) / np.maximum(one, two) - 0.4) / 0.4, 0, 1)
    return even


def _hidden(plain: Floats, other: Floats) -> Floats:
    """1 where the first shows an even patch, and the other something under a good part of it."""
    flat = (_variance(plain) <= _GRADED).astype(np.uint8)
    even = cv2.morphologyEx(flat, cv2.MORPH_OPEN, np.ones((_PATCH_PX, _PATCH_PX), np.uint8))
    count, patches = cv2.connectedComponents(np.asarray(even, np.uint8), connectivity=4)
    under = np.bincount(patches.ravel(), weights=(_variance(other) > _GRADED).ravel(), minlength=count)
    covers = under > _MIN_COVERED * np.bincount(patches.ravel(), minlength=count)
    covers[0] = False
    return cv2.dilate(covers[patches].astype(np.float32), np.ones((_PATCH_PX + 2, _PATCH_PX + 2), np.uint8))


def _rivals(first: Floats, second: Floats, windows: Windows) -> Floats:
    """1 where the two show different things, 0 everywhere where that is too much of the whole to be what one of them is covered with."""
    structure = correlate(windows.structure(first), windows.structure(second), windows)
    differs = (agreement(structure.values) < _OUTRIGHT) & (structure.content > 0.5) & (windows.usable > 0)
    blobs = cv2.morphologyEx(differs.astype(np.float32), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    if float(blobs.mean()) > _MAX_RIVALS:
        return np.zeros_like(blobs)
    reach = windows.side // 2 | 1
    return cv2.dilate(blobs, np.ones((reach, reach), np.uint8))


def _variance(values: Floats) -> Floats:
    """Of the neighbourhood of 5 x 5."""
    variance: Floats = cv2.blur(values * values, (5, 5)) - cv2.blur(values, (5, 5)) ** 2
    return variance


def check_coarsely(query: Pyramid, reference: Pyramid, matrix: Matrix) -> float:
    """The agreement of what is left of the two at a few dozen pixels, which blur does not reach; 0 where they hardly overlap."""
    frame = common_frame(query.size, reference.size, matrix, _COARSE_PX)
    if frame is None:
        return 0.0
    to_query, to_reference, size = frame
    first, first_mask = query.draw(to_query, size)
    second, second_mask = reference.draw(to_reference, size)
    windows = Windows(first_mask * second_mask)
    structure = correlate(windows.structure(first), windows.structure(second), windows)
    return _mean(agreement(structure.values), structure.weight)


def common_frame(
    query: tuple[int, int], reference: tuple[int, int], matrix: Matrix, max_frame_px: int = MAX_FRAME_PX
) -> tuple[Matrix, Matrix, tuple[int, int]] | None:
    """Maps from one frame (upright in the query, around the overlap) to either picture, given their sizes, and the frame's size."""
    try:
        backward = np.linalg.inv(matrix)
    except np.linalg.LinAlgError:
        return None
    corners = _corners(reference)
    if (corners @ backward[2, :2] + backward[2, 2]).min() <= 0:
        return None
    shown = project(backward, corners).astype(np.float32)
    area, overlap = cv2.intersectConvexConvex(shown, _corners(query).astype(np.float32))
    if area < _MIN_OVERLAP * query[0] * query[1]:
        return None
    places = overlap.reshape(-1, 2).astype(np.float64)
    low, high = np.floor(places.min(axis=0)), np.ceil(places.max(axis=0))
    longest = float((high - low).max())
    fineness = min(1.0, local_scale(matrix, *(low + high) / 2), max_frame_px / longest)
    fineness = max(fineness, min(_MIN_FRAME_PX / longest, _MAX_ENLARGEMENT))
    width, height = (max(8, int(np.ceil(length * fineness))) for length in high - low)
    step, half = 1 / fineness, 0.5 / fineness - 0.5
    to_query = np.array([[step, 0, low[0] + half], [0, step, low[1] + half], [0, 0, 1]])
    return to_query, matrix @ to_query, (width, height)


def _corners(size: tuple[int, int]) -> Matrix:
    width, height = size
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


def centrality(picture: tuple[int, int], to_picture: Matrix, size: tuple[int, int]) -> Floats:
    """1 in the middle of the picture, falling towards its edges, as the frame sees it."""
    side, middle = _CENTRALITY.shape[0], 1 - _FROM_MIDDLE
    if not (to_picture[0, 1] or to_picture[1, 0] or to_picture[2, :2].any()):
        across, down = (
            np.interp((np.arange(length) * to_picture[axis, axis] + to_picture[axis, 2]) * (side / picture[axis]), range(side), middle)
            for axis, length in enumerate(size)
        )
        return np.outer(down, across).astype(np.float32)
    shrink = np.diag([side / picture[0], side / picture[1], 1.0])
    return cv2.warpPerspective(_CENTRALITY, shrink @ to_picture, size, flags=_WARP, borderValue=0)


def _weakest(agrees: Floats, weight: Floats) -> float:
    share = cv2.resize(weight, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA)
    agreeing = cv2.resize(weight * agrees, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA)
    telling = share > _TELLING_CELL
    return float((agreeing[telling] / share[telling]).min()) if telling.any() else 0.0


def _richness(first: Floats, second: Floats, weight: Floats) -> float:
    graded = np.ones_like(first)
    for values in (first, second):
        graded *= _variance(values) > _GRADED
    return _mean(graded, weight)


def _mean(values: Floats, weights: Floats) -> float:
    return float(np.vdot(values, weights)) / max(float(weights.sum()), 1e-6)
