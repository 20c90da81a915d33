"""From any way of storing colour to RGB of 8 bits on one matte.

What lies under full transparency never shows, and depth is scaled by what it could hold, never by what the picture happens to.
"""

from __future__ import annotations

from io import BytesIO
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, ImageStat, TiffImagePlugin

Pixels = npt.NDArray[np.uint8]
"""Rows, columns, and red, green and blue."""

MAX_PROFILE_BYTES: Final = 1_048_576

NEARLY_WHITE: Final = 240
"""The mean of what is visible from which on a white matte would swallow it."""

_SRGB: Final = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def white_level(image: Image.Image) -> float:
    """What the samples stand at where the picture is white: by the declared depth, or where floats and 32 bits declare none,
    the smallest usual range that holds the largest."""
    if image.mode.startswith("I;16"):
        (bits, *_) = getattr(image, "tag_v2", {}).get(TiffImagePlugin.BITSPERSAMPLE, (16,))
        return float(2 ** min(16, max(1, bits)) - 1)
    if image.mode in ("I", "F"):
        largest = max(_largest(image.crop((0, top, image.width, min(top + 64, image.height)))) for top in range(0, image.height, 64))
        return next((limit for limit in (1.0, 255.0, 65535.0) if largest <= limit), largest)
    return 255.0


def _largest(image: Image.Image) -> float:
    samples = np.asarray(image)
    return float(samples.max(where=np.isfinite(samples), initial=0))


def as_plain(image: Image.Image, white: float) -> Image.Image:
    """The same in grey (L), RGB, RGBA or CMYK of 8 bits, the modes that can be averaged."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        samples = np.nan_to_num(np.asarray(image).astype(np.float32), nan=0, posinf=white, neginf=0)
        return Image.fromarray((samples.clip(0, white) * (255 / white) + 0.5).astype(np.uint8))
    if image.mode == "La":
        image = image.convert("LA")
    if image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode in ("L", "RGB", "CMYK"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def as_rgb(image: Image.Image, profile: bytes) -> Pixels:
    """From a plain mode, by the colour profile where there is one."""
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    opaque = _in_srgb(image.convert("RGB") if alpha else image, profile)
    return np.asarray(_on_matte(opaque, alpha) if alpha else opaque)


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """A profile that is missing, huge, broken or meant for other colours changes nothing."""
    if 0 < len(profile) <= MAX_PROFILE_BYTES:
        try:
            stored = ImageCms.ImageCmsProfile(BytesIO(profile))
            if not ImageCms.getProfileDescription(stored).startswith("sRGB"):
                converted = ImageCms.profileToProfile(image, stored, _SRGB, outputMode="RGB")
                if converted is not None:
                    return converted
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass
    return image.convert("RGB")


def _on_matte(image: Image.Image, alpha: Image.Image) -> Image.Image:
    """White, because cut-outs are flattened on white: that copy becomes the very same picture, and one on black no harder to find than
    the two flat copies are for each other. A mid-grey lies between them and is near to neither: it halves every outline's contrast.
    Only what would vanish on white, a white logo, is laid on black.
    """
    visible = ImageStat.Stat(image.convert("L"), alpha.point(lambda a: 255 if a >= 128 else 0))
    matte = "black" if visible.count[0] and visible.mean[0] >= NEARLY_WHITE else "white"
    return Image.composite(image, Image.new("RGB", image.size, matte), alpha)
