"""What a line and a geometry explain: the films' thumbnails laid upon each other all along the line, and out of step for comparison."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from matching.alignment import Matrix, local_scale
from matching.frame import centrality, common_frame
from matching.windows import Floats, Windows, agreement, content, correlate_drawn
from video_svc.compare.geometry import Geometry
from video_svc.compare.lines import Line
from video_svc.compare.side import GRID_SECONDS, Side
from video_svc.compare.steady import best_shifts, moved
from video_svc.fingerprint import frame_size

_SOFTENING_PX: Final = 0.8
_MAX_CHANNELS: Final = 64
_WARP: Final = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
_Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Proof:
    """Moment by moment on the first film's grid, where the line meets the second. Agreements are shares of content, 0 to 1."""

    line: Line
    moments: NDArray[np.intp]
    """Indices into the first film's grid."""
    first: NDArray[np.intp]
    second: NDArray[np.intp]
    """The frames that meet."""
    agreement: _Array
    central_agreement: _Array
    """In the middle of both pictures: what films wear alike stands at their edges."""
    out_of_step: _Array
    """The mean agreement of the same frames of the first film with frames of the second at other times."""
    fidelity: _Array
    weight: _Array
    """How much there is to see on both sides together."""
    first_share: _Array
    second_share: _Array
    """Which share of each frame's content lies where the two overlap."""


def prove(table: Table, line: Line) -> Proof | None:
    """How far the two agree along the line; None where they never meet."""
    moments, first, second = meeting(table.one, table.two, line, np.arange(len(table.one.grid)))
    if not len(moments):
        return None
    found = table.compare(first, second)
    others = [np.roll(second, shift) for shift in _shifts(len(second))]
    wrong = np.mean([table.compare(first, other).overall for other in others], axis=0) if others else np.zeros(len(first))
    inside = table.inside[0][first], table.inside[1][second]
    return Proof(line, moments, first, second, found.overall, found.central, wrong, found.fidelity, found.weight, *inside)


