"""Films that no camera makes: of one coded picture over and over, at moments of their own, with headers that lie."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from fractions import Fraction
from io import BytesIO

import av
import numpy as np

from tests.pictures import encoded as encoded_picture
from tests.pictures import photo


def repeated(picture: bytes, moments: Iterable[float], muxer: str, encoder: str, width: int, height: int) -> bytes:
    """A film of one and the same coded picture at each of these moments."""
    file = BytesIO()
    with av.open(file, "w", format=muxer) as container:
        stream = container.add_stream(encoder, rate=Fraction(1000))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p"
        stream.time_base = Fraction(1, 1000)
        for moment in moments:
            packet = av.Packet(picture)
            packet.stream, packet.time_base = stream, Fraction(1, 1000)
            packet.pts = packet.dts = round(moment * 1000)
            packet.is_keyframe = True
            container.mux(packet)
    return file.getvalue()


def jpeg(width: int, height: int) -> bytes:
    return encoded_picture(photo(1, width, height), "JPEG", quality=30)


def evenly(seconds: float, rate: float) -> list[float]:
    return [number / rate for number in range(round(seconds * rate))]


def with_duration(mp4: bytes, seconds: float) -> bytes:
    """Its headers say that it runs for so long; its table of pictures says what it said."""
    lying = bytearray(mp4)
    for box, scale_at, duration_at in ((b"mvhd", 12, 16), (b"mdhd", 12, 16)):
        at = lying.index(box) + 4
        (timescale,) = struct.unpack_from(">I", lying, at + scale_at)
        struct.pack_into(">I", lying, at + duration_at, round(timescale * seconds))
    return bytes(lying)


def crowded(seconds: float, rate: int, side: int = 16) -> bytes:
    """More pictures than anybody can see, each made from the one before."""
    file = BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (8, side, side, 3), np.uint8)
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=rate, options={"g": "600", "threads": "1"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = side, side, "yuv420p"
        pictures = [av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p") for picture in noise]
        for number in range(round(seconds * rate)):
            picture = pictures[number % len(pictures)]
            picture.pts, picture.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return file.getvalue()
