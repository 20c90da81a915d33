"""Films for tests, drawn from a seed: a camera moves over photograph-like scenes, with cuts between, in every container and codec.

What is seen depends on the seed and the moment alone, so the same film can be had at any size and rate, and any part of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from io import BytesIO
from tempfile import NamedTemporaryFile
from typing import Any, Final

import av
import cv2
import numpy as np
from av.packet import Packet
from av.stream import Stream

from tests.pictures import Pixels, photo

CANVAS: Final = 512
"""The side of a scene's picture, over which the camera moves."""

SOUND_RATE: Final = 48_000
TICKS: Final = 90_000
"""To the second; every usual rate and moment is a whole number of them."""


@dataclass(frozen=True)
class Film:
    """`scenes` may name others' scenes, so that two films share some; by default they are of this seed alone."""

    seed: int
    seconds: float = 4.0
    width: int = 320
    height: int = 240
    rate: Fraction = Fraction(24)
    scene_seconds: float = 1.6
    scenes: tuple[int, ...] = ()

    def moments(self) -> list[float]:
        """When its pictures begin."""
        return [float(number / self.rate) for number in range(round(self.seconds * self.rate))]

    def picture(self, moment: float) -> Pixels:
        """RGB. What stands `moment` seconds after the start."""
        number, into = divmod(moment + 1e-9, self.scene_seconds)
        scene = self.scenes[int(number) % len(self.scenes)] if self.scenes else self.seed * 1000 + int(number)
        return _seen(scene, float(into), self.width, self.height)

    def pictures(self, moments: Iterable[float] | None = None) -> Iterator[tuple[float, Pixels]]:
        return ((moment, self.picture(moment)) for moment in (self.moments() if moments is None else moments))


@dataclass(frozen=True)
class Cut:
    """What a film shows from `start` on for so many of its own seconds, played at a speed."""

    film: Film
    start: float
    seconds: float
    speed: float = 1.0


@dataclass(frozen=True)
class Montage:
    """Cuts, one after the other; the sizes of their films must be the same."""

    cuts: tuple[Cut, ...]
    rate: Fraction = Fraction(24)

    @property
    def seconds(self) -> float:
        return sum(cut.seconds / cut.speed for cut in self.cuts)

    def moments(self) -> list[float]:
        return [float(number / self.rate) for number in range(round(self.seconds * self.rate))]

    def picture(self, moment: float) -> Pixels:
        *others, last = self.cuts
        for cut in others:
            if moment < cut.seconds / cut.speed - 1e-9:
                return cut.film.picture(cut.start + moment * cut.speed)
            moment -= cut.seconds / cut.speed
        return last.film.picture(last.start + moment * last.speed)

    def pictures(self, moments: Iterable[float] | None = None) -> Iterator[tuple[float, Pixels]]:
        return ((moment, self.picture(moment)) for moment in (self.moments() if moments is None else moments))


@lru_cache(maxsize=64)
def _canvas(scene: int) -> Pixels:
    return photo(scene, CANVAS, CANVAS)


