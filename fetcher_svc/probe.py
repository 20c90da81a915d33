"""How long media run, by the time stamps of their packets; nothing is decoded and no header is believed.

Runs in a sandboxed worker.
"""

from __future__ import annotations

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream

from mesh.container import MAX_PACKETS, map_file, open_container, read_packets
from mesh.errors import DurationTooLong, UnsupportedMedia
from mesh.media import MediaType
from mesh.media_type import LIMITS, max_sound_seconds


def probe_duration(path: str, content_type: str, media_type: MediaType) -> float:
    """Seconds from the first to the last packet of what plays longest; raises DurationTooLong or UnsupportedMedia."""
    with map_file(path) as content, open_container(content, content_type) as container:
        return _measure(container, media_type)


def warm_up() -> None:
    """Nothing to prepare but the import of FFmpeg."""


def _measure(container: InputContainer, media_type: MediaType) -> float:
    lengths: dict[int, _Length] = {}
    has_medium = False
    for count, packet in enumerate(read_packets(container)):
        if count > MAX_PACKETS:
            raise UnsupportedMedia(f"is cut into more than {MAX_PACKETS:,} packets")
        if not packet.size or not _plays(packet.stream, media_type):
            continue
        has_medium = has_medium or packet.stream.type == media_type
        length = lengths.setdefault(packet.stream.index, _Length())
        length.add(packet)
        if length.seconds > _max_seconds(packet.stream, media_type):
            actual_seconds = max(length.seconds, (container.duration or 0) / av.time_base)
            cap_seconds = LIMITS[media_type].max_duration_seconds
            raise DurationTooLong(f"runs for {actual_seconds:.1f} s or more; {media_type} may run for {cap_seconds:g} s")
    if not has_medium:
        raise UnsupportedMedia(f"holds no {media_type}")
    return max(length.seconds for length in lengths.values())


def _plays(stream: Stream, media_type: MediaType) -> bool:
    """A film is as long as its pictures or its sound, a sound only as itself; a cover picture is neither."""
    if stream.type == "video":
        return media_type is MediaType.VIDEO and not stream.disposition & Disposition.attached_pic
    return stream.type == "audio"


def _max_seconds(stream: Stream, media_type: MediaType) -> float:
    if isinstance(stream, AudioStream):
        # A sound that nobody here can decode has none: the matcher says so.
        context: AudioCodecContext | None = stream.codec_context
        return max_sound_seconds(media_type, context.sample_rate if context is not None else 0)
    return LIMITS[media_type].max_duration_seconds or 0.0


def _signed(duration: int) -> int:
    """FFmpeg has what the last page of a Vorbis stream takes back of its last packet as a length below zero, in 32 bits without a sign."""
    return duration - (1 << 32) if 1 << 31 <= duration < 1 << 32 else duration


class _Length:
    """From the earliest to the latest moment of one stream, in seconds."""

    def __init__(self) -> None:
        self._start_seconds: float | None = None
        self._end_seconds = 0.0

    def add(self, packet: Packet[Stream]) -> None:
        tick = float(packet.time_base)
        stamp = packet.pts if packet.pts is not None else packet.dts
        # Where there are no time stamps, packets follow upon each other.
        start_seconds = self._end_seconds if stamp is None else stamp * tick
        if self._start_seconds is None:
            self._start_seconds = self._end_seconds = start_seconds
        self._start_seconds = min(self._start_seconds, start_seconds)
        self._end_seconds = max(self._end_seconds, start_seconds + _signed(packet.duration or 0) * tick)

    @property
    def seconds(self) -> float:
        return self._end_seconds - (self._start_seconds or 0.0)
