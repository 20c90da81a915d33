"""From the stored frame to the few pixels that are looked at: whole blocks are averaged first, the rest is one area resize.

The frame is worked on in strips, so that no conversion ever doubles 50 megapixels.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from PIL import Image

from stills.colour import Pixels, as_plain, white_level
from stills.frame import Frame

STRIP_PIXELS: Final = 4_000_000


def reduce_to(image: Image.Image, max_side: int) -> Image.Image:
    """In one of the plain modes, its longer side from `max_side` up to twice that; a smaller image as it is."""
    white = white_level(image)
    factor = max(1, max(image.size) // max_side)
    if factor == 1:
        return as_plain(image, white)
    rows = max(1, STRIP_PIXELS // (image.width * factor)) * factor
    strips = [
        as_plain(image.crop((0, top, image.width, min(top + rows, image.height))), white).reduce(factor)
        for top in range(0, image.height, rows)
    ]
    reduced = Image.new(strips[0].mode, (strips[0].width, sum(strip.height for strip in strips)))
    top = 0
    for strip in strips:
        reduced.paste(strip, (0, top))
        top += strip.height
    return reduced


def upright(pixels: Pixels, frame: Frame, max_side: int) -> tuple[Pixels, int, int]:
    """The pixels in their final size and turned as the orientation says, and the whole picture's width and height."""
    width, height = frame.width, frame.height
    scale = max_side / max(width, height)
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    orientation = frame.orientation
    if orientation in (5, 6, 7, 8):
        pixels, width, height = pixels.transpose(1, 0, 2), height, width
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels), width, height
