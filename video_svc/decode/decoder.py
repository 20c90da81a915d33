"""From packets to decoded frames: one decoder, one thread, only the packets of a plan, nothing larger than MAX_PIXELS.

A packet that cannot be decoded is passed over, as players do; a film without any picture is refused.
"""

from __future__ import annotations

import mmap
from collections.abc import Generator, Iterator
from typing import Final

import av
from av.container import InputContainer
from av.stream import Discard, Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from mesh.container import FILM_CODECS, MAX_PIXELS, open_container, read_packets
from mesh.errors import UnsupportedMedia
from video_svc.decode.sampling import PASSES_OVER, Plan
from video_svc.decode.timeline import Timeline

Decoded = tuple[float, VideoFrame]
"""A frame, and the seconds from the first picture to it."""

_NO_FILM: Final = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image


def film_stream(container: InputContainer) -> VideoStream:
    """The first stream of moving pictures; packets of the others are not read any more."""
    film = next((stream for stream in container.streams.video if not stream.disposition & _NO_FILM), None)
    if film is None:
        raise UnsupportedMedia("holds no video")
    if film.codec_context is None or film.codec_context.name not in FILM_CODECS:
        raise UnsupportedMedia("is coded in a way that is not read here")
    if film.width * film.height > MAX_PIXELS:
        raise UnsupportedMedia(f"has pictures of {film.width} x {film.height} pixels; {MAX_PIXELS:,} are the most")
    for stream in container.streams:
        if stream.index != film.index:
            stream.discard = Discard.all
    return film


def decode(
    content: bytes | mmap.mmap, content_type: str, timeline: Timeline, plan: Plan, *, is_rough: bool
) -> Generator[Decoded, None, None]:
    """In the order they are shown; more than are wanted. `is_rough` leaves out the filter that smoothes the edges between blocks,
    of which little is seen in a much smaller picture."""
    with open_container(content, content_type) as container:
        stream = film_stream(container)
        in_order = iter(sorted(timeline.seconds[timeline.is_shown & plan.is_fed]))
        tick = float(stream.time_base or 0)
        for frame in _frames(container, stream, plan, is_rough=is_rough):
            if not timeline.has_stamps:
                yield float(next(in_order, timeline.duration_seconds)), frame
            elif frame.pts is not None:
                yield (frame.pts - timeline.start) * tick, frame


def _frames(container: InputContainer, stream: VideoStream, plan: Plan, *, is_rough: bool) -> Iterator[VideoFrame]:
    context = stream.codec_context
    context.thread_count = 1
    context.options = {"max_pixels": str(MAX_PIXELS), **({"skip_loop_filter": "all"} if is_rough else {})}
    context.open()
    may_skip = context.name in PASSES_OVER
    was_fed = True
    rest = int(plan.is_fed.sum())
    packets = (packet for packet in read_packets(container, stream) if packet.size)
    for packet, is_fed, is_wanted in zip(packets, plan.is_fed, plan.is_wanted, strict=False):
        if is_fed and packet.is_keyframe and not was_fed:
            yield from _decoded(context, None)
            context.flush_buffers()
        was_fed = is_fed
        if not is_fed:
            continue
        # Pictures that others are made from are never passed over, so that this leaves no trace in those that are decoded.
        context.skip_frame = "NONREF" if may_skip and not is_wanted else "DEFAULT"
        yield from _decoded(context, packet)
        rest -= 1
        if not rest:
            break
    yield from _decoded(context, None)


def _decoded(context: VideoCodecContext, packet: av.Packet[VideoStream] | None) -> list[VideoFrame]:
    try:
        return context.decode(packet)
    except MemoryError:
        raise
    except (av.FFmpegError, EOFError):
        return []
