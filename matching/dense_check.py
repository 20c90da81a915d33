"""What an alignment explains: both pictures drawn into one frame, correlated window by window.

A window counts by how much there is to see in it on either side, so that agreement on plain ground is worth nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from matching.alignment import local_scale, project

_Floats = NDArray[np.float32]
_Matrix = NDArray[np.float64]

# The frame is as fine as the coarser of the two pictures there, within these bounds.
_MAX_FRAME_PX: Final = 224
_MIN_FRAME_PX: Final = 48
_MIN_OVERLAP: Final = 0.004
_MIN_CONTENT: Final = 0.01
_MIN_WINDOW_SHARE: Final = 0.35
_WINDOWS_PER_FRAME: Final = 12
_MIN_WINDOW_PX: Final = 9
_SOFTENING_PX: Final = 0.8
# Grey levels squared: what a window's variance must pass to count for half, and the noise that correlation forgives.
_HALF_CONTENT: Final = np.float32(25.0)
_NOISE: Final = np.float32(1.0)
# Correlation from which a window begins to agree, and from which it agrees wholly.
_AGREES_FROM: Final = 0.30
_AGREES_FULLY: Final = 0.80
_FLAT: Final = 6.0
_CELLS: Final = 8
_FROM_MIDDLE: Final = np.linspace(-1, 1, 64, dtype=np.float32) ** 2
_CENTRALITY: Final = np.outer(1 - _FROM_MIDDLE, 1 - _FROM_MIDDLE)


class Pyramid:
    """A grey picture at falling sizes, and where in it there is something to see."""

    def __init__(self, grey: NDArray[np.uint8]) -> None:
        self.levels: list[NDArray[np.uint8]] = [grey]
        self._content: _Floats | None = None

    @property
    def width(self) -> int:
        return int(self.levels[0].shape[1])

    @property
    def height(self) -> int:
        return int(self.levels[0].shape[0])

    def level(self, index: int) -> NDArray[np.uint8]:
        while len(self.levels) <= index:
            last = self.levels[-1]
            size = (max(1, (last.shape[1] + 1) // 2), max(1, (last.shape[0] + 1) // 2))
            self.levels.append(cv2.resize(last, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False))
        return self.levels[index]

    @property
    def content(self) -> _Floats:
        """How much there is to see around each place, 0 to 1, on a small grid."""
        if self._content is None:
            scale = min(1.0, _MAX_FRAME_PX / max(self.width, self.height))
            size = (max(8, round(self.width * scale)), max(8, round(self.height * scale)))
            small = cv2.resize(self.levels[0], size, interpolation=cv2.INTER_AREA)
            soft = cv2.GaussianBlur(small.astype(np.float32), (0, 0), _SOFTENING_PX)
            windows = _Windows(np.ones_like(soft))
            variance = windows.average(windows.structure(soft) ** 2)
            half = (max(4, size[0] // 2), max(4, size[1] // 2))
            self._content = cv2.resize(_content(variance), half, interpolation=cv2.INTER_AREA)
        return self._content


@dataclass(frozen=True, slots=True)
class Proof:
    """What the dense check found; shares are 0 to 1."""

    agreement: float
    """Of the content where the two overlap."""
    texture_agreement: float
    """The same, of what is left without rows and columns: lines of text, horizons and frames look alike everywhere."""
    central_agreement: float
    weakest: float
    """The agreement of the worst cell of a coarse grid: a caption or a sticker hides in the mean, not here."""
    query_coverage: float
    reference_coverage: float
    fidelity: float
    richness: float
    """How much of what agrees is finely graded on both sides, as photographs are; stickers, type and icons are flat between their edges."""
    windows: float
    query_map: _Floats
    reference_map: _Floats


def check(query: Pyramid, reference: Pyramid, matrix: _Matrix) -> Proof | None:
    """How far the two agree where `matrix` (query to reference pixels) lays one upon the other; None where they hardly overlap."""
    frame = _frame(query, reference, matrix)
    if frame is None:
        return None
    to_query, to_reference, size = frame
    first, first_mask = _draw(query, to_query, size)
    second, second_mask = _draw(reference, to_reference, size)
    windows = _Windows(first_mask * second_mask)
    correlation, power = _correlate(windows.structure(first), windows.structure(second), windows)
    texture_correlation, texture_power = _correlate(windows.texture(first), windows.texture(second), windows)
    content, texture_content = _content(power) * windows.usable, _content(texture_power) * windows.usable
    total = float(content.sum())
    if total < _MIN_CONTENT * content.size:
        return None
    agrees, texture_agrees = _graded(correlation), _graded(texture_correlation)
    # Where there is texture it must agree too; where there is none, nothing is asked of it.
    both = np.minimum(agrees, np.maximum(texture_agrees, agrees * (1 - _content(texture_power))))
    good = both * windows.usable
    query_map, query_coverage = _covered(query, good, to_query)
    reference_map, reference_coverage = _covered(reference, good, to_reference)
    central = content * _drawn_centrality(query, to_query, size) * _drawn_centrality(reference, to_reference, size)
    return Proof(
        agreement=_mean(agrees, content),
        texture_agreement=_mean(texture_agrees, texture_content),
        central_agreement=_mean(both, central),
        weakest=_weakest(content, both),
        query_coverage=query_coverage,
        reference_coverage=reference_coverage,
        fidelity=_mean(correlation, content),
        richness=_richness(first, second, good * content),
        windows=float((content * both).sum()) / windows.side**2,
        query_map=query_map,
        reference_map=reference_map,
    )


class _Windows:
    """Averages over square windows of what both pictures fill."""

    def __init__(self, mask: _Floats) -> None:
        self.side = _window(max(mask.shape))
        self._mask = None if mask.all() else mask
        self.usable: _Floats = mask * (self._blur(mask, self.side, self.side) > _MIN_WINDOW_SHARE)

    def average(self, values: _Floats, across: int = 0, down: int = 0) -> _Floats:
        across, down = across or self.side, down or self.side
        if self._mask is None:
            return self._blur(values, across, down)
        return self._blur(values * self._mask, across, down) / np.maximum(self._blur(self._mask, across, down), np.float32(1e-6))

    def structure(self, values: _Floats) -> _Floats:
        """What stands out from the window's mean."""
        return values - self.average(values)

    def texture(self, values: _Floats) -> _Floats:
        """What stands out from the window's rows and columns as well: letters, not lines of text."""
        return values - self.average(values, down=1) - self.average(values, across=1) + self.average(values)

    @staticmethod
    def _blur(values: _Floats, across: int, down: int) -> _Floats:
        return cv2.blur(values, (across, down))


