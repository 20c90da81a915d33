"""A sound's fingerprint: the peaks of its spectrum over time, a few bytes each, a function of the samples alone."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

import numpy as np

from audio_svc.decode import Sound
from audio_svc.fingerprint.peaks import MAX_PEAKS_PER_WINDOW, WINDOW_FRAMES, Constellation, find_peaks
from audio_svc.fingerprint.spectrum import BANDS, FRAME_SECONDS
from audio_svc.fingerprint.triplets import Terms, query_terms, stored_terms
from mesh.errors import FingerprintMismatch, InvalidRequest

ALGORITHM: Final = "mediamesh-audio"
VERSION: Final = 2

MAX_SECONDS: Final = 320.0
"""Nothing longer is taken, so nothing longer can have been written."""
MIN_INFORMATION: Final = 0.02
"""Below it there is nothing to tell one sound from another: silence, a steady tone, hum."""
FULL_INFORMATION_MOMENTS: Final = 60
"""Frames in which something begins or changes: some three seconds of speech, ten of slow music."""
_EDGE_FRAMES: Final = 6
"""Where a sound begins or ends there is always a peak."""

_HEAD: Final = struct.Struct("<Bdf")
_PEAK_BYTES: Final = 3
_PAUSE: Final = 255
"""As a band: no peak, only time that passes; as a time: the most that one entry holds."""
_DAMAGED: Final = "The fingerprint is damaged."


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """Layer 0, read back."""

    duration_seconds: float
    information: float
    peaks: Constellation

    @property
    def frame_count(self) -> int:
        return frame_count(self.duration_seconds)


def frame_count(duration_seconds: float) -> int:
    return int(duration_seconds / FRAME_SECONDS) + 1


def outline(sound: Sound) -> bytes:
    """Layer 0: all that is compared."""
    peaks = find_peaks(sound.samples)
    moments = np.unique(peaks.frames)
    moments = moments[(moments > _EDGE_FRAMES) & (moments < frame_count(sound.duration_seconds) - _EDGE_FRAMES)]
    information = min(1.0, len(moments) / FULL_INFORMATION_MOMENTS)
    return _HEAD.pack(VERSION, sound.duration_seconds, information) + _packed(peaks)


def read_outline(payload: bytes) -> Outline:
    """The outline that `outline` wrote; anything else is refused."""
    if payload[:1] != bytes([VERSION]):
        raise FingerprintMismatch(f"This layer is not of {ALGORITHM} {VERSION}.")
    try:
        _, duration, information = _HEAD.unpack_from(payload)
        peaks = _unpacked(payload[_HEAD.size :])
    except (struct.error, ValueError) as error:
        raise InvalidRequest(_DAMAGED) from error
    if not (0 <= duration <= MAX_SECONDS and 0 <= information <= 1 and _are_possible(peaks, frame_count(duration))):
        raise InvalidRequest(_DAMAGED)
    return Outline(duration, information, peaks)


def detail() -> bytes:
    """Layer 1 adds terms alone, which stand beside the layers."""
    return bytes([VERSION])


def terms(outline_layer: bytes) -> Terms:
    """What an index keeps of the sound."""
    return stored_terms(read_outline(outline_layer).peaks)


def terms_to_ask_for(outline_layer: bytes) -> Terms:
    """What an index is asked for to find the sound, or what it was made from."""
    return query_terms(read_outline(outline_layer).peaks)


def _packed(peaks: Constellation) -> bytes:
    """Three bytes a peak: frames since the one before, band, level with quarter; a pause too long for one byte has entries of its own."""
    steps = np.diff(peaks.frames, prepend=0)
    pauses = steps // _PAUSE
    entries = np.arange(len(peaks)) + np.cumsum(pauses)
    packed = np.full((int(len(peaks) + pauses.sum()), _PEAK_BYTES), (_PAUSE, _PAUSE, 0), np.uint8)
    packed[entries] = np.stack([steps % _PAUSE, peaks.bands, peaks.levels * 4 + peaks.quarters], axis=1)
    return packed.tobytes()


def _unpacked(packed: bytes) -> Constellation:
    entries = np.frombuffer(packed, np.uint8).reshape(-1, _PEAK_BYTES).astype(np.int64)
    frames = np.cumsum(entries[:, 0])
    is_peak = entries[:, 1] != _PAUSE
    return Constellation(frames[is_peak], entries[is_peak, 2] % 4, entries[is_peak, 1], entries[is_peak, 2] // 4)


def _are_possible(peaks: Constellation, frames: int) -> bool:
    """In order, each place once, within the sound and the spectrum, and no more at a time than are ever kept."""
    if not len(peaks):
        return True
    places = peaks.frames * BANDS + peaks.bands
    crowd = np.bincount(peaks.frames // WINDOW_FRAMES).max() if peaks.frames[-1] < frames else MAX_PEAKS_PER_WINDOW + 1
    return bool(peaks.bands.max() < BANDS and (np.diff(places) > 0).all() and crowd <= MAX_PEAKS_PER_WINDOW)
