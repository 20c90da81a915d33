"""From the bytes of a picture to its pixels: RGB, upright, on one matte, reduced to what is looked at.

The answer depends on the bytes alone. It is whole or refused: nothing but a Picture, UnsupportedMedia or FileTooLarge comes out.
Of an animation the first frame is the picture (of an APNG, what a viewer that knows no animation shows).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from PIL import Image

from mesh.errors import FileTooLarge, MeshError, UnsupportedMedia
from mesh.media import MediaType
from mesh.media_type import SNIFF_BYTES, accepts, sniff
from stills.colour import Pixels, as_rgb
from stills.container import check_container
from stills.frame import read_frame
from stills.scale import reduce_to, upright

__all__ = ["Picture", "Pixels", "decode_image"]


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """`width` and `height` are those of the whole upright picture; `pixels` may be reduced."""

    pixels: Pixels
    width: int
    height: int


def decode_image(data: bytes | memoryview, *, max_side: int) -> Picture:
    """The longer side of the pixels is exactly `max_side` where the picture is larger; a smaller one keeps its size."""
    data = bytes(data)
    content_type = sniff(data[:SNIFF_BYTES])
    if content_type is None or not accepts(MediaType.IMAGE, content_type):
        raise UnsupportedMedia("is no image that is read here: JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata is no news: the pixels are whole, or an error says so
            check_container(data, content_type)
            frame = read_frame(data, content_type, max_side)
            pixels = as_rgb(reduce_to(frame.image, max_side), frame.profile)
    except MeshError:
        raise
    except (MemoryError, Image.DecompressionBombError) as error:  # Pillow's own cap, where a frame is larger than its canvas
        raise FileTooLarge("takes more memory to decode than one image may") from error
    except Exception as error:  # decoders raise whatever they stumble over: ValueError, SyntaxError, struct.error, cv2.error …
        raise UnsupportedMedia("is truncated or damaged") from error
    return Picture(*upright(pixels, frame, max_side))