def meeting(one: Side, two: Side, line: Line, moments: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Those of the moments at which the second film runs too, and the frames of both that show then."""
    there = line(one.grid[moments])
    moments = moments[(there > -GRID_SECONDS / 2) & (there < two.duration + GRID_SECONDS / 2) & two.knows(there)]
    first = one.showing[moments]
    # A frame that shows for a moment only was taken at a time of its own.
    is_brief = one.until[first] - one.times[first] < GRID_SECONDS
    return moments, first, two.at(line(np.where(is_brief, one.times[first], one.grid[moments])))


def _shifts(count: int) -> list[int]:
    return sorted({max(2, count // 3), max(2, (2 * count) // 3)}) if count >= 4 else []


@dataclass(frozen=True, slots=True, eq=False)
class _Laid:
    to_first: Matrix
    to_second: Matrix
    size: tuple[int, int]


def to_thumbnail(side: Side) -> Matrix:
    """From pixels of FRAME_SIDE to those of the thumbnail, middle to middle."""
    width, height = frame_size(side.outline.width, side.outline.height)
    across, down = side.width / width, side.height / height
    return np.array([[across, 0, across / 2 - 0.5], [0, down, down / 2 - 0.5], [0, 0, 1]])


def _between(one: Side, two: Side, matrix: Matrix) -> Matrix:
    between: Matrix = to_thumbnail(two) @ matrix @ np.linalg.inv(to_thumbnail(one))
    return between


def _lay(one: Side, two: Side, matrix: Matrix) -> _Laid | None:
    frame = common_frame((one.width, one.height), (two.width, two.height), _between(one, two, matrix))
    return None if frame is None else _Laid(*frame)


def _inside(one: Side, two: Side, matrix: Matrix) -> tuple[_Array, _Array]:
    """Of every frame of either film, the share of its content that the geometry puts inside the other's picture."""
    between = _between(one, two, matrix)
    shares = []
    for side, other, to_other in ((one, two, between), (two, one, np.linalg.inv(between))):
        white = np.ones((other.height, other.width), np.float32)
        mask = cv2.warpPerspective(white, to_other, (side.width, side.height), flags=_WARP, borderValue=0)
        seen = np.einsum("ij,ijk->k", mask, side.content)
        shares.append((seen / np.maximum(side.content.sum(axis=(0, 1)), 1e-6)).astype(np.float64))
    return shares[0], shares[1]


@dataclass(frozen=True, slots=True, eq=False)
class Agreements:
    """Of pairs of frames: shares of content, all over and in the middle of both; correlation as a share of what could be; content."""

    overall: _Array
    central: _Array
    fidelity: _Array
    weight: _Array


class Table:
    """Frames of both films drawn into one frame, to be compared in any combination."""

    def __init__(self, one: Side, two: Side, geometry: Geometry, laid: _Laid, *, steadied: bool) -> None:
        self.one, self.two, self.geometry, self._steadied = one, two, geometry, steadied
        masks = [_mask(side, to_side, laid.size) for side, to_side in ((one, laid.to_first), (two, laid.to_second))]
        self._windows = Windows(masks[0] * masks[1], stacked=True)
        self._first = _Drawn(one, laid.to_first, laid.size, self._windows)
        self._second = _Drawn(two, laid.to_second, laid.size, self._windows)
        self._centrality = (
            centrality(self._first.size, laid.to_first, laid.size) * centrality(self._second.size, laid.to_second, laid.size)
        )[..., None]
        self._results = np.full((4, len(one), len(two)), np.nan, np.float32)

    @cached_property
    def inside(self) -> tuple[_Array, _Array]:
        """Of every frame of either film, the share of its content that lies inside the other's picture."""
        return _inside(self.one, self.two, self.geometry.matrix)

    @staticmethod
    def of(one: Side, two: Side, geometry: Geometry, *, steadied: bool = False) -> Table | None:
        """None where the two pictures hardly overlap. `steadied`: each pair of frames is first moved to where it fits best."""
        laid = _lay(one, two, geometry.matrix)
        return None if laid is None else Table(one, two, geometry, laid, steadied=steadied)

    def compare(self, first: NDArray[np.intp], second: NDArray[np.intp]) -> Agreements:
        """Each pair of frames, each looked at once."""
        missing = np.unique((first * len(self.two) + second)[np.isnan(self._results[0, first, second])])
        for k in range(0, len(missing), _MAX_CHANNELS):
            some = missing[k : k + _MAX_CHANNELS]
            a, b = some // len(self.two), some % len(self.two)
            self._results[:, a, b] = self._correlate(a, b)
        return Agreements(*self._results[:, first, second].astype(np.float64))

    def _correlate(self, a: NDArray[np.intp], b: NDArray[np.intp]) -> _Array:
        values_1, power_1, content_1 = self._first.show(a)
        values_2, power_2, content_2 = self._second.show(b)
        if self._steadied:
            shifts = best_shifts(values_1, values_2)
            values_2, power_2, content_2 = (moved(planes, shifts) for planes in (values_2, power_2, content_2))
        found = correlate_drawn(values_1 * values_2, power_1, power_2, content_1, content_2, self._windows)
        weight = found.weight
        total = np.maximum(weight.sum(axis=(0, 1)), 1e-6)
        agreeing = agreement(found.values) * weight
        agrees = agreeing.sum(axis=(0, 1)) / total
        central = np.maximum((weight * self._centrality).sum(axis=(0, 1)), 1e-6)
        in_middle = (agreeing * self._centrality).sum(axis=(0, 1)) / central
        fidelity = np.einsum("ijk,ijk->k", found.values, weight) / np.maximum(np.einsum("ijk,ijk->k", found.attainable, weight), 1e-6)
        return np.stack([agrees, in_middle, fidelity, total / max(1.0, float(self._windows.usable.sum()))])


class _Drawn:
    """Frames of one film as the common frame sees them, less each window's mean; each drawn once."""

    def __init__(self, side: Side, to_side: Matrix, size: tuple[int, int], windows: Windows) -> None:
        self._side, self._to_side, self._size, self._windows = side, to_side, size, windows
        self.size = side.width, side.height
        self._step = local_scale(to_side, size[0] / 2, size[1] / 2)
        self._is_drawn = np.zeros(len(side), bool)
        # A frame a row: columns are put together for the frames that are asked for.
        self._values, self._power = (np.empty((len(side), size[1] * size[0]), np.float32) for _ in range(2))

    def show(self, frames: NDArray[np.intp]) -> tuple[Floats, Floats, Floats]:
        """The frames, how much they vary in each window, and how much there is to see there."""
        missing = np.unique(frames[~self._is_drawn[frames]])
        for k in range(0, len(missing), _MAX_CHANNELS):
            some = missing[k : k + _MAX_CHANNELS]
            values = self._draw(some)
            power = np.maximum(self._windows.average(values * values), 0)
            for drawn, stack in ((self._values, values), (self._power, power)):
                drawn[some] = cv2.transpose(stack.reshape(-1, len(some)))
        self._is_drawn[missing] = True
        shape = (self._size[1], self._size[0], len(frames))
        values, power = (cv2.transpose(drawn[frames]).reshape(shape) for drawn in (self._values, self._power))
        return values, power, content(power)

    def _draw(self, frames: NDArray[np.intp]) -> Floats:
        stack = np.take(self._side.stack, frames, axis=2).astype(np.float32)
        if self._step > 1.4:
            stack = cv2.GaussianBlur(stack, (0, 0), 0.45 * self._step).reshape(stack.shape).astype(np.float32, copy=False)
        shape = (self._size[1], self._size[0], len(frames))
        seen = cv2.warpPerspective(stack, self._to_side, self._size, flags=_WARP, borderMode=cv2.BORDER_REPLICATE).reshape(shape)
        return self._windows.structure(cv2.GaussianBlur(seen, (0, 0), _SOFTENING_PX).reshape(shape))


def _mask(side: Side, to_side: Matrix, size: tuple[int, int]) -> Floats:
    white = np.ones((side.height, side.width), np.uint8)
    return cv2.warpPerspective(white, to_side, size, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP, borderValue=0).astype(np.float32)
