"""Pictures for tests, drawn from a seed: photograph-like textures, a cut-out, a few edits, and files of every type that is read."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
import pillow_heif
from PIL import Image

Pixels = npt.NDArray[np.uint8]

pillow_heif.register_heif_opener()  # so that Pillow writes HEIF


def photo(seed: int, width: int = 640, height: int = 480) -> Pixels:
    """RGB. Soft colour at every scale, as in photographs, and a few hard edges to hold on to; no two seeds share anything."""
    random = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3), np.float32)
    for octave in range(2, 9):
        cells = 2**octave
        noise = random.normal(size=(max(2, cells * height // width), cells, 3)).astype(np.float32)
        noise = 0.7 * noise.mean(axis=2, keepdims=True) + 0.3 * noise  # light varies more than colour does
        picture += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC) * 0.7**octave
    picture = 128 + 45 * (picture - picture.mean()) / picture.std()
    for _ in range(12):
        centre = tuple(int(c) for c in random.integers(0, (width, height)))
        axes = tuple(int(a) for a in random.integers(min(width, height) // 40 + 1, min(width, height) // 6 + 2, 2))
        colour = tuple(float(c) for c in random.integers(0, 256, 3))
        cv2.ellipse(picture, centre, axes, float(random.integers(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
    return np.asarray(picture.clip(0, 255), np.uint8)


def cut_out(seed: int, width: int = 640, height: int = 480) -> Pixels:
    """RGBA: an object with a soft outline in the middle, and noise under what is fully transparent."""
    random = np.random.default_rng(seed)
    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    reach = 0.33 + 0.12 * np.sin(angles * random.integers(2, 6) + random.uniform(0, 6))
    outline = np.stack([width * (0.5 + reach * np.cos(angles)), height * (0.5 + reach * np.sin(angles))], axis=1).astype(np.int32)
    alpha = np.zeros((height, width), np.uint8)
    cv2.fillPoly(alpha, [outline], 255, cv2.LINE_AA)
    picture = np.dstack([photo(seed, width, height), alpha])
    hidden = alpha == 0
    picture[hidden, :3] = random.integers(0, 256, (int(hidden.sum()), 3))
    return picture


def flattened(rgba: Pixels, background: int) -> Pixels:
    """The cut-out on a plain grey, black (0) or white (255)."""
    alpha = rgba[..., 3:].astype(np.float32) / 255
    return (rgba[..., :3] * alpha + background * (1 - alpha) + 0.5).astype(np.uint8)


def encoded(picture: Pixels | Image.Image, file_format: str, **options: Any) -> bytes:
    """The file that Pillow writes: encoded(photo(1), "JPEG", quality=80)."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    file = BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def _palette(picture: Pixels) -> Image.Image:
    return Image.fromarray(picture).quantize(256)


FORMATS: Final[dict[str, Callable[[Pixels], bytes]]] = {
    "jpeg": lambda p: encoded(p, "JPEG", quality=90),
    "jpeg-progressive": lambda p: encoded(p, "JPEG", quality=90, progressive=True),
    "png": lambda p: encoded(p, "PNG", compress_level=1),
    "png-palette": lambda p: encoded(_palette(p), "PNG"),
    "webp": lambda p: encoded(p, "WEBP", quality=90),
    "webp-lossless": lambda p: encoded(p, "WEBP", lossless=True, method=0),
    "gif": lambda p: encoded(_palette(p), "GIF"),
    "bmp": lambda p: encoded(p, "BMP"),
    "tiff": lambda p: encoded(p, "TIFF"),
    "tiff-lzw": lambda p: encoded(p, "TIFF", compression="tiff_lzw"),
    "tiff-jpeg": lambda p: encoded(p, "TIFF", compression="jpeg", quality=90),
    "tiff-tiled": lambda p: encoded(p, "TIFF", compression="tiff_deflate", tiffinfo={322: 64, 323: 64}),
    "heic": lambda p: encoded(p, "HEIF", quality=90),
    "avif": lambda p: encoded(p, "AVIF", quality=90, speed=9),
}
"""One encoder for each way a still picture is stored."""
