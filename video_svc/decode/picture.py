"""From a decoded frame to the small grey picture that is looked at: upright, with square pixels, black at 0 and white at 255."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, cast

import av
import numpy as np
import numpy.typing as npt
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from mesh.errors import UnsupportedMedia

Grey = npt.NDArray[np.uint8]
"""Rows and columns."""

WIDEST_PIXEL: Final = Fraction(4)
"""The widest that any system has is 2.2; what claims more, or the inverse, is taken to be square."""


@dataclass(frozen=True, slots=True)
class Hanging:
    """How the pictures of a film are to be hung: rows and columns swapped, then left and right, then top and bottom; and how wide
    a pixel is for its height."""

    is_turned: bool
    is_mirrored: bool
    is_upside_down: bool
    pixel_aspect: float

    @classmethod
    def of(cls, frame: VideoFrame, pixel_aspect: Fraction | None) -> Hanging:
        """Asked of one frame for all: PyAV keeps each frame that it is asked of until the garbage is collected."""
        aspect = pixel_aspect or Fraction(1)
        return cls(*_turn(frame), float(aspect) if 1 / WIDEST_PIXEL <= aspect <= WIDEST_PIXEL else 1.0)

    def size(self, frame: VideoFrame) -> tuple[int, int]:
        """Width and height of the whole picture, upright, with square pixels: none is made up, so one of the sides shrinks."""
        width, height = frame.width * min(1.0, self.pixel_aspect), frame.height / max(1.0, self.pixel_aspect)
        size = max(1, round(width)), max(1, round(height))
        return size[::-1] if self.is_turned else size


class Darkroom:
    """Makes pictures of one film; it keeps the tables that scaling to one size takes."""

    def __init__(self, hanging: Hanging, max_side: int) -> None:
        self._hanging, self._max_side = hanging, max_side
        self._scaler = VideoReformatter()

    def develop(self, frame: VideoFrame) -> Grey:
        hanging = self._hanging
        width, height = hanging.size(frame)[:: -1 if hanging.is_turned else 1]
        scale = min(1.0, self._max_side / max(width, height))
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
        try:
            # Averaging is what shrinks without moiré, and costs less than bilinear here; grey of any YUV is its luma, in full range.
            scaled = self._scaler.reformat(frame, width, height, "gray", interpolation=Interpolation.AREA, threads=1)
            grey = np.asarray(scaled.to_ndarray(), np.uint8)
        except (av.FFmpegError, ValueError) as problem:
            raise UnsupportedMedia("stores its pictures in a way that is not read here") from problem
        grey = grey.T if hanging.is_turned else grey
        grey = grey[:, ::-1] if hanging.is_mirrored else grey
        grey = np.ascontiguousarray(grey[::-1] if hanging.is_upside_down else grey)
        grey.setflags(write=False)
        return grey


_UPRIGHT: Final = (False, False, False)
_TURNS: Final = {1: (True, False, True), 2: (False, True, True), 3: (True, True, False)}
"""By quarters of a turn against the clock."""


def _turn(frame: VideoFrame) -> tuple[bool, bool, bool]:
    """By the display matrix (ISO/IEC 14496-12, section 6.2.2)."""
    try:
        matrix = cast(Mapping[Type, Any], frame.side_data).get(Type.DISPLAYMATRIX)
    except ValueError:  # PyAV gives nothing of a frame that also carries what it has no name for, as films of two views do
        matrix = None
    if matrix is None or matrix.buffer_size < 36:
        return _TURNS.get(round(frame.rotation / 90) % 4, _UPRIGHT)
    a, b, _, c, d, *_ = (int(number) for number in np.frombuffer(matrix, np.int32, 9))
    is_turned = abs(b) + abs(c) > abs(a) + abs(d)
    return is_turned, (c if is_turned else a) < 0, (b if is_turned else d) < 0
