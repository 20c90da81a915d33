"""Sounds as files: every container and codec that is taken, films with a sound track, and what broken writers make of a WAV."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from io import BytesIO
from types import MappingProxyType
from typing import Any, Final

import av
import numpy as np
import numpy.typing as npt
from av.stream import Disposition

Waves = npt.NDArray[Any]
"""Samples from -1 to 1: one row a channel, or no rows at all where there is one channel."""


@dataclass(frozen=True, slots=True)
class Format:
    muxer: str
    encoder: str
    content_type: str
    film_encoder: str = ""


SOUND_FORMATS: Final = MappingProxyType(
    {
        "mp3": Format("mp3", "libmp3lame", "audio/mpeg"),
        "aac": Format("adts", "aac", "audio/aac"),
        "m4a": Format("ipod", "aac", "audio/mp4"),
        "alac": Format("ipod", "alac", "audio/mp4"),
        "vorbis": Format("ogg", "vorbis", "audio/ogg"),
        "opus": Format("ogg", "libopus", "audio/ogg"),
        "flac": Format("flac", "flac", "audio/flac"),
        "wav": Format("wav", "pcm_s16le", "audio/wav"),
        "wav of floats": Format("wav", "pcm_f32le", "audio/wav"),
        "aiff": Format("aiff", "pcm_s16be", "audio/aiff"),
        "wma": Format("asf", "wmav2", "audio/x-ms-wma"),
    }
)
FILM_FORMATS: Final = MappingProxyType(
    {
        "mp4": Format("mp4", "aac", "video/mp4", "mpeg4"),
        "mov": Format("mov", "pcm_s16le", "video/quicktime", "mpeg4"),
        "webm": Format("webm", "libopus", "video/webm", "libvpx"),
        "mkv": Format("matroska", "ac3", "video/x-matroska", "mpeg4"),
        "avi": Format("avi", "libmp3lame", "video/x-msvideo", "mpeg4"),
        "ts": Format("mpegts", "aac", "video/mp2t", "mpeg2video"),
        "flv": Format("flv", "aac", "video/x-flv", "flv"),
    }
)
FORMATS: Final = MappingProxyType({**SOUND_FORMATS, **FILM_FORMATS})


_RATES: Final = MappingProxyType({"libopus": (48_000,), "ac3": (32_000, 44_100, 48_000), "flv": (11_025, 22_050, 44_100)})
"""All that these encoders, and this muxer, know."""


def recorded(waves: Waves, name: str = "wav", *, rate: int = 44_100, bit_rate: int = 128_000) -> bytes:
    """A file with this sound; a film of a grey picture where the format is one of film."""
    return _written(FORMATS[name], [Track(waves, rate)], bit_rate)


@dataclass(frozen=True, slots=True)
class Track:
    waves: Waves
    rate: int = 44_100
    is_default: bool = False
    start_seconds: float = 0.0
    pause_after: float = 0.0
    pause_seconds: float = 0.0
    """By the time stamps alone: nothing is written for it."""
    encoder: str = ""


def film_of(tracks: Sequence[Track], name: str = "mp4", *, seconds: float = 1.0) -> bytes:
    """A film with these sound tracks, or none; its picture lasts for `seconds`."""
    return _written(FORMATS[name], tracks, 128_000, seconds)


def with_cover(waves: Waves, *, rate: int = 44_100) -> bytes:
    """An MP4 whose only picture, before its sound, is that of the cover."""
    file = BytesIO()
    with av.open(file, "w", format="mp4") as container:
        cover: Any = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt, cover.disposition = 64, 48, "yuvj420p", Disposition.attached_pic
        sound = _add_sound(container, Format("mp4", "aac", ""), Track(waves, rate), 128_000)
        container.mux(cover.encode(av.VideoFrame(64, 48, "yuvj420p")))
        _write_sound(container, sound, Track(waves, rate))
    return file.getvalue()


def wav(data: bytes, *, channels: int = 1, rate: int = 44_100, bits: int = 16, tag: int = 1, data_bytes: int | None = None) -> bytes:
    """The header says what it is told to say."""
    size = len(data) if data_bytes is None else data_bytes
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * block & 0xFFFF_FFFF, block & 0xFFFF, bits)
    head = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", size)
    return b"RIFF" + struct.pack("<I", min(len(head) + size, 0xFFFF_FFFF)) + head + data


def silent_flac(seconds: float, *, rate: int = 8000) -> bytes:
    """Some two bytes a second: frames of 65,535 samples that are one constant (RFC 9639, section 9)."""
    frames = []
    for number in range(round(seconds * rate / 65_535)):
        head = b"\xff\xf8\x74\x08" + chr(number).encode() + (65_534).to_bytes(2, "big")
        frame = head + _crc(head, 8, 0x07) + bytes(3)
        frames.append(frame + _crc(frame, 16, 0x8005))
    form = rate << 44 | 15 << 36 | len(frames) * 65_535
    return b"fLaC" + b"\x80\0\0\x22" + b"\xff\xff\xff\xff" + bytes(6) + form.to_bytes(8, "big") + bytes(16) + b"".join(frames)


def _crc(content: bytes, bits: int, polynomial: int) -> bytes:
    rest = 0
    for byte in content:
        rest ^= byte << bits - 8
        for _ in range(8):
            rest = rest << 1 ^ (polynomial if rest >> bits - 1 else 0)
            rest &= (1 << bits) - 1
    return rest.to_bytes(bits // 8, "big")


def silent_opus(seconds: float) -> bytes:
    """One packet of 60 ms, again and again."""
    file = BytesIO()
    with av.open(file, "w", format="ogg") as container:
        sound: Any = container.add_stream("libopus", rate=48_000, options={"frame_duration": "60"})
        sound.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2880), np.float32), format="flt", layout="mono")
        frame.sample_rate = 48_000
        (content,) = {bytes(packet) for packet in [*sound.encode(frame), *sound.encode(None)] if packet.size} or {b""}
        for number in range(round(seconds / 0.06)):
            packet = av.Packet(content)
            packet.stream, packet.time_base = sound, Fraction(1, 48_000)
            packet.pts = packet.dts = number * 2880
            packet.duration = 2880
            container.mux(packet)
    return file.getvalue()


def ended_early(ogg: bytes, samples: int) -> bytes:
    """The last page of an Ogg file says that the sound ends so many samples earlier, as encoders say that do not fill their last packet."""
    start = ogg.rindex(b"OggS")
    page = bytearray(ogg[start:])
    position = int.from_bytes(page[6:14], "little") - samples
    page[6:14], page[22:26] = position.to_bytes(8, "little"), bytes(4)
    page[22:26] = _crc(bytes(page), 32, 0x04C11DB7)[::-1]
    return ogg[:start] + bytes(page)


def _written(form: Format, tracks: Sequence[Track], bit_rate: int, seconds: float = 0.0) -> bytes:
    file = BytesIO()
    # Pictures come first here; the muxer puts them in order, however long it has to wait for the sound.
    with av.open(file, "w", format=form.muxer, container_options={"max_interleave_delta": "0"}) as container:
        quickly = {"deadline": "realtime", "cpu-used": "8"} if form.film_encoder == "libvpx" else {}
        film: Any = container.add_stream(form.film_encoder, rate=10, options=quickly) if form.film_encoder else None
        sounds = [_add_sound(container, form, track, bit_rate) for track in tracks]
        if film is not None:
            film.width, film.height, film.pix_fmt = 64, 48, "yuv420p"
            film.codec_context.time_base = Fraction(1, 10)
            longest = max([seconds, *(track.start_seconds + np.atleast_2d(track.waves).shape[1] / track.rate for track in tracks)])
            for number in range(max(1, round(longest * 10))):
                picture = av.VideoFrame(64, 48, "yuv420p")
                picture.pts, picture.time_base = number, Fraction(1, 10)
                container.mux(film.encode(picture))
            container.mux(film.encode(None))
        for sound, track in zip(sounds, tracks, strict=True):
            _write_sound(container, sound, track)
    return file.getvalue()


def _add_sound(container: Any, form: Format, track: Track, bit_rate: int) -> Any:
    encoder = track.encoder or form.encoder
    known = _RATES.get(form.muxer) or _RATES.get(encoder, (track.rate,))
    rate = track.rate if track.rate in known else known[-1]
    # FFmpeg's own Vorbis encoder calls itself experimental, and knows stereo only.
    sound = container.add_stream(encoder, rate=rate, options={"strict": "experimental"})
    channels = 2 if encoder == "vorbis" else len(np.atleast_2d(track.waves))
    sound.layout = {1: "mono", 2: "stereo", 6: "5.1"}[channels]
    sound.bit_rate = bit_rate
    if track.is_default:
        sound.disposition = Disposition.default
    return sound


def _write_sound(container: Any, sound: Any, track: Track) -> None:
    context = sound.codec_context
    rows = np.ascontiguousarray(np.atleast_2d(track.waves), np.float32)
    frame = av.AudioFrame.from_ndarray(rows, format="fltp", layout={1: "mono", 2: "stereo", 6: "5.1"}[len(rows)])
    frame.sample_rate, frame.time_base, frame.pts = track.rate, Fraction(1, track.rate), 0
    fit = av.AudioResampler(context.format, context.layout, context.sample_rate, frame_size=context.frame_size or 4096)
    at = round(track.start_seconds * context.sample_rate)
    for part in [*fit.resample(frame), *fit.resample(None)]:
        part.pts, part.time_base = at, Fraction(1, context.sample_rate)
        at += part.samples
        if track.pause_seconds and at >= track.pause_after * context.sample_rate:
            at, track = at + round(track.pause_seconds * context.sample_rate), replace(track, pause_seconds=0.0)
        container.mux(sound.encode(part))
    container.mux(sound.encode(None))
