"""What people do to a picture before it comes back: each edit takes a picture and a generator, and gives an edited one or a file."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Final

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

from tests.pictures import encoded, photo

Edit = Callable[[Image.Image, Random], Image.Image | bytes]


def as_file(edited: Image.Image | bytes) -> bytes:
    return edited if isinstance(edited, bytes) else encoded(edited.convert("RGB"), "JPEG", quality=85)


def saved(file_format: str, **options: Any) -> Edit:
    return lambda image, dice: encoded(image, file_format, **options)


def resized(across: float, down: float | None = None) -> Edit:
    return lambda image, dice: image.resize((round(image.width * across), round(image.height * (down or across))), Image.Resampling.BICUBIC)


def cropped(per_side: float) -> Edit:
    def edit(image: Image.Image, dice: Random) -> Image.Image:
        left, top, right, bottom = (dice.uniform(0.4, 1.0) * per_side for _ in range(4))
        return image.crop(
            (round(left * image.width), round(top * image.height), round((1 - right) * image.width), round((1 - bottom) * image.height))
        )

    return edit


def watermarked(image: Image.Image, dice: Random) -> Image.Image:
    """Text over a quarter of the area, at an opacity of 0.6."""
    layer = Image.new("RGBA", image.size)
    draw = ImageDraw.Draw(layer)
    font = ImageFont.load_default(image.height // 5)
    draw.text((image.width / 2, image.height / 2), f"SAMPLE {dice.randint(10, 99)}", font=font, anchor="mm", fill=(255, 255, 255, 153))
    return Image.alpha_composite(image.convert("RGBA"), layer.rotate(dice.choice([0, 25, -25]))).convert("RGB")


def tiled(image: Image.Image, dice: Random) -> Image.Image:
    """A small mark all over, half transparent."""
    layer = Image.new("RGBA", image.size)
    draw = ImageDraw.Draw(layer)
    step = image.width // 6
    for y in range(0, image.height, step):
        for x in range(0, image.width, step):
            draw.ellipse((x, y, x + step // 2, y + step // 2), outline=(255, 255, 255, 120), width=step // 12)
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


def gained(image: Image.Image, dice: Random) -> Image.Image:
    values = np.asarray(image).astype(np.float32) * [dice.uniform(0.7, 1.3) for _ in range(3)]
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def hue_turned(image: Image.Image, dice: Random) -> Image.Image:
    values = np.array(image.convert("HSV"))
    values[..., 0] = values[..., 0] + np.uint8(dice.randint(40, 200))
    return Image.fromarray(values, "HSV").convert("RGB")


def blurred(share: float) -> Edit:
    """By a deviation of this share of the longer side."""
    return lambda image, dice: image.filter(ImageFilter.GaussianBlur(share * max(image.size)))


def darkened(image: Image.Image) -> Image.Image:
    """Nearly night."""
    return ImageEnhance.Brightness(image).enhance(0.25)


def gamma(power: float) -> Edit:
    return lambda image, dice: Image.fromarray((255 * (np.asarray(image) / 255.0) ** power).astype(np.uint8))


def noisy(image: Image.Image, dice: Random) -> Image.Image:
    noise = np.random.default_rng(dice.getrandbits(32)).normal(0, 15, (image.height, image.width, 3))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


def stickered(image: Image.Image, dice: Random) -> Image.Image:
    done = image.copy()
    side = round(0.3 * image.height)
    x, y = dice.randint(0, image.width - side), dice.randint(0, image.height - side)
    draw = ImageDraw.Draw(done)
    draw.ellipse((x, y, x + side, y + side), fill="#ffcc22", outline="#553300", width=4)
    draw.ellipse((x + side * 0.25, y + side * 0.3, x + side * 0.4, y + side * 0.5), fill="#553300")
    draw.ellipse((x + side * 0.6, y + side * 0.3, x + side * 0.75, y + side * 0.5), fill="#553300")
    return done


def covered(share: float, place: tuple[float, float] | None = None) -> Edit:
    """A plain box of the picture's shape over this share of the area, as far to the right and down as `place` says, else anywhere."""

    def edit(image: Image.Image, dice: Random) -> Image.Image:
        done = image.copy()
        width, height = round(image.width * share**0.5), round(image.height * share**0.5)
        across, down = image.width - width, image.height - height
        at = (round(place[0] * across), round(place[1] * down)) if place else (dice.randint(0, across), dice.randint(0, down))
        done.paste(Image.new("RGB", (width, height), dice.choice(["white", "black", "#3366aa"])), at)
        return done

    return edit


def covered_by_picture(share: float) -> Edit:
    """Another picture over this share of the area, anywhere."""

    def edit(image: Image.Image, dice: Random) -> Image.Image:
        done = image.copy()
        width, height = round(image.width * share**0.5), round(image.height * share**0.5)
        other = Image.fromarray(photo(80_000 + dice.randint(0, 9_999), width, height))
        done.paste(other, (dice.randint(0, image.width - width), dice.randint(0, image.height - height)))
        return done

    return edit


