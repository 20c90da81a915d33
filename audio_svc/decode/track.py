"""One sound track of an open container to its channels at one rate, however its form changes on the way.

Time is counted in decoded samples, and stops at the cap: what a header says of it decides nothing but what is missing.
"""

from __future__ import annotations

from typing import Final

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Discard, Disposition

from mesh.container import MAX_PACKETS, SOUND_CODECS, read_packets
from mesh.errors import DurationTooLong, UnsupportedMedia
from mesh.media import MediaType
from mesh.media_type import LIMITS, max_sound_seconds

SAMPLE_RATE: Final = 16_000

Channels = npt.NDArray[np.float32]
"""One row, or left and right."""

MIN_RATE: Final = 4_000
MAX_RATE: Final = 192_000
MAX_CHANNELS: Final = 8

MAX_PARTS: Final = 1_000
"""Each change of form, and each gap, takes a resampler of its own."""

MAX_BROKEN_SHARE: Final = 0.02
"""Of the packets. Players skip what they cannot decode; a recording off the air begins and ends in the middle of one."""

MAX_PAGE_SECONDS: Final = 0.5
"""Of an Ogg; what may be missing of one however short it is."""

MIN_GAP_SECONDS: Final = 0.2
"""Time stamps jitter by less, and where they do not they are what a player waits for."""

_RESAMPLER: Final = {"filter_size": "16", "cutoff": "0.91", "rematrix_maxval": "1.0"}
"""Half the usual filter takes a sixth off an MP3's whole time: flat within 0.6 dB up to 6 kHz, and what lies above 9 kHz comes back into
the picture 36 dB weaker. More than two channels are added up without becoming louder."""

_BLOCK_SAMPLES: Final = 16_384
"""Resampled at once: a call costs as much as a thousand samples, and from 100,000 on they no longer fit the processor's cache."""


def sound_track(container: InputContainer) -> AudioStream:
    """The first that is marked as the default, else the first, of those that can be decoded."""
    if not container.streams.audio:
        raise UnsupportedMedia("holds no sound")
    tracks = [track for track in container.streams.audio if track.codec_context is not None and track.codec_context.name in SOUND_CODECS]
    if not tracks:
        raise UnsupportedMedia("holds sound in no codec that is read here")
    return next((track for track in tracks if track.disposition & Disposition.default), tracks[0])


def read_track(container: InputContainer, track: AudioStream, *, is_timed: bool) -> Channels:
    """The whole track; what its time stamps leave out is silence."""
    context = track.codec_context
    context.thread_count = 1
    for other in container.streams:
        if other.index != track.index:
            other.discard = Discard.all
    start_seconds = (container.start_time or 0) / av.time_base if is_timed else None
    recording = _Recording(start_seconds)
    packets = broken = 0
    for packet in read_packets(container, track):
        packets += 1
        if packets > MAX_PACKETS:
            raise UnsupportedMedia(f"is cut into more than {MAX_PACKETS:,} packets")
        try:
            frames = context.decode(packet)
        except av.FFmpegError:
            broken += 1
            continue
        for frame in frames:
            recording.add(frame)
    if broken > 1 + MAX_BROKEN_SHARE * packets:
        raise UnsupportedMedia(f"is damaged: {broken} of its {packets} packets cannot be decoded")
    channels = recording.finish()
    missing_seconds = _declared_seconds(container, track) - channels.shape[1] / SAMPLE_RATE
    if missing_seconds > 2 / SAMPLE_RATE:
        raise UnsupportedMedia(f"is truncated or damaged: {missing_seconds:.1f} s of it are missing")
    return channels


def _declared_seconds(container: InputContainer, track: AudioStream) -> float:
    """How much there must be, where that was counted and is no guess: FLAC's first block, and the last page of an Ogg."""
    seconds = float((track.duration or 0) * (track.time_base or 0))
    match container.format.name:
        case "flac":
            return seconds
        case "ogg":
            # Its demuxer drops damaged pages, of about a second, and says nothing.
            return seconds * (1 - MAX_BROKEN_SHARE) - MAX_PAGE_SECONDS
    return 0.0


