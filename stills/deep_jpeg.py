"""JPEG of 12 bits a sample, as scanners and medical devices write it: too deep for libjpeg's usual door, and for Pillow.

FFmpeg reads it; it is loaded only when such a file comes, and given nothing but the bytes.
"""

from __future__ import annotations

from PIL import Image


def with_8_bits(data: bytes, place: int) -> bytes:
    """The same file, claiming at `place` the depth that Pillow knows, so that it reads what else the header says."""
    return b"".join((data[:place], b"\x08", data[place + 1 :]))


def read_deep_jpeg(data: bytes, max_pixels: int) -> Image.Image:
    import av  # noqa: PLC0415

    codec = av.CodecContext.create("mjpeg", "r")
    assert isinstance(codec, av.VideoCodecContext)
    codec.thread_count = 1
    codec.options = {"err_detect": "explode", "max_pixels": str(max_pixels)}
    frame, *_ = codec.decode(av.Packet(data))
    return Image.fromarray(frame.to_ndarray(format="rgb24"))