def _seen(scene: int, into_seconds: float, width: int, height: int) -> Pixels:
    """The camera pans, turns and closes in; a disc crosses the scene."""
    random = np.random.default_rng(scene)
    start, drift = random.uniform(0.4, 0.6, 2) * CANVAS, random.uniform(-18, 18, 2)
    zoom, turn = 1 + random.uniform(0.02, 0.1) * into_seconds, random.uniform(-4, 4) * into_seconds
    scale = zoom * max(width, height) / (0.55 * CANVAS)
    centre = start + drift * into_seconds
    view = cv2.getRotationMatrix2D((float(centre[0]), float(centre[1])), turn, scale)
    view[:, 2] += (width / 2 - centre[0], height / 2 - centre[1])
    picture = cv2.warpAffine(_canvas(scene), view, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    place = (random.uniform(0.2, 0.8, 2) + random.uniform(-0.15, 0.15, 2) * into_seconds) * (width, height)
    radius, colour = max(2, min(width, height) // 12), tuple(float(c) for c in random.integers(0, 256, 3))
    cv2.circle(picture, (round(float(place[0])), round(float(place[1]))), radius, colour, -1, cv2.LINE_AA)
    return np.asarray(picture, np.uint8)


@dataclass(frozen=True)
class Format:
    """`options` make the encoder quick, and its output the same on every machine."""

    content_type: str
    muxer: str
    encoder: str
    sound_encoder: str
    options: Mapping[str, str]


_X264: Final = {"preset": "veryfast", "crf": "20"}
_X265: Final = {"preset": "ultrafast", "crf": "22", "x265-params": "log-level=none:pools=none:frame-threads=1"}
_VPX: Final = {"deadline": "realtime", "cpu-used": "8", "crf": "12", "b": "2M"}
_SVT: Final = {"preset": "12", "crf": "25", "svtav1-params": "lp=1"}
_QUALITY: Final = {"qmin": "2", "qmax": "4"}

FORMATS: Final[dict[str, Format]] = {
    "mp4": Format("video/mp4", "mp4", "libx264", "aac", _X264),
    "mp4-hevc": Format("video/mp4", "mp4", "libx265", "aac", _X265),
    "mp4-av1": Format("video/mp4", "mp4", "libsvtav1", "aac", _SVT),
    "mp4-mpeg4": Format("video/mp4", "mp4", "mpeg4", "aac", _QUALITY),
    "mov": Format("video/quicktime", "mov", "libx264", "aac", _X264),
    "mov-mjpeg": Format("video/quicktime", "mov", "mjpeg", "pcm_s16le", _QUALITY),
    "mov-prores": Format("video/quicktime", "mov", "prores_ks", "pcm_s16le", {}),
    "webm": Format("video/webm", "webm", "libvpx", "libopus", _VPX),
    "webm-vp9": Format("video/webm", "webm", "libvpx-vp9", "libopus", _VPX),
    "mkv": Format("video/x-matroska", "matroska", "libx264", "flac", _X264),
    "mkv-hevc": Format("video/x-matroska", "matroska", "libx265", "libopus", _X265),
    "avi-mpeg4": Format("video/x-msvideo", "avi", "mpeg4", "pcm_s16le", _QUALITY),
    "avi-h264": Format("video/x-msvideo", "avi", "libx264", "libmp3lame", _X264),
    "avi-mjpeg": Format("video/x-msvideo", "avi", "mjpeg", "pcm_s16le", _QUALITY),
    "ts": Format("video/mp2t", "mpegts", "libx264", "aac", _X264),
    "ts-mpeg2": Format("video/mp2t", "mpegts", "mpeg2video", "mp2", {**_QUALITY, "bf": "2"}),
    "flv": Format("video/x-flv", "flv", "libx264", "aac", _X264),
    "flv-flv1": Format("video/x-flv", "flv", "flv", "libmp3lame", _QUALITY),
}


_PIXEL_FORMATS: Final = {"mjpeg": "yuvj420p", "prores_ks": "yuv422p10le"}


@contextmanager
def _own_priority() -> Iterator[None]:
    """SVT-AV1, run by root, makes the thread that calls it a real-time one; whatever that starts afterwards would starve all others."""
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


def encoded(
    film: Film | Montage,
    file_format: str = "mp4",
    *,
    moments: Iterable[float] | None = None,
    start_seconds: float = 0.0,
    pixel_format: str = "",
    sound: int | None = None,
    rotation_degrees: int = 0,
    is_mirrored: bool = False,
    pixel_aspect: Fraction | None = None,
    muxer_options: Mapping[str, str] | None = None,
    edit: Callable[[Pixels], Pixels] | None = None,
    options: Mapping[str, str] | None = None,
) -> bytes:
    """The film as a file of one of the FORMATS. `sound` is the seed of a sound track; players are told to turn it by
    `rotation_degrees` against the clock and to mirror it; `options` go to the encoder of the pictures;
    `edit` changes each picture and must not change its size over time."""
    known = FORMATS[file_format]
    shown = film.pictures(moments)
    first_moment, first = next(shown)
    first = edit(first) if edit else first
    with (
        _own_priority(),
        NamedTemporaryFile() as file,
        av.open(file.name, "w", format=known.muxer, options=dict(muxer_options or {})) as container,
    ):
        stream = container.add_stream(known.encoder, rate=film.rate, options={"threads": "1", **known.options, **(options or {})})
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = pixel_format or _PIXEL_FORMATS.get(known.encoder, "yuv420p")
        # These count in frames; the others take any moment.
        by_frames = known.muxer == "avi" or known.encoder in ("mpeg2video", "mpeg4")
        tick = 1 / film.rate if by_frames else Fraction(1, 1000) if known.muxer == "flv" else Fraction(1, TICKS)
        stream.time_base = stream.codec_context.time_base = tick
        if pixel_aspect is not None:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        if rotation_degrees or is_mirrored:
            stream.set_display_rotation(rotation_degrees, hflip=is_mirrored)
        track = _add_sound(container, known.sound_encoder) if sound is not None else None
        last = 0.0

        def show(moment: float, picture: Pixels) -> list[Packet[Any]]:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(Fraction(moment + start_seconds) / tick), tick
            return stream.encode(frame)

        packets = show(first_moment, first)
        for moment, picture in shown:
            packets += show(moment, edit(picture) if edit else picture)
            last = moment
        packets += stream.encode(None)
        if track is not None and sound is not None:
            packets += _play(track, tones(sound, last - first_moment + float(1 / film.rate)))
        _mux(container, packets)
        container.close()
        return file.read()


def tones(seed: int, seconds: float) -> Pixels | Any:
    """A tune of one channel: five notes a second with overtones, on soft noise; samples from -1 to 1 at SOUND_RATE."""
    random = np.random.default_rng(seed)
    moments = np.arange(round(seconds * SOUND_RATE)) / SOUND_RATE
    notes = 220 * 2 ** (random.integers(0, 25, int(seconds * 5) + 1) / 12)
    phase = 2 * np.pi * np.cumsum(notes[(moments * 5).astype(int)]) / SOUND_RATE
    fall = np.exp(-4 * (moments * 5 % 1))
    tune = sum(np.sin(overtone * phase) / overtone for overtone in (1, 2, 3)) * fall * 0.3
    return (tune + random.normal(0, 0.01, len(moments))).astype(np.float32)


def _add_sound(container: av.container.OutputContainer, encoder: str) -> av.AudioStream:
    track = container.add_stream(encoder, rate=SOUND_RATE)
    assert isinstance(track, av.AudioStream)
    track.layout = "mono"
    return track


def _play(track: av.AudioStream, samples: Any) -> list[Packet[Any]]:
    frame = av.AudioFrame.from_ndarray(samples[None, :], format="flt", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, 0, Fraction(1, SOUND_RATE)
    context = track.codec_context
    parts = av.AudioResampler(context.format, context.layout, SOUND_RATE, frame_size=context.frame_size or 1024).resample(frame)
    return [packet for part in (*parts, None) for packet in track.encode(part)]


def _mux(container: av.container.OutputContainer, packets: list[Packet[Any]]) -> None:
    """Pictures and sound side by side, as every file has them."""
    for packet in sorted(packets, key=lambda packet: (packet.dts or 0) * packet.time_base):
        container.mux(packet)


def sound_only(seed: int, seconds: float, muxer: str = "mp4", encoder: str = "aac") -> bytes:
    """A file that could hold a film, and does not."""
    file = BytesIO()
    with av.open(file, "w", format=muxer) as container:
        _mux(container, _play(_add_sound(container, encoder), tones(seed, seconds)))
    return file.getvalue()


def remuxed(content: bytes, muxer: str, *, from_seconds: float = 0.0) -> bytes:
    """The same packets in another container, from the key frame at or before a moment; copied with their edit list, as players cut."""
    file = BytesIO()
    with av.open(BytesIO(content), "r") as source, av.open(file, "w", format=muxer) as target:
        pairs: dict[int, Stream] = {
            stream.index: target.add_stream_from_template(stream) for stream in source.streams if stream.type in ("video", "audio")
        }
        if from_seconds:
            source.seek(round(from_seconds * av.time_base))
        for packet in source.demux():
            if packet.dts is not None and packet.stream.index in pairs:
                packet.stream = pairs[packet.stream.index]
                target.mux(packet)
    return file.getvalue()