def _correlate(first: _Floats, second: _Floats, windows: _Windows) -> tuple[_Floats, _Floats]:
    """The correlation of every window, and its variance on the side that has more."""
    power_1, power_2 = windows.average(first * first), windows.average(second * second)
    correlation: _Floats = windows.average(first * second) / np.sqrt((power_1 + _NOISE) * (power_2 + _NOISE))
    return correlation, np.maximum(power_1, power_2)


def _frame(query: Pyramid, reference: Pyramid, matrix: _Matrix) -> tuple[_Matrix, _Matrix, tuple[int, int]] | None:
    """Maps from the common frame to either picture, and the frame's size."""
    try:
        backward = np.linalg.inv(matrix)
    except np.linalg.LinAlgError:
        return None
    corners = np.array([[0, 0], [reference.width, 0], [reference.width, reference.height], [0, reference.height]], np.float64)
    if (corners @ backward[2, :2] + backward[2, 2]).min() <= 1e-9:
        return None
    outline = project(backward, corners).astype(np.float32)
    own = np.array([[0, 0], [query.width, 0], [query.width, query.height], [0, query.height]], np.float32)
    area, overlap = cv2.intersectConvexConvex(outline, own)
    if area < _MIN_OVERLAP * query.width * query.height or overlap is None:
        return None
    overlap = overlap.reshape(-1, 2)
    low, high = np.floor(overlap.min(axis=0)), np.ceil(overlap.max(axis=0))
    longest = float((high - low).max())
    scale = local_scale(matrix, (low + high).astype(np.float64) / 2)
    fineness = min(1.0, scale, _MAX_FRAME_PX / longest)
    fineness = max(fineness, min(_MIN_FRAME_PX / longest, 2.0))
    size = (max(8, int(np.ceil((high[0] - low[0]) * fineness))), max(8, int(np.ceil((high[1] - low[1]) * fineness))))
    to_query = np.array([[1 / fineness, 0, low[0] + 0.5 / fineness - 0.5], [0, 1 / fineness, low[1] + 0.5 / fineness - 0.5], [0, 0, 1]])
    return to_query, matrix @ to_query, size