def under_interface(image: Image.Image, dice: Random) -> Image.Image:
    """A post on a telephone: bars, names, buttons and lines of text around the picture."""
    page = Image.new("RGB", (600, 1100), "white")
    draw = ImageDraw.Draw(page)
    draw.rectangle((0, 0, 600, 40), fill="#4466aa")
    draw.ellipse((20, 55, 80, 115), fill="#cc5522")
    draw.text((95, 60), f"someone {dice.randint(100, 999)}", font=ImageFont.load_default(28), fill="black")
    page.paste(ImageOps.pad(image, (600, 560), color="white"), (0, 130))
    for button in range(5):
        draw.rounded_rectangle((20 + button * 90, 705, 80 + button * 90, 750), 10, outline="black", width=4)
    for line in range(6):
        words = " ".join(dice.choice(("nice", "great", "where", "is", "this", "so", "wow")) for _ in range(6))
        draw.text((70, 785 + line * 50), words, font=ImageFont.load_default(22), fill="black")
    return page


def bordered(image: Image.Image, dice: Random) -> Image.Image:
    return ImageOps.expand(image, round(0.08 * image.height), dice.choice(["white", "black", "#b08d57"]))


def pasted(share: float) -> Edit:
    """Small, on a picture that has nothing to do with it."""

    def edit(image: Image.Image, dice: Random) -> Image.Image:
        page = Image.fromarray(photo(50_000 + dice.randint(0, 9_999), 900, 700))
        scale = (share * page.width * page.height / (image.width * image.height)) ** 0.5
        scale = min(scale, page.width / image.width, page.height / image.height)
        small = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
        page.paste(small, (dice.randint(0, page.width - small.width), dice.randint(0, page.height - small.height)))
        return page

    return edit


def mirrored(then: Edit) -> Edit:
    def edit(image: Image.Image, dice: Random) -> Image.Image | bytes:
        return then(ImageOps.mirror(image), dice)

    return edit


def unchanged(image: Image.Image, dice: Random) -> Image.Image:
    return image


RE_ENCODED: Final[dict[str, Edit]] = {
    **{f"jpeg {quality}": saved("JPEG", quality=quality) for quality in (30, 50, 75, 95)},
    "png": saved("PNG"),
    "webp 50": saved("WEBP", quality=50),
    "avif 50": saved("AVIF", quality=50, speed=9),
    "heic 60": saved("HEIF", quality=60),
}
RESIZED: Final[dict[str, Edit]] = {
    **{f"{scale} x": resized(scale) for scale in (0.1, 0.25, 0.5, 2.0, 3.0)},
    "15 % wider": resized(1.15, 1.0),
    "15 % taller": resized(1.0, 1.15),
}
WATERMARKED: Final[dict[str, Edit]] = {"text": watermarked, "tiled": tiled}
CROPPED: Final[dict[str, Edit]] = {f"up to {share:.0%} a side": cropped(share) for share in (0.05, 0.1, 0.2)}
COLOURED: Final[dict[str, Edit]] = {
    "gain": gained,
    "hue": hue_turned,
    "grey": lambda image, dice: image.convert("L"),
    "saturated": lambda image, dice: ImageEnhance.Color(image).enhance(2.0),
    "gamma 0.5": gamma(0.5),
    "gamma 2": gamma(2.0),
}
MINOR: Final[dict[str, Edit]] = {
    "blur": lambda image, dice: image.filter(ImageFilter.GaussianBlur(2)),
    "sharpen": lambda image, dice: image.filter(ImageFilter.SHARPEN),
    "noise": noisy,
    "border": bordered,
    "sticker": stickered,
}
MIRRORED: Final[dict[str, Edit]] = {
    "mirror": mirrored(unchanged),
    "mirror, jpeg 40": mirrored(saved("JPEG", quality=40)),
    "mirror, half": mirrored(resized(0.5)),
    "mirror, watermark": mirrored(watermarked),
    "mirror, crop": mirrored(cropped(0.15)),
    "mirror, colour": mirrored(gained),
    "flip": lambda image, dice: ImageOps.flip(image),
    "quarter turn": lambda image, dice: image.transpose(Image.Transpose.ROTATE_90),
    "half turn": lambda image, dice: image.transpose(Image.Transpose.ROTATE_180),
}
COVERED: Final[dict[str, Edit]] = {
    "plain box over a quarter": covered(0.25, (0.3, 0.4)),
    "plain box over the middle": covered(0.25, (0.5, 0.5)),
    "plain box over a third, at the edge": covered(0.35, (1.0, 1.0)),
    "another picture over a sixth": covered_by_picture(0.16),
}
BLURRED: Final[dict[str, Edit]] = {f"blur of {share:.0%} of the side": blurred(share) for share in (0.02, 0.03)}
PASTED: Final[dict[str, Edit]] = {"on half of a page": pasted(0.5), "on a fifth of a page": pasted(0.2)}
