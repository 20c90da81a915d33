"""The frames that a fingerprint is made from: those of the time grid that differ from the one before, small and in grey.

A function of the decoded frames alone. They are kept as JPEG: what the detail is made from must be the same now and later.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

FRAME_SIDE: Final = 320
"""Pixels on the longer side: enough to find an inset of a third of the picture's width."""
THUMBNAIL_SIDE: Final = 64
MIN_SIDE_PX: Final = 8
SAMPLE_SECONDS: Final = 0.25
"""Of the time grid: what moves fast looks different half a second later."""
MAX_STEP_SECONDS: Final = 3 * SAMPLE_SECONDS
"""Between samples; what lies in a longer gap is not known."""
FEATURE_SECONDS: Final = 0.5
"""Features are taken from every second of them: they cost ten times as much and forgive more."""
MAX_FRAMES: Final = 1000
STILL_CHANGE: Final = 0.6
"""Mean change in grey levels of a thumbnail below which nothing has happened; an encoder's restlessness stays below it."""
STILL_CELL_CHANGE: Final = 5.0
"""The same in the cell of 8 x 8 that changes most: a small thing that moves is something."""
JPEG_QUALITY: Final = 80

_EARLY_SECONDS: Final = 0.1
_HEAD: Final = struct.Struct("<IIdBHBB")
_ENTRY: Final = struct.Struct("<ffI")

Grey = NDArray[np.uint8]


class Shown(Protocol):
    """A decoded frame."""

    @property
    def time_seconds(self) -> float: ...
    @property
    def grey(self) -> Grey: ...


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """Moments that differ: each appears at one of `times` from the first, and was last seen `until`. A still has one and no duration.

    `thumbnails` is moments x height x width; `frames` are JPEGs of the moments that features are taken from, empty for the others.
    """

    width: int
    height: int
    duration_seconds: float
    is_still: bool
    times: tuple[float, ...]
    until: tuple[float, ...]
    thumbnails: Grey
    frames: tuple[bytes, ...]

    def frame(self, index: int) -> Grey:
        grey = cv2.imdecode(np.frombuffer(self.frames[index], np.uint8), cv2.IMREAD_GRAYSCALE)
        assert grey is not None  # written by `record`
        return grey.astype(np.uint8, copy=False)

    def to_bytes(self) -> bytes:
        head = _HEAD.pack(self.width, self.height, self.duration_seconds, self.is_still, *self.thumbnails.shape)
        entries = (_ENTRY.pack(*times, len(frame)) for *times, frame in zip(self.times, self.until, self.frames, strict=True))
        return b"".join((head, *entries, self.thumbnails.tobytes(), *self.frames))

    @staticmethod
    def from_bytes(payload: bytes) -> Film:
        width, height, duration, is_still, count, rows, columns = _HEAD.unpack_from(payload)
        entries = [_ENTRY.unpack_from(payload, _HEAD.size + index * _ENTRY.size) for index in range(count)]
        at = _HEAD.size + count * _ENTRY.size
        thumbnails = np.frombuffer(payload, np.uint8, count * rows * columns, at).reshape(count, rows, columns)
        at += thumbnails.size
        frames = []
        for _, _, length in entries:
            frames.append(payload[at : at + length])
            at += length
        times, until, _ = zip(*entries, strict=True)
        return Film(width, height, duration, bool(is_still), times, until, thumbnails, tuple(frames))


def record(shown: Iterable[Shown], width: int, height: int, duration_seconds: float, *, is_still: bool) -> Film:
    """What differs from the frame before, and how long it stands: neither a still picture nor a gap is kept twice."""
    times: list[float] = []
    until: list[float] = []
    thumbnails: list[Grey] = []
    frames: list[bytes] = []
    taken = -FEATURE_SECONDS
    for frame in shown:
        thumbnail = reduced(frame.grey, THUMBNAIL_SIDE)
        time = float(np.float32(frame.time_seconds))
        if thumbnails and (thumbnail.shape != thumbnails[0].shape or time <= until[-1]):
            continue
        if thumbnails and time - until[-1] < MAX_STEP_SECONDS and not _differs(thumbnails[-1], thumbnail):
            until[-1] = time
            continue
        times.append(time)
        until.append(time)
        thumbnails.append(thumbnail)
        encoded = b""
        if _is_due(times[-1], taken):
            taken = times[-1]
            # Features cannot be looked for in a strip of a pixel or two.
            encoded = cv2.imencode(".jpg", reduced(frame.grey, FRAME_SIDE), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
        frames.append(encoded)
        if len(frames) == MAX_FRAMES:
            break
    return Film(width, height, duration_seconds, is_still, tuple(times), tuple(until), np.stack(thumbnails), tuple(frames))


def feature_frames(times: Sequence[float]) -> list[int]:
    """Which of a film's moments features are taken from."""
    chosen: list[int] = []
    for index, time in enumerate(times):
        if _is_due(time, times[chosen[-1]] if chosen else -FEATURE_SECONDS):
            chosen.append(index)
    return chosen


def _is_due(time: float, taken: float) -> bool:
    return time - taken >= FEATURE_SECONDS - _EARLY_SECONDS


def reduced(grey: Grey, side: int) -> Grey:
    """No longer than `side`, never enlarged, never thinner than a few pixels."""
    scale = min(1.0, side / max(grey.shape))
    size = tuple(min(side, max(MIN_SIDE_PX, round(length * scale))) for length in grey.shape[::-1])
    return grey if size == grey.shape[::-1] else cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _differs(last: Grey, now: Grey) -> bool:
    change = cv2.absdiff(last, now).astype(np.float32)
    return float(change.mean()) > STILL_CHANGE or float(cv2.blur(change, (8, 8)).max()) > STILL_CELL_CHANGE
