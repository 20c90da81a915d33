"""Edits that grow stronger step by step, past the point where a copy is still found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

import cv2
import numpy as np
from PIL import Image, ImageFilter, ImageOps

from tests.edits import Edit, blurred, covered, covered_by_picture, gamma, pasted, saved
from tests.pictures import encoded, photo


@dataclass(frozen=True, slots=True)
class Ladder:
    """One edit; the steps are labelled by their strength, the weakest first."""

    name: str
    steps: dict[str, Edit]


def cropped_to(share: float) -> Edit:
    """A window of the picture's shape with this share of its area, anywhere."""

    def edit(image: Image.Image, dice: Random) -> Image.Image:
        width, height = round(image.width * share**0.5), round(image.height * share**0.5)
        left, top = dice.randint(0, image.width - width), dice.randint(0, image.height - height)
        return image.crop((left, top, left + width, top + height))

    return edit


def made_noisy(deviation: float) -> Edit:
    def edit(image: Image.Image, dice: Random) -> Image.Image:
        noise = np.random.default_rng(dice.getrandbits(32)).normal(0, deviation, (image.height, image.width, 3))
        return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))

    return edit


def shrunk_to(side: int) -> Edit:
    def edit(image: Image.Image, dice: Random) -> Image.Image:
        scale = side / max(image.size)
        return image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))), Image.Resampling.LANCZOS)

    return edit


def turned(degrees: float) -> Edit:
    """About the middle, with black corners."""
    return lambda image, dice: image.rotate(dice.choice([-1, 1]) * degrees, Image.Resampling.BICUBIC, expand=True)


def overlaid(opacity: float) -> Edit:
    """Another picture over all of it."""

    def edit(image: Image.Image, dice: Random) -> Image.Image:
        other = Image.fromarray(photo(60_000 + dice.randint(0, 9_999), 640, 480)).resize(image.size)
        return Image.blend(image, other, opacity)

    return edit


def tilted(share: float) -> Edit:
    """Two neighbouring corners pulled in by this share of the side, as in a photo taken from one side."""

    def edit(image: Image.Image, dice: Random) -> Image.Image:
        width, height = image.size
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        moved = corners + np.array([[0, 0], [-share * width, share * height], [-share * width, -share * height], [0, 0]], np.float32)
        matrix = cv2.getPerspectiveTransform(corners, moved)
        return Image.fromarray(np.asarray(cv2.warpPerspective(np.asarray(image), matrix, image.size), np.uint8))

    return edit


def faded(contrast: float) -> Edit:
    return lambda image, dice: Image.fromarray((128 + (np.asarray(image) - 128.0) * contrast).round().astype(np.uint8))


def waved(share: float) -> Edit:
    """Rows and columns pushed to and fro by up to this share of the longer side."""

    def edit(image: Image.Image, dice: Random) -> Image.Image:
        pixels = np.asarray(image)
        y, x = np.mgrid[: image.height, : image.width].astype(np.float32)
        reach, period = share * max(image.size), max(image.size) / 4
        across = x + reach * np.sin(2 * np.pi * y / period)
        down = y + reach * np.sin(2 * np.pi * x / period)
        return Image.fromarray(np.asarray(cv2.remap(pixels, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT), np.uint8))

    return edit


def disguised(effort: int) -> Edit:
    """One more of these at each effort, then re-encoded: mirrored, cropped, darkened, turned, on another's page."""
    steps: tuple[Edit, ...] = (lambda image, dice: ImageOps.mirror(image), cropped_to(0.5), gamma(1.8), turned(10), pasted(0.3))

    def edit(image: Image.Image, dice: Random) -> bytes:
        for step in steps[:effort]:
            changed = step(image, dice)
            assert isinstance(changed, Image.Image)
            image = changed
        return encoded(image, "JPEG", quality=30)

    return edit


def _percent(make: Callable[[float], Edit], *shares: float) -> dict[str, Edit]:
    return {f"{100 * share:g} %": make(share) for share in shares}


LADDERS: Final = (
    Ladder("cropped to this share of the area", _percent(cropped_to, 0.5, 0.35, 0.25, 0.15, 0.1, 0.05)),
    Ladder("pasted on another picture, share of its area", _percent(pasted, 0.5, 0.2, 0.1, 0.07, 0.05, 0.03)),
    Ladder("covered by a plain rectangle, share of the area", _percent(covered, 0.1, 0.25, 0.4, 0.55, 0.7, 0.85)),
    Ladder("covered by another picture, share of the area", _percent(covered_by_picture, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4)),
    Ladder("another picture laid over it, opacity", _percent(overlaid, 0.1, 0.25, 0.4, 0.5, 0.6, 0.75)),
    Ladder("blur, deviation as a share of the longer side", _percent(blurred, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05)),
    Ladder("noise, deviation in grey levels of 255", {f"{d}": made_noisy(d) for d in (10, 20, 40, 60, 90, 130)}),
    Ladder("contrast left", _percent(faded, 0.5, 0.25, 0.1, 0.06, 0.04, 0.02)),
    Ladder("JPEG quality", {f"{q}": saved("JPEG", quality=q) for q in (50, 30, 20, 10, 5, 2)}),
    Ladder("longer side, pixels", {f"{side}": shrunk_to(side) for side in (200, 128, 96, 64, 48, 32)}),
    Ladder("turned, degrees", {f"{d}": turned(d) for d in (3, 7, 15, 30, 45, 75)}),
    Ladder("perspective, corners pulled in by this share of the side", _percent(tilted, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)),
    Ladder("waves, reach as a share of the longer side", _percent(waved, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05)),
    Ladder(
        "a chain: JPEG 30, + mirror, + crop to half, + dark, + turn of 10°, + on a third of a page",
        {f"{effort + 1}": disguised(effort) for effort in range(6)},
    ),
    Ladder(
        "drawn anew",
        {
            "smoothed as a painting": lambda image, dice: image.filter(ImageFilter.ModeFilter(13)),
            "four tones": lambda image, dice: ImageOps.posterize(image.convert("L"), 2),
            "black and white": lambda image, dice: image.convert("L").point(lambda level: 255 * (level > 127)),
            "negative": lambda image, dice: ImageOps.invert(image),
            "lines only": lambda image, dice: ImageOps.invert(image.convert("L").filter(ImageFilter.FIND_EDGES)),
        },
    ),
)