def _draw(picture: Pyramid, to_picture: _Matrix, size: tuple[int, int]) -> tuple[_Floats, _Floats]:
    """The picture seen in the frame, softened, and where in the frame there is picture."""
    step = local_scale(to_picture, np.array(size, np.float64) / 2)
    level = max(0, min(6, int(np.floor(np.log2(max(step, 1.0)) + 0.25))))
    source = picture.level(level)
    shrink = np.diag([source.shape[1] / picture.width, source.shape[0] / picture.height, 1.0])
    shrink[0, 2], shrink[1, 2] = 0.5 * shrink[0, 0] - 0.5, 0.5 * shrink[1, 1] - 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    matrix = shrink @ to_picture
    drawn = cv2.warpPerspective(source, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    here = np.full(source.shape, 255, np.uint8)
    mask = cv2.warpPerspective(here, matrix, size, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP, borderValue=0)
    return cv2.GaussianBlur(drawn, (0, 0), _SOFTENING_PX), (mask > 0).astype(np.float32)


def _covered(picture: Pyramid, good: _Floats, to_picture: _Matrix) -> tuple[_Floats, float]:
    """Where on the picture's content grid the frame agrees, and the share of the content that this is."""
    content = picture.content
    height, width = content.shape
    grow = np.array([[picture.width / width, 0, 0.5 * picture.width / width - 0.5], [0, picture.height / height, 0.5 * picture.height / height - 0.5], [0, 0, 1]])
    to_frame = np.linalg.inv(to_picture) @ grow
    step = local_scale(to_frame, np.array([width, height]) / 2)
    if step > 1.5:
        odd = 2 * int(step / 2) + 1
        good = cv2.blur(good, (odd, odd))
    found = cv2.warpPerspective(good, to_frame, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderValue=0)
    return found, float((found * content).sum()) / max(float(content.sum()), 1e-6)


def _drawn_centrality(picture: Pyramid, to_picture: _Matrix, size: tuple[int, int]) -> _Floats:
    """1 in the middle of the picture, falling towards its edges: what frames an asset stands at the edge."""
    side = _CENTRALITY.shape[0]
    shrink = np.diag([side / picture.width, side / picture.height, 1.0])
    return cv2.warpPerspective(_CENTRALITY, shrink @ to_picture, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderValue=0)


def _mean(values: _Floats, weights: _Floats) -> float:
    return float((values * weights).sum()) / max(float(weights.sum()), 1e-6)


def _richness(first: _Floats, second: _Floats, weight: _Floats) -> float:
    """The share of the weight where small neighbourhoods vary."""
    varies = np.ones_like(first)
    for values in (first, second):
        mean = cv2.blur(values, (5, 5))
        varies *= cv2.blur(values * values, (5, 5)) - mean * mean > _FLAT
    return _mean(varies, weight)


def _weakest(content: _Floats, agrees: _Floats) -> float:
    cells = (_CELLS, _CELLS)
    weight = cv2.resize(content, cells, interpolation=cv2.INTER_AREA)
    agreeing = cv2.resize(content * agrees, cells, interpolation=cv2.INTER_AREA)
    telling = weight > 0.1
    return float((agreeing[telling] / weight[telling]).min()) if telling.any() else 0.0


def _window(longest_px: int) -> int:
    return max(_MIN_WINDOW_PX, 2 * (longest_px // (2 * _WINDOWS_PER_FRAME)) + 1)


def _content(variance: _Floats) -> _Floats:
    variance = np.maximum(variance, 0)
    return variance / (variance + _HALF_CONTENT)


def _graded(correlation: _Floats) -> _Floats:
    return np.clip((correlation - np.float32(_AGREES_FROM)) / np.float32(_AGREES_FULLY - _AGREES_FROM), 0, 1)
