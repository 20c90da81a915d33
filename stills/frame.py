"""The first frame of a file, by the one decoder of its type, its size checked before a pixel is decoded.

Pillow opens every type but WebP; libjpeg-turbo is asked directly because it says when it makes up what a file lacks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import cv2
import numpy as np
import pillow_heif
import simplejpeg  # type: ignore[import-untyped]
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
)

from mesh.errors import FileTooLarge, UnsupportedMedia
from stills.container import JPEG_FRAME_MARKERS, jpeg_segments
from stills.deep_jpeg import read_deep_jpeg, with_8_bits

MAX_PIXELS: Final = 50_000_000
MAX_SIDE_PIXELS: Final = 16_384

# One worker is one core; and neither an embedded thumbnail nor a depth map is the picture.
pillow_heif.options.DECODE_THREADS = AvifImagePlugin.DEFAULT_MAX_THREADS = 1
pillow_heif.options.THUMBNAILS = pillow_heif.options.DEPTH_IMAGES = pillow_heif.options.AUX_IMAGES = False
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # it reports each damaged file to stderr; the caller hears of it from us


@dataclass(frozen=True, slots=True)
class Frame:
    """The pixels as they are stored; `width` and `height` are those before any reduction, `orientation` as in EXIF."""

    image: Image.Image
    width: int
    height: int
    orientation: int
    profile: bytes


def read_frame(data: bytes, content_type: str, max_side: int) -> Frame:
    if content_type == "image/jpeg":
        return _read_jpeg(data, max_side)
    if content_type == "image/webp":
        return _read_webp(data)
    image = _OPENERS[content_type](BytesIO(data))
    _check_size(*image.size)
    image.load()
    return _frame(image, *image.size, image)


_OPENERS: Final[dict[str, Callable[[BytesIO], ImageFile.ImageFile]]] = {
    "image/png": PngImagePlugin.PngImageFile,
    "image/gif": GifImagePlugin.GifImageFile,
    "image/bmp": BmpImagePlugin.BmpImageFile,
    "image/tiff": TiffImagePlugin.TiffImageFile,
    "image/heic": pillow_heif.HeifImageFile,  # libheif turns the picture itself, and says so
    "image/heif": pillow_heif.HeifImageFile,
    "image/avif": AvifImagePlugin.AvifImageFile,  # gives the file's turn as an EXIF orientation
}


def _frame(image: Image.Image, width: int, height: int, described: Image.Image) -> Frame:
    """`described` carries the metadata; Pillow looks for the orientation in EXIF, then in XMP."""
    try:
        orientation = int(described.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # a broken description of an unbroken picture
        orientation = 1
    return Frame(image, width, height, orientation, described.info.get("icc_profile") or b"")


def _check_size(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise UnsupportedMedia(f"is empty: {width} x {height} pixels")
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE_PIXELS:
        raise FileTooLarge(
            f"has {width} x {height} pixels ({width * height / 1e6:.1f} megapixels); "
            f"at most {MAX_PIXELS // 1_000_000} megapixels and {MAX_SIDE_PIXELS} pixels a side are taken."
        )


def _read_jpeg(data: bytes, max_side: int) -> Frame:
    _, place, _ = next(segment for segment in jpeg_segments(data) if segment[0] in JPEG_FRAME_MARKERS)
    bits = data[place + 2]
    header = JpegImagePlugin.JpegImageFile(BytesIO(data if bits == 8 else with_8_bits(data, place + 2)))
    width, height = header.size
    _check_size(width, height)
    if bits == 12:
        return _frame(read_deep_jpeg(data, MAX_PIXELS), width, height, header)
    if simplejpeg.decode_jpeg_header(data, strict=False)[:2] != (height, width):
        raise UnsupportedMedia("is damaged: it states two sizes")
    colours = {"L": "GRAY", "CMYK": "CMYK"}.get(header.mode, "RGB")
    scale = min(1.0, max_side / max(width, height))
    sides = {"min_width": round(width * scale), "min_height": round(height * scale), "min_factor": 1}
    try:
        pixels = simplejpeg.decode_jpeg(data, colours, **sides)
    except ValueError as warning:
        if not any(harmless in str(warning) for harmless in _HARMLESS_TO_LIBJPEG):
            raise
        pixels = simplejpeg.decode_jpeg(data, colours, strict=False, **sides)
    if colours == "CMYK":
        pixels = 255 - pixels  # Adobe writes ink as its absence, and all follow (Pillow and browsers too)
    return _frame(Image.fromarray(pixels.squeeze(2) if colours == "GRAY" else pixels, header.mode), width, height, header)


_HARMLESS_TO_LIBJPEG: Final = (
    "extraneous bytes",
    "unknown JFIF revision",
    "Unknown Adobe color transform",
    "Invalid SOS parameters",
    "bad ICC marker",
)
"""Its warnings after which the picture is whole; at all others it fills in grey (jerror.h, JWRN_*)."""


def _read_webp(data: bytes) -> Frame:
    """By OpenCV, in half of the time and memory of Pillow, which always decodes to an animation's canvases."""
    chunks = _webp_chunks(data)
    width, height = _webp_size(chunks)
    _check_size(width, height)
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.shape[:2] != (height, width):
        raise UnsupportedMedia("is truncated or damaged")
    swapped = cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB
    image = Image.fromarray(cv2.cvtColor(pixels, swapped, dst=pixels))
    image.info = {
        key: bytes(chunks[name]) for key, name in (("exif", b"EXIF"), ("xmp", b"XMP "), ("icc_profile", b"ICCP")) if name in chunks
    }
    return _frame(image, width, height, image)


def _webp_chunks(data: bytes) -> dict[bytes, memoryview]:
    """The first of each name (RFC 9649, section 2)."""
    view, position = memoryview(data), 12
    chunks: dict[bytes, memoryview] = {}
    while position + 8 <= len(view):
        name, length = bytes(view[position : position + 4]), int.from_bytes(view[position + 4 : position + 8], "little")
        chunks.setdefault(name, view[position + 8 : position + 8 + length])
        position += 8 + length + length % 2
    return chunks


def _webp_size(chunks: dict[bytes, memoryview]) -> tuple[int, int]:
    """Of the canvas, of a lossless picture or of a lossy one."""
    if canvas := chunks.get(b"VP8X"):
        return 1 + int.from_bytes(canvas[4:7], "little"), 1 + int.from_bytes(canvas[7:10], "little")
    if lossless := chunks.get(b"VP8L"):
        sides = int.from_bytes(lossless[1:5], "little")
        return 1 + (sides & 0x3FFF), 1 + (sides >> 14 & 0x3FFF)
    lossy = chunks[b"VP8 "]
    return int.from_bytes(lossy[6:8], "little") & 0x3FFF, int.from_bytes(lossy[8:10], "little") & 0x3FFF
