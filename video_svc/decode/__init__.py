"""From the bytes of a film to small grey pictures on an absolute grid of time.

Moments count from the first picture that is shown, so that another container, encoder or rate gives the same grid; what is looked at
depends on the bytes alone. Nothing but a Video, its Frames, UnsupportedMedia or DurationTooLong comes out.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from mesh.container import open_container
from mesh.errors import UnsupportedMedia
from mesh.media_type import FILMS, SNIFF_BYTES, sniff
from mesh.structure import check_structure
from video_svc.decode.decoder import Decoded, decode, film_stream
from video_svc.decode.picture import Darkroom, Grey, Hanging
from video_svc.decode.sampling import Plan, plan_first, plan_grid, plan_key_frames
from video_svc.decode.timeline import read_timeline

__all__ = ["MAX_SIDE", "Frame", "Grey", "Video"]

MAX_SIDE: Final = 320

ROUGH_FROM: Final = 3
"""Times the side that is looked at: from here on a film is decoded without the filter between blocks, which saves a fifth."""

KEY_FRAME_TOLERANCE_SECONDS: Final = 0.1
"""Between what a packet and what its decoder says of a picture's time."""

_NOTHING_TO_SEE: Final = "holds no picture that can be decoded"

_WITHOUT_STAMPS: Final = frozenset({"video/x-msvideo"})
"""An AVI says in which order pictures are decoded, not when they are shown."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """What is seen `time_seconds` after the first picture. A picture that stands longer than the grid's step comes again, as the
    same array, at each moment at which it stands; otherwise the time is the picture's own."""

    time_seconds: float
    grey: Grey


class Video:
    """`width` and `height` are those of the whole upright picture with square pixels."""

    def __init__(self, content: bytes | mmap.mmap) -> None:
        self._content = content
        content_type = sniff(content[:SNIFF_BYTES])
        if content_type not in FILMS:
            raise UnsupportedMedia("is no video that is read here: MP4, MOV, WebM, Matroska, AVI, MPEG-TS or FLV")
        check_structure(content, content_type)
        self._content_type = content_type
        with open_container(content, content_type) as container:
            stream = film_stream(container)
            self._codec, pixel_aspect = stream.codec_context.name, stream.sample_aspect_ratio
            self._timeline = read_timeline(container, stream, has_stamps=content_type not in _WITHOUT_STAMPS)
        self.duration_seconds = self._timeline.duration_seconds
        with closing(decode(content, content_type, self._timeline, plan_first(self._timeline), is_rough=True)) as decoded:
            first = next(decoded, None)
        if first is None:
            raise UnsupportedMedia(_NOTHING_TO_SEE)
        self._hanging = Hanging.of(first[1], pixel_aspect)
        self.width, self.height = self._hanging.size(first[1])
        self._pixels = first[1].width * first[1].height

    def frames(self, frames_per_second: float, *, max_side: int = MAX_SIDE) -> Iterator[Frame]:
        """One at each moment of the grid; the longer side of the pictures is at most `max_side`."""
        plan = plan_grid(self._timeline, frames_per_second, self._codec, self._pixels)
        return self._look(plan, max_side, tolerance_seconds=0.5 / frames_per_second)

    def key_frames(self, *, max_side: int = MAX_SIDE) -> Iterator[Frame]:
        """Those that can be decoded alone: a first look that costs little. No two encoders put them at the same moments."""
        return self._look(plan_key_frames(self._timeline), max_side, tolerance_seconds=KEY_FRAME_TOLERANCE_SECONDS)

    def _look(self, plan: Plan, max_side: int, tolerance_seconds: float) -> Iterator[Frame]:
        darkroom = Darkroom(self._hanging, max_side)
        is_rough = max(self.width, self.height) >= ROUGH_FROM * max_side
        last: tuple[float, Grey] | None = None
        with closing(decode(self._content, self._content_type, self._timeline, plan, is_rough=is_rough)) as decoded:
            for moment, wanted, (seconds, frame) in _nearest(decoded, plan):
                if abs(seconds - wanted) > tolerance_seconds:
                    continue  # what was wanted could not be decoded
                if last is None or last[0] != seconds:
                    last = seconds, darkroom.develop(frame)
                yield Frame(seconds if abs(wanted - moment) <= tolerance_seconds else moment, last[1])
        if last is None:
            raise UnsupportedMedia(_NOTHING_TO_SEE)


def _nearest(decoded: Iterator[Decoded], plan: Plan) -> Iterator[tuple[float, float, Decoded]]:
    """Each moment of the plan with the seconds of the picture that is wanted there, and the nearest one that was decoded."""
    before = next(decoded, None)
    after = next(decoded, None)
    for moment, wanted in zip(plan.moments.tolist(), plan.pictures.tolist(), strict=True):
        while after is not None and after[0] < wanted:
            before, after = after, next(decoded, None)
        if before is None:
            return
        yield moment, wanted, before if after is None or wanted - before[0] <= after[0] - wanted else after
