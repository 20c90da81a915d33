"""The file's outer structure, read without touching a pixel: what is visibly cut is refused, and so is what is built to be slow.

A decoder's time follows the number of parts as much as that of pixels, and nobody's photograph has so many.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Final

from mesh.errors import UnsupportedMedia

MAX_SCANS: Final = 100
"""Of a JPEG; each scan costs a pass over all blocks. libjpeg and mozjpeg write about ten; libtiff stops at the same figure."""

MAX_PIXELS_OF_ALL_SCANS: Final = 1_000_000_000
"""Twenty scans of the largest picture; half a second of libjpeg's time."""

MAX_PARTS: Final = 100_000
"""Segments, chunks or strips; Pillow handles each in Python. 15 MB of PNG in the usual 8 KiB chunks are 1,900."""

MAX_GIF_BLOCKS: Final = 1_000_000
"""15 MB of full blocks are 61,000."""

MAX_BYTES_BETWEEN_SEGMENTS: Final = 65_536
"""Of a JPEG; fill bytes are legal, and skipped one by one."""

MAX_RUN_LENGTH_BYTES: Final = 1_048_576
"""Of a BMP; Pillow expands the runs in Python."""

CUT: Final = "is truncated: it ends before its last part does"
TOO_MANY_PARTS: Final = "is built of more parts than any picture needs"


def check_container(data: bytes, content_type: str) -> None:
    check = _CHECKS.get(content_type)
    if check is not None:
        check(data)


def _check_jpeg(data: bytes) -> None:
    scans, max_scans, end_of_last = 0, MAX_SCANS, 2
    skipped = 0
    for parts, (code, position, length) in enumerate(jpeg_segments(data)):
        if code in JPEG_FRAME_MARKERS:
            height, width = struct.unpack_from(">HH", data, position + 3)
            max_scans = min(MAX_SCANS, MAX_PIXELS_OF_ALL_SCANS // max(1, height * width))
        skipped += position - 2 - end_of_last if scans == 0 else 0
        end_of_last = position + length
        if code == 0xDA:
            if scans == 0 and data.count(b"\xff\xda", end_of_last) < max_scans:
                return  # not even by chance could there be too many: the common case, ten times as fast as to walk on
            scans += 1
        if scans > max_scans:
            raise UnsupportedMedia(f"is a JPEG of more than {max_scans} scans")
        if parts > MAX_PARTS or skipped > MAX_BYTES_BETWEEN_SEGMENTS:
            raise UnsupportedMedia(TOO_MANY_PARTS)


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """The marker, place and length of each, up to the end of the picture: neither a thumbnail inside one nor what follows counts."""
    position = 2
    while (marker := _MARKER.search(data, position)) is not None:
        code, position = data[marker.end() - 1], marker.end()
        if code == 0xD9:
            return
        if code == 0x01 or 0xD0 <= code <= 0xD8:  # these have no length; inside a scan the restarts are all of them
            continue
        if position + 2 > len(data):
            raise UnsupportedMedia(CUT)
        length = int.from_bytes(data[position : position + 2], "big")
        yield code, position, length
        position += length


# In entropy-coded data FF is followed by 00, or by D0 to D7 at a restart (ITU-T T.81, B.1.1).
_MARKER: Final = re.compile(rb"\xff+[\x01-\xcf\xd8-\xfe]", re.DOTALL)
JPEG_FRAME_MARKERS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def _check_png(data: bytes) -> None:
    position = 8
    for _ in range(MAX_PARTS):
        if position + 12 > len(data):
            raise UnsupportedMedia(CUT)
        length, name = struct.unpack_from(">I4s", data, position)
        position += 12 + length
        if position > len(data):
            raise UnsupportedMedia(CUT)
        if name == b"IEND":
            return
    raise UnsupportedMedia(TOO_MANY_PARTS)


def _check_gif(data: bytes) -> None:
    """Blocks must be whole; that nothing but the trailer is missing is forgiven, as browsers do."""
    position = 13 + _gif_palette_bytes(data[10])
    blocks = 0
    while position < len(data) and data[position] in (0x21, 0x2C):
        if data[position] == 0x21:
            position += 2
        else:
            position += 11 + _gif_palette_bytes(data[position + 9])
        while (length := data[position]) != 0:
            position += 1 + length
            blocks += 1
        position += 1
        blocks += 1
        if blocks > MAX_GIF_BLOCKS:
            raise UnsupportedMedia(TOO_MANY_PARTS)


def _gif_palette_bytes(flags: int) -> int:
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _check_bmp(data: bytes) -> None:
    (header_bytes,) = struct.unpack_from("<I", data, 14)
    compression = struct.unpack_from("<I", data, 30)[0] if header_bytes >= 40 else 0
    if compression in (1, 2) and len(data) > MAX_RUN_LENGTH_BYTES:
        raise UnsupportedMedia(f"A run-length coded BMP may have {MAX_RUN_LENGTH_BYTES} bytes; this one has {len(data)}.")


def _check_tiff(data: bytes) -> None:
    """Only the first directory is ever read; its longest list is that of the strips or tiles."""
    order = "<" if data[:2] == b"II" else ">"
    (position,) = struct.unpack_from(order + "I", data, 4)
    (entries,) = struct.unpack_from(order + "H", data, position)
    directory = data[position + 2 : position + 2 + 12 * entries]
    for tag, _, values, _ in struct.iter_unpack(order + "HHII", directory):
        if tag in _TIFF_STRIP_LISTS and values > MAX_PARTS:
            raise UnsupportedMedia(TOO_MANY_PARTS)


_TIFF_STRIP_LISTS: Final = (273, 324)


def _check_boxes(data: bytes) -> None:
    """ISO base media: the outermost boxes must lie inside the file."""
    position = 0
    while position + 8 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        if length == 1:
            length = int.from_bytes(data[position + 8 : position + 16], "big")
        if length == 0:
            return
        if length < 8:
            raise UnsupportedMedia("is damaged: one of its boxes has no room for its own name")
        position += length
    if position > len(data):
        raise UnsupportedMedia(CUT)


_CHECKS: Final = {
    "image/jpeg": _check_jpeg,
    "image/png": _check_png,
    "image/gif": _check_gif,
    "image/bmp": _check_bmp,
    "image/tiff": _check_tiff,
    "image/heic": _check_boxes,
    "image/heif": _check_boxes,
    "image/avif": _check_boxes,
}
