"""What an alignment explains: both pictures drawn into one frame, correlated window by window.

A window counts by how much there is to see in it on either side, so that agreement on plain ground is worth nothing.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from matching.alignment import Matrix
from matching.frame import Frame, frame_around, share_of
from matching.pyramid import MAX_FRAME_PX, Pyramid
from matching.windows import Correlation, Floats, Windows, agreement, correlate

# Share of the frame below which what there is to see says nothing.
_MIN_CONTENT: Final = 0.01
_CELLS: Final = 8
_TELLING_CELL: Final = 0.1
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


class Proof:
    """What the dense check found, each figure once somebody asks for it. Agreements are shares, 0 to 1, of the content where the two
    pictures overlap."""

    def __init__(self, frame: Frame, windows: Windows, structure: Correlation, texture: Correlation) -> None:
        self._frame, self._windows, self._structure, self._texture = frame, windows, structure, texture
        self._weight = structure.weight
        self._agrees, texture_agrees = agreement(structure.values), agreement(texture.values)
        self.agreement = share_of(self._agrees, self._weight)
        self.texture_agreement = share_of(texture_agrees, texture.weight)
        """Of what is left without rows and columns: lines of text, horizons and frames look alike everywhere."""
        # Where there is texture it must agree too; where there is none, nothing is asked of it.
        self._both: Floats = np.minimum(self._agrees, np.maximum(texture_agrees, self._agrees * (1 - texture.content)))

    @cached_property
    def central_agreement(self) -> float:
        """Of what lies in the middle of both pictures: what assets wear alike stands at their edges."""
        return share_of(self._both, self._weight * self._frame.middle)

    @cached_property
    def contradiction(self) -> float:
        """The share of what shows something else outright: blur and thin overlays take agreement away, but contradict nothing."""
        return share_of(self._both < _OUTRIGHT, self._weight)

    @cached_property
    def crispness(self) -> float:
        """Of what does not contradict, the share that agrees plainly: what was cut out and pasted does, or not at all; a haze does in
        part."""
        return share_of(self._both > _PLAINLY, self._weight) / float(max(1 - self.contradiction, 1e-6))

    @cached_property
    def rivalry(self) -> float:
        """Of what both show equally strongly, the share that contradicts outright; not looked for, and 0, where nothing is hazy."""
        if self.crispness >= MIN_CRISPNESS:
            return 0.0
        return share_of(self._both < _OUTRIGHT, self._weight * _evenness(self._frame.first, self._frame.second, self._windows))

    @cached_property
    def centre_seen(self) -> float:
        """How much of the middle of both pictures was compared and had something to show, 0 to 1."""
        return share_of(self._structure.content * self._windows.usable, self._frame.middle)

    @cached_property
    def weakest(self) -> float:
        """Of the worst cell of a coarse grid: a caption or a sticker hides in the mean, not here."""
        return _weakest(self._both, self._weight)

    @property
    def query_coverage(self) -> float:
        """Share of all that there is to see in the query."""
        return self._on_query[1]

    @property
    def reference_coverage(self) -> float:
        return self._on_reference[1]

    @property
    def query_map(self) -> Floats:
        """Where in the query the two agree, on its content grid."""
        return self._on_query[0]

    @property
    def reference_map(self) -> Floats:
        return self._on_reference[0]

    @cached_property
    def fidelity(self) -> float:
        """Mean correlation as a share of what could be, -1 to 1; 1 where the pictures are the same."""
        return share_of(self._structure.values, self._weight) / max(share_of(self._structure.attainable, self._weight), 1e-6)

    @cached_property
    def richness(self) -> float:
        """How much of what agrees is finely graded on both sides, as photographs are; stickers and icons are flat between their edges."""
        one, other = self._frame.graded
        return share_of((one & other).astype(np.float32), self._good * self._weight)

    @cached_property
    def windows(self) -> float:
        """How many windows' worth of content agrees."""
        return float((self._both * self._weight).sum()) / float(self._windows.side**2)

    @cached_property
    def _good(self) -> Floats:
        return self._both * self._windows.usable

    @cached_property
    def _on_query(self) -> tuple[Floats, float]:
        return self._frame.on_query(self._good)

    @cached_property
    def _on_reference(self) -> tuple[Floats, float]:
        return self._frame.on_reference(self._good)


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
    frame = frame_around(query, reference, matrix, max_frame_px)
    if frame is None:
        return None
    first, second, seen = frame.first, frame.second, frame.seen
    if uncovered:
        one, other = frame.graded
        seen = seen * (1 - np.maximum(_hidden(one, other), _hidden(other, one)))
    if without_rivals:
        seen = seen * (1 - _rivals(first, second, Windows(seen)))
    windows = Windows(seen)
    (structure_1, texture_1), (structure_2, texture_2) = windows.reliefs(first), windows.reliefs(second)
    structure = correlate(structure_1, structure_2, windows)
    if float(structure.weight.sum()) < _MIN_CONTENT * structure.weight.size:
        return None
    return Proof(frame, windows, structure, correlate(texture_1, texture_2, windows))


def _evenness(first: Floats, second: Floats, windows: Windows) -> Floats:
    """1 where both show equally much for what they show elsewhere, 0 where one shows less than half of it."""
    one, two = (np.sqrt(np.maximum(windows.average(windows.structure(values) ** 2), 1e-3)) for values in (first, second))
    one, two = one / one.mean(), two / two.mean()
    even: Floats = np.clip((np.minimum(one, two) / np.maximum(one, two) - 0.4) / 0.4, 0, 1)
    return even


def _hidden(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> Floats:
    """1 where the first shows an even patch, and the other something under a good part of it, given where either is graded."""
    even = cv2.morphologyEx((~one).view(np.uint8), cv2.MORPH_OPEN, np.ones((_PATCH_PX, _PATCH_PX), np.uint8))
    count, patches = cv2.connectedComponents(np.asarray(even, np.uint8), connectivity=4)
    if count == 1:
        return np.zeros(one.shape, np.float32)
    under = np.bincount(patches[other], minlength=count)
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


def check_coarsely(query: Pyramid, reference: Pyramid, matrix: Matrix) -> float:
    """The agreement of what is left of the two at a few dozen pixels, which blur does not reach; 0 where they hardly overlap."""
    frame = frame_around(query, reference, matrix, _COARSE_PX)
    if frame is None:
        return 0.0
    windows = Windows(frame.seen)
    structure = correlate(windows.structure(frame.first), windows.structure(frame.second), windows)
    return share_of(agreement(structure.values), structure.weight)


def _weakest(agrees: Floats, weight: Floats) -> float:
    share = cv2.resize(weight, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA)
    agreeing = cv2.resize(weight * agrees, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA)
    telling = share > _TELLING_CELL
    return float((agreeing[telling] / share[telling]).min()) if telling.any() else 0.0
