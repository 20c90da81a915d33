"""When a film's pictures are shown, read off its packets: nothing is decoded, and no header is believed.

Everything that limits a film is checked here, before the first picture is decoded.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.video.stream import VideoStream

from mesh.container import read_packets
from mesh.errors import DurationTooLong, UnsupportedMedia
from mesh.media import MediaType
from mesh.media_type import LIMITS

MAX_SECONDS: Final = LIMITS[MediaType.VIDEO].max_duration_seconds or 0.0

MAX_PACKETS: Final = 45_000
"""240 a second, as telephones film in slow motion, for the longest film."""


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """Each array has one entry a packet, in the order of decoding."""

    seconds: npt.NDArray[np.float64]
    """Since the first picture that is shown."""
    is_key: npt.NDArray[np.bool_]
    is_shown: npt.NDArray[np.bool_]
    """The edit list of a file hides pictures that others are made from; and what leans on pictures before the first is not shown."""
    has_stamps: bool
    """False: the packets say only in what order they are decoded, so the n-th picture that comes out is shown n-th."""
    start: int
    """When the first picture is shown, in the stream's own units."""
    duration_seconds: float


def read_timeline(container: InputContainer, stream: VideoStream, *, has_stamps: bool = True) -> Timeline:
    """`has_stamps`: whether this type of container can say when a picture is shown."""
    packets = _read_packets(container, stream)
    if not packets:
        raise UnsupportedMedia("holds no pictures")
    is_key = np.array([packet[3] for packet in packets])
    is_hidden = np.array([packet[4] for packet in packets])
    has_stamps = all(pts is not None for pts, *_ in packets) and (has_stamps or all(pts == dts for pts, dts, *_ in packets))
    # Where there are no stamps, packets follow upon each other.
    stamps = np.array([(pts if has_stamps else dts if dts is not None else number) for number, (pts, dts, *_) in enumerate(packets)])
    first_key = int(np.argmax(is_key))
    is_shown = ~is_hidden & (stamps >= stamps[first_key] if not is_hidden[first_key] else True)
    if not is_shown.any():
        raise UnsupportedMedia("shows none of its pictures")
    tick = stream.time_base or Fraction(1, 1000)
    start = int(stamps[is_shown].min())
    ends = _ends(stamps, [packet[2] for packet in packets])
    length = (int(ends[is_shown].max()) - start) * tick
    if length > MAX_SECONDS:
        raise DurationTooLong(f"runs for {float(length):.1f} s; video may run for {MAX_SECONDS:g} s")
    return Timeline((stamps - start) * float(tick), is_key, is_shown, has_stamps, start, float(length))


_Stamped = tuple[int | None, int | None, int | None, bool, bool]


def _read_packets(container: InputContainer, stream: VideoStream) -> list[_Stamped]:
    packets: list[_Stamped] = []
    for packet in read_packets(container, stream):
        if packet.size:
            packets.append((packet.pts, packet.dts, packet.duration, packet.is_keyframe, packet.is_discard))
        if len(packets) > MAX_PACKETS:
            raise UnsupportedMedia(f"is cut into more than {MAX_PACKETS:,} pictures")
    return packets


def _ends(stamps: npt.NDArray[np.int64], durations: list[int | None]) -> npt.NDArray[np.int64]:
    """When each picture gives way; where that is not said, after the usual time."""
    steps = np.diff(np.unique(stamps))
    usual = int(np.median(steps)) if len(steps) else 0
    lengths: npt.NDArray[np.int64] = np.array([duration or usual for duration in durations], np.int64)
    return stamps + lengths
