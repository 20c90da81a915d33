"""Rows I, and the bombs: what a file may hold. Each ends in a coded answer, soon and within memory."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.hostile.processes import cost_of
from tests.hostile.rows import rows
from tests.hostile.world import World
from tests.pictures import FORMATS, Pixels, cut_out, encoded, flattened, photo

MEBIBYTE = 2**20
SOON_SECONDS = 2.0
"""For one worker's processor, so that a busy machine is not taken for a slow decoder."""

PHOTO = photo(1)
PNG, JPEG = encoded(PHOTO, "PNG"), encoded(PHOTO, "JPEG", quality=95)


def png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_header(width: int, height: int, bits: int = 8, colour: int = 2) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))


def flat_png(width: int, height: int) -> bytes:
    """A whole PNG of one colour."""
    squeeze = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    content = b"".join(squeeze.compress(row) for _ in range(height)) + squeeze.flush()
    return png_header(width, height, bits=1, colour=0) + png_chunk(b"IDAT", content) + png_chunk(b"IEND", b"")


def scan_bomb(side: int, extra_scans: int) -> bytes:
    whole = encoded(Image.new("RGB", (side, side)), "JPEG", progressive=True)
    last = whole[whole.rindex(b"\xff\xda") : -2]
    return whole[:-2] + last * extra_scans + whole[-2:]


def gif_of(frames: int) -> bytes:
    whole = encoded(Image.fromarray(photo(1, 64, 48)).quantize(64), "GIF")
    return whole[:-1] + b"\x2c\0\0\0\0\1\0\1\0\0\2\2\x44\1\0" * (frames - 1) + b";"


def webp_of(frames: int) -> bytes:
    """Of one picture, again and again (RFC 9649, section 2.7)."""
    width, height = 32, 24
    picture = encoded(photo(1, width, height), "WEBP", quality=30)[12:]
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    frame = riff_chunk(b"ANMF", bytes(6) + sides + (40).to_bytes(3, "little") + b"\0" + picture)
    head = riff_chunk(b"VP8X", b"\2\0\0\0" + sides) + riff_chunk(b"ANIM", bytes(6))
    return riff_chunk(b"RIFF", b"WEBP" + head + frame * frames)


def riff_chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def behind_header(chunk: bytes) -> bytes:
    return PNG[:33] + chunk + PNG[33:]


def tiff_of_directories(count: int) -> bytes:
    size = 2 + 12 + 4
    body = bytearray(struct.pack("<2sHI", b"II", 42, 8))
    for number in range(count):
        body += struct.pack("<HHHII", 1, 256, 4, 1, 1) + struct.pack("<I", 8 + (number + 1) * size)
    return bytes(body)


def bmp_of_bits(bits: int) -> bytes:
    whole = bytearray(encoded(PHOTO, "BMP"))
    whole[28:30] = struct.pack("<H", bits)
    return bytes(whole)


def polyglot() -> bytes:
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("inner.png", encoded(photo(2), "PNG"))
    return JPEG + archive.getvalue()


def hostile_exif(value_bytes: int) -> bytes:
    """One tag, five thousand times, each of them as long as everything."""
    entries = struct.pack("<HHII", 0x10F, 7, value_bytes, 0) * 5000
    return b"II*\0\x08\0\0\0" + struct.pack("<H", 5000) + entries + bytes(value_bytes)


TOO_LARGE, UNSUPPORTED = "file_too_large", "unsupported_media"

REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "I01 PNG header of 60000x60000": (lambda: png_header(60_000, 60_000) + png_chunk(b"IEND", b""), TOO_LARGE),
    "I02 PNG of 12000x12000": (lambda: flat_png(12_000, 12_000), TOO_LARGE),
    "I02 PNG of 9400x9400": (lambda: flat_png(9400, 9400), TOO_LARGE),
    "I02 WebP of 81 megapixels": (lambda: flat_webp(9000), TOO_LARGE),
    "I03 JPEG of 4000 scans": (lambda: scan_bomb(2000, 4000), UNSUPPORTED),
    "I03 JPEG of 800 scans of 36 megapixels": (lambda: scan_bomb(6000, 800), UNSUPPORTED),
    "I03 JPEG of a million segments": (lambda: JPEG[:2] + b"\xff\xe5\0\2" * 1_000_000 + JPEG[2:], UNSUPPORTED),
    "I05 zTXt": (lambda: behind_header(png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(80 * MEBIBYTE), 9))), UNSUPPORTED),
    "I05 many zTXt": (lambda: behind_header(png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(MEBIBYTE), 9)) * 70), UNSUPPORTED),
    "I05 iCCP": (lambda: behind_header(png_chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(80 * MEBIBYTE), 9))), UNSUPPORTED),
    "I05 half a million chunks": (lambda: behind_header(png_chunk(b"prVt", b"") * 500_000), UNSUPPORTED),
    "I06 SVG": (lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><image href="http://127.0.0.1/"/></svg>', UNSUPPORTED),
    "I06 XML": (lambda: b'<?xml version="1.0"?><!DOCTYPE a SYSTEM "file:///etc/passwd"><svg/>', UNSUPPORTED),
    "I06 EPS": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n", UNSUPPORTED),
    "I06 PDF": (lambda: b"%PDF-1.7\n" + bytes(100), UNSUPPORTED),
    "I06 PSD": (lambda: b"8BPS\0\1" + bytes(100), UNSUPPORTED),
    "I06 HTML": (lambda: b"<!doctype html><img src=http://127.0.0.1/>", UNSUPPORTED),
    "I06 MP4": (lambda: b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + bytes(100), UNSUPPORTED),
    "I06 playlist": (lambda: b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/\n", UNSUPPORTED),
    "I06 concat": (lambda: b"ffconcat version 1.0\nfile /etc/passwd\n", UNSUPPORTED),
    "I06 ICNS": (lambda: b"icns" + bytes(100), UNSUPPORTED),
    "I06 ICO": (lambda: b"\0\0\1\0\1\0" + bytes(100), UNSUPPORTED),
    "I07 half a JPEG": (lambda: JPEG[: len(JPEG) // 2], UNSUPPORTED),
    "I07 half a PNG": (lambda: PNG[: len(PNG) // 2], UNSUPPORTED),
    "I07 half a WebP": (lambda: half(FORMATS["webp"](PHOTO)), UNSUPPORTED),
    "I07 half a lossless WebP": (lambda: half(FORMATS["webp-lossless"](PHOTO)), UNSUPPORTED),
    "I07 half a HEIC": (lambda: half(FORMATS["heic"](PHOTO)), UNSUPPORTED),
    "I07 half an AVIF": (lambda: half(FORMATS["avif"](PHOTO)), UNSUPPORTED),
    "I10 17000x1": (lambda: encoded(Image.new("L", (17_000, 1)), "PNG"), TOO_LARGE),
    "I10 no height": (lambda: png_header(1, 0) + png_chunk(b"IEND", b""), UNSUPPORTED),
    "I11 BMP of 40 bits": (lambda: bmp_of_bits(40), UNSUPPORTED),
    "I11 BMP of 65535 bits": (lambda: bmp_of_bits(65_535), UNSUPPORTED),
    "I11 BMP of a million runs": (lambda: run_length_bmp(1_000_000), UNSUPPORTED),
    "I11 TIFF of 800,000 directories": (lambda: tiff_of_directories(800_000), UNSUPPORTED),
    "I11 TIFF that is its own next directory": (lambda: struct.pack("<2sHIHI", b"II", 42, 8, 0, 8), UNSUPPORTED),
    "I11 PCX": (lambda: b"\x0a\5\1\x08" + bytes(124) + b"\xff" * 200, UNSUPPORTED),
    "I11 TGA": (lambda: bytes(2) + b"\2" + bytes(9) + struct.pack("<HHBB", 9, 9, 24, 0) + bytes(243), UNSUPPORTED),
}


def half(whole: bytes) -> bytes:
    return whole[: len(whole) // 2]


def flat_webp(side: int) -> bytes:
    return encoded(Image.new("RGB", (side, side), (9, 99, 199)), "WEBP", method=0, quality=1)


def run_length_bmp(runs: int) -> bytes:
    header = bytearray(encoded(Image.new("P", (4000, 4000)), "BMP")[:1078])
    header[30] = 1
    return bytes(header) + b"\1\0" * runs


@pytest.mark.parametrize("name", REFUSED)
def test_file_is_refused_soon_and_in_little_memory(world: World, name: str) -> None:
    make, code = REFUSED[name]
    body = make()
    url = world.internet.serve("/hostile-picture", body)
    given, cost = cost_of(world.mesh, lambda: world.code(url))
    assert given == code
    assert cost.cpu_seconds < SOON_SECONDS
    assert cost.growth_bytes < 100 * MEBIBYTE + 2 * len(body)


def test_dimension_bomb_costs_next_to_nothing_i01(world: World) -> None:
    url = world.internet.serve("/header-only", png_header(60_000, 60_000) + png_chunk(b"IEND", b""))
    given, cost = cost_of(world.mesh, lambda: {world.code(url) for _ in range(5)})
    assert given == {TOO_LARGE}
    assert cost.cpu_seconds < 5 * 0.05


def test_scan_bomb_costs_next_to_nothing_i03(world: World) -> None:
    url = world.internet.serve("/scans", scan_bomb(2000, 4000))
    given, cost = cost_of(world.mesh, lambda: world.code(url))
    assert given == UNSUPPORTED
    assert cost.cpu_seconds < 0.2


TAKEN: dict[str, Callable[[], bytes]] = {
    "I04 GIF of 200,000 frames": lambda: gif_of(200_000),
    "I04 animated WebP of 2000 frames": lambda: webp_of(2000),
    "I08 PNG with an MP4 behind it": lambda: PNG + b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + bytes(1000),
    "I10 1x1": lambda: encoded(Image.new("RGB", (1, 1)), "PNG"),
    "I10 1x16384": lambda: encoded(Image.new("L", (1, 16_384)), "PNG"),
    "I10 16384x1": lambda: encoded(Image.new("L", (16_384, 1)), "JPEG"),
    "I10 PNG of 50 megapixels": lambda: flat_png(10_000, 5000),
    "I11 PNG with a hostile EXIF": lambda: behind_header(png_chunk(b"eXIf", hostile_exif(10_000_000))),
}


@pytest.mark.parametrize("name", TAKEN)
def test_odd_but_honest_file_is_answered_soon(world: World, name: str) -> None:
    url = world.internet.serve("/odd-picture", TAKEN[name]())
    (answer, _), cost = cost_of(world.mesh, lambda: world.match(url, world.photo_url))
    assert answer.status == 200
    assert cost.cpu_seconds < SOON_SECONDS


def test_polyglot_is_what_its_first_bytes_say_i08(world: World) -> None:
    url = world.internet.serve("/polyglot", polyglot())
    assert world.match(url, world.photo_url)[0].json["similarity_score"] > 0.9
    hidden = world.internet.serve("/hidden.png", encoded(photo(2), "PNG"))
    assert not world.match(url, hidden)[0].json["match"]


def turned(picture: Pixels, orientation: int) -> bytes:
    """Stored so that the orientation turns it upright again."""
    undo = {1: 0, 2: 1, 3: 2, 4: 3, 5: 5, 6: 4, 7: 6, 8: 7}
    turns = [
        lambda p: p,
        np.fliplr,
        lambda p: np.rot90(p, 2),
        np.flipud,
        lambda p: np.rot90(p, 1),
        lambda p: p.transpose(1, 0, 2),
        lambda p: np.rot90(p, 2).transpose(1, 0, 2),
        lambda p: np.rot90(p, 3),
    ]
    exif = Image.Exif()
    exif[0x112] = orientation
    return encoded(np.ascontiguousarray(turns[undo[orientation]](picture)), "JPEG", quality=95, exif=exif.tobytes())


def sixteen_bits() -> bytes:
    grey = np.asarray(Image.fromarray(PHOTO).convert("L"), np.uint16) * 257
    return encoded(Image.fromarray(grey), "PNG")


SAME: dict[str, Callable[[], bytes]] = {
    **{f"I09 turned as EXIF's {number}": partial(turned, PHOTO, number) for number in range(1, 9)},
    "I09 CMYK": lambda: encoded(Image.fromarray(PHOTO).convert("CMYK"), "JPEG", quality=95),
    "I09 16 bits": sixteen_bits,
    "I09 palette with alpha": lambda: encoded(Image.fromarray(PHOTO).quantize(256), "PNG", transparency=255),
    "I09 grey": lambda: encoded(Image.fromarray(PHOTO).convert("L"), "PNG"),
    "I09 ICC": lambda: encoded(PHOTO, "JPEG", quality=95, icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()),
    **{f"I09 {name}": partial(make, PHOTO) for name, make in FORMATS.items()},
}


@pytest.mark.parametrize("name", SAME)
def test_same_photo_stored_otherwise_is_the_same_picture(world: World, name: str) -> None:
    answer, _ = world.match(world.internet.serve("/stored-otherwise", SAME[name]()), world.photo_url)
    assert answer.status == 200, answer
    assert answer.json["similarity_score"] >= 0.9


def test_cut_out_is_the_same_on_white_i09(world: World) -> None:
    clear = world.internet.serve("/clear.png", encoded(cut_out(3), "PNG"))
    white = world.internet.serve("/white.png", encoded(flattened(cut_out(3), 255), "PNG"))
    assert world.match(clear, white)[0].json["similarity_score"] >= 0.9


@pytest.mark.parametrize(
    "body", rows({"I06": (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP", b"GIF89a", b"II*\0", b"\0\0\0\x1cftypheic")})
)
def test_signature_with_nothing_behind_it_is_unsupported(world: World, body: bytes) -> None:
    assert world.code(world.internet.serve("/signature", body)) == UNSUPPORTED
