"""From the bytes of a sound, or of a film with a sound track, to its samples: mono, 16 kHz, as loud as a player has them.

The answer depends on the bytes alone. It is whole or refused: nothing but a Sound, UnsupportedMedia or DurationTooLong comes out.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from audio_svc.decode.mono import as_mono
from audio_svc.decode.track import SAMPLE_RATE, read_track, sound_track
from mesh.container import open_container
from mesh.errors import UnsupportedMedia
from mesh.media import MediaType
from mesh.media_type import FILMS, SNIFF_BYTES, accepts, sniff
from mesh.structure import check_structure

__all__ = ["SAMPLE_RATE", "Sound", "decode_audio"]

_TIMED: Final = FILMS | {"audio/mp4"}
"""Where every packet says when it is heard. In the other types, time is what was decoded so far, or a guess from it."""


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """`samples` are finite, from -1 to 1, SAMPLE_RATE of them a second."""

    samples: npt.NDArray[np.float32]

    @property
    def duration_seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE


def decode_audio(data: bytes | mmap.mmap) -> Sound:
    """Of several sound tracks the one that players start with; of several channels what all of them together sound like."""
    content_type = sniff(data[:SNIFF_BYTES])
    if content_type is None or not accepts(MediaType.AUDIO, content_type):
        raise UnsupportedMedia("is no sound that is read here: MP3, AAC, M4A, Ogg, Opus, FLAC, WAV, AIFF, WMA, or a film's sound track")
    check_structure(data, content_type)
    with open_container(data, content_type) as container:
        channels = read_track(container, sound_track(container), is_timed=content_type in _TIMED)
    return Sound(as_mono(channels))