class _Recording:
    """Frames in, channels at SAMPLE_RATE out."""

    def __init__(self, start_seconds: float | None) -> None:
        """`start_seconds` is where the clock of the frames' time stamps begins; None where it is not to be heeded."""
        self._start_seconds = start_seconds
        self._parts: list[Channels] = []
        self._changes = 0
        self._form: tuple[int, int, str] | None = None
        self._seconds_before = 0.0
        """What the parts with other forms came to."""
        self._samples = 0

    def add(self, frame: AudioFrame) -> None:
        form = (frame.sample_rate, frame.layout.nb_channels, frame.format.name)
        if form != self._form:
            self._end_part()
            self._begin_part(form)
        if self._start_seconds is not None and frame.pts is not None and frame.time_base is not None:
            late_seconds = float(frame.pts * frame.time_base) - self._start_seconds - self._seconds
            if late_seconds > MIN_GAP_SECONDS:
                self._add_silence(late_seconds)
                self._begin_part(form)
        frame.pts = None  # the buffer would have them without gaps
        self._fifo.write(frame)
        self._samples += frame.samples
        if self._fifo.samples >= _BLOCK_SAMPLES:
            self._check_length()
            self._resample()

    def finish(self) -> Channels:
        self._check_length()
        self._end_part()
        if not sum(part.shape[1] for part in self._parts):
            raise UnsupportedMedia("holds no sound: not one sample can be decoded")
        rows = max(len(part) for part in self._parts)
        return np.concatenate([np.broadcast_to(part, (rows, part.shape[1])) for part in self._parts], axis=1)

    @property
    def _seconds(self) -> float:
        return self._seconds_before + (self._samples / self._form[0] if self._form else 0.0)

    def _begin_part(self, form: tuple[int, int, str]) -> None:
        rate, channels, _ = form
        if not (MIN_RATE <= rate <= MAX_RATE and 1 <= channels <= MAX_CHANNELS):
            raise UnsupportedMedia(
                f"has {channels} channels at {rate:,} Hz; up to {MAX_CHANNELS} at {MIN_RATE:,} to {MAX_RATE:,} Hz are read here"
            )
        self._changes += 1
        if self._changes > MAX_PARTS:
            raise UnsupportedMedia(f"changes its form, or breaks off, more than {MAX_PARTS:,} times")
        self._form = form
        self._fifo = av.AudioFifo()
        self._resampler = av.AudioResampler("fltp", "mono" if channels == 1 else "stereo", SAMPLE_RATE, options=_RESAMPLER)

    def _end_part(self) -> None:
        if self._form is None:
            return
        self._resample()
        self._take(self._resampler.resample(None))
        self._seconds_before, self._samples, self._form = self._seconds, 0, None

    def _add_silence(self, seconds: float) -> None:
        self._end_part()
        self._seconds_before += seconds
        self._check_length()
        self._parts.append(np.zeros((1, round(seconds * SAMPLE_RATE)), np.float32))

    def _resample(self) -> None:
        block = self._fifo.read()
        if block is not None:
            block.pts = None
            self._take(self._resampler.resample(block))

    def _take(self, frames: list[AudioFrame]) -> None:
        self._parts += [frame.to_ndarray().astype(np.float32, copy=False) for frame in frames]

    def _check_length(self) -> None:
        rate = self._form[0] if self._form else MAX_RATE
        if self._seconds > max_sound_seconds(MediaType.AUDIO, rate):
            cap_seconds = LIMITS[MediaType.AUDIO].max_duration_seconds
            raise DurationTooLong(f"runs for {self._seconds:.1f} s or more; audio may run for {cap_seconds:g} s")
