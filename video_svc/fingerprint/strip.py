"""Thumbnails of a film side by side in one JPEG: a few hundred bytes each, and libjpeg's integers are exact."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from video_svc.fingerprint.film import Grey

COLUMNS: Final = 24
JPEG_QUALITY: Final = 60
MAX_GAIN: Final = 3.0
"""More would make pictures out of noise."""

Thumbnails = NDArray[np.uint8]


def stretched(grey: Grey) -> Grey:
    """Night scenes, fades and pale pictures over the whole range of grey, or their structure would drown in rounding."""
    low, high = np.percentile(grey, (1, 99))
    gain = min(MAX_GAIN, 235 / max(float(high - low), 1.0))
    if gain <= 1:
        return grey
    table = np.clip((np.arange(256) - float(low + high) / 2) * gain + 127.5, 0, 255).astype(np.uint8)
    return cv2.LUT(grey, table).astype(np.uint8, copy=False)


def roll_up(thumbnails: Thumbnails) -> bytes:
    """The strip of frames x height x width pixels."""
    count, height, width = thumbnails.shape
    # Each thumbnail fills whole blocks of 8 x 8, so that none colours its neighbours.
    full_height, full_width = -(-height // 8) * 8, -(-width // 8) * 8
    columns = min(count, COLUMNS)
    rows = -(-count // columns)
    padded = np.zeros((rows * columns, full_height, full_width), np.uint8)
    padded[:count] = np.pad(thumbnails, ((0, 0), (0, full_height - height), (0, full_width - width)), mode="edge")
    sheet = padded.reshape(rows, columns, full_height, full_width).transpose(0, 2, 1, 3).reshape(rows * full_height, columns * full_width)
    return cv2.imencode(".jpg", np.ascontiguousarray(sheet), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, cv2.IMWRITE_JPEG_OPTIMIZE, 1])[
        1
    ].tobytes()


def unroll(strip: bytes, count: int, height: int, width: int) -> Thumbnails:
    """The thumbnails that `roll_up` rolled; a strip of any other size is a ValueError."""
    full_height, full_width = -(-height // 8) * 8, -(-width // 8) * 8
    columns = min(count, COLUMNS)
    rows = -(-count // columns)
    if jpeg_size(strip) != (columns * full_width, rows * full_height):
        raise ValueError("a strip of another size")
    sheet = cv2.imdecode(np.frombuffer(strip, np.uint8), cv2.IMREAD_GRAYSCALE)
    if sheet is None or sheet.shape != (rows * full_height, columns * full_width):
        raise ValueError("not a strip")
    cells = sheet.reshape(rows, full_height, columns, full_width).transpose(0, 2, 1, 3).reshape(-1, full_height, full_width)
    return np.ascontiguousarray(cells[:count, :height, :width], dtype=np.uint8)


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Width and height that a baseline JPEG states, before a pixel is decoded."""
    if data[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        if data[at + 1] in (0xC0, 0xC1):
            return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None
