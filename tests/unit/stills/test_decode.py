"""What stills promises of every type: the same picture out of each, or a refusal that says why."""

from __future__ import annotations

import base64
import struct
import time
import zlib
from collections.abc import Callable
from typing import Final

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from mesh.errors import FileTooLarge, MeshError, UnsupportedMedia
from stills import Pixels, decode_image
from tests.pictures import FORMATS, cut_out, encoded, flattened, photo

PHOTO: Final = photo(1, 200, 150)
ANIMATED: Final = ("PNG", "GIF", "WEBP")


def decoded(data: bytes, max_side: int = 4096) -> Pixels:
    return decode_image(data, max_side=max_side).pixels


def difference(one: Pixels, other: Pixels) -> float:
    """The mean of all samples."""
    assert one.shape == other.shape
    return float(np.abs(one.astype(float) - other).mean())


def png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_of_size(width: int, height: int) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", b"") + png_chunk(b"IEND", b"")


def behind_png_header(png: bytes, inserted: bytes) -> bytes:
    return png[:33] + inserted + png[33:]


def animation(file_format: str) -> bytes:
    frames = [Image.fromarray(photo(seed, 120, 90)) for seed in (1, 2, 3)]
    lossless = {"lossless": True} if file_format == "WEBP" else {}
    return encoded(frames[0], file_format, save_all=True, append_images=frames[1:], **lossless)


# ------------------------------------------------------------------------------------------------------------- types and sizes


@pytest.mark.parametrize("name", FORMATS)
def test_every_type_gives_the_same_picture(name: str) -> None:
    picture = decode_image(FORMATS[name](PHOTO), max_side=512)
    assert (picture.width, picture.height) == (200, 150)
    assert picture.pixels.dtype == np.uint8
    assert difference(picture.pixels, PHOTO) < 8  # a palette of 256 colours is the coarsest of them


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("max_side", [37, 64, 100, 199])
def test_the_longer_side_ends_at_exactly_what_was_asked_for(name: str, max_side: int) -> None:
    picture = decode_image(FORMATS[name](PHOTO), max_side=max_side)
    assert picture.pixels.shape == (round(150 * max_side / 200), max_side, 3)
    assert (picture.width, picture.height) == (200, 150)


@pytest.mark.parametrize("name", FORMATS)
def test_a_reduced_picture_is_the_mean_of_what_it_stands_for(name: str) -> None:
    blocks = PHOTO.reshape(75, 2, 100, 2, 3).mean(axis=(1, 3))
    assert difference(decoded(FORMATS[name](PHOTO), 100), blocks.astype(np.uint8)) < 7


def test_a_smaller_picture_is_not_enlarged() -> None:
    assert decoded(encoded(PHOTO, "PNG"), 512).shape == PHOTO.shape


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"])
@pytest.mark.parametrize("size", [(1, 1), (1, 16_000), (16_000, 1), (3, 2)])
def test_the_thinnest_pictures_are_read(file_format: str, size: tuple[int, int]) -> None:
    picture = decode_image(encoded(Image.new("RGB", size, (0, 128, 0)), file_format), max_side=512)
    assert (picture.width, picture.height) == size
    assert picture.pixels.shape[:2] == (min(size[1], 512), min(size[0], 512))


@pytest.mark.parametrize("file_format", ANIMATED)
def test_the_first_frame_of_an_animation_is_the_picture(file_format: str) -> None:
    assert difference(decoded(animation(file_format)), photo(1, 120, 90)) < 8


@pytest.mark.parametrize("name", ["jpeg", "png", "webp"])
def test_what_follows_the_end_of_a_file_is_not_looked_at(name: str) -> None:
    whole = FORMATS[name](PHOTO)
    assert np.array_equal(decoded(whole + b"PK\x03\x04" + b"\xff\xda" * 2000), decoded(whole))


def test_the_answer_is_the_same_for_a_view_of_the_bytes_and_after_other_pictures() -> None:
    data = FORMATS["jpeg"](PHOTO)
    first = decoded(data, 100)
    for name in FORMATS:
        decoded(FORMATS[name](photo(2, 80, 60)))
    assert np.array_equal(decode_image(memoryview(data), max_side=100).pixels, first)


# ------------------------------------------------------------------------------------------------------------------ orientation

# How each orientation is stored so that PHOTO appears when it is turned as the tag says (EXIF 2.3, section 4.6.4).
AS_STORED: Final[dict[int, Callable[[Pixels], Pixels]]] = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p, 1),
    7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
    8: lambda p: np.rot90(p, -1),
}


@pytest.mark.parametrize("orientation", AS_STORED)
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_a_picture_is_turned_upright_once(file_format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored = np.ascontiguousarray(AS_STORED[orientation](PHOTO))
    picture = decode_image(encoded(stored, file_format, exif=exif.tobytes()), max_side=100)
    assert (picture.width, picture.height) == (200, 150)
    assert difference(picture.pixels, decoded(encoded(PHOTO, "PNG"), 100)) < 8


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_is_taken_from_xmp_where_exif_has_none(file_format: str) -> None:
    xmp = b'<x:xmpmeta><rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></x:xmpmeta>'
    stored = Image.fromarray(np.ascontiguousarray(AS_STORED[6](PHOTO)))
    if file_format == "PNG":
        data = behind_png_header(encoded(stored, "PNG"), png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp))
    elif file_format == "TIFF":
        data = encoded(stored, "TIFF", tiffinfo={700: xmp})
    else:
        data = encoded(stored, file_format, xmp=xmp)
    assert difference(decoded(data), PHOTO) < 8


@pytest.mark.parametrize("exif", [b"Exif\0\0junk", b"Exif\0\0MM\0*\xff\xff\xff\xff", b""])
def test_a_broken_description_does_not_hurt_an_unbroken_picture(exif: bytes) -> None:
    assert difference(decoded(encoded(PHOTO, "JPEG", quality=90, exif=exif)), PHOTO) < 8


# ---------------------------------------------------------------------------------------------------------------------- colour

GREY: Final = np.asarray(Image.fromarray(PHOTO).convert("L"))
GREY_16: Final = GREY.astype(np.uint16) * 257


def as_rgb(grey: Pixels) -> Pixels:
    return np.repeat(grey[..., None], 3, axis=2)


def as_mode(mode: str) -> Image.Image:
    return Image.fromarray(PHOTO).convert(mode)


@pytest.mark.parametrize(
    ("data", "expected", "tolerance"),
    [
        pytest.param(encoded(as_mode("CMYK"), "JPEG", quality=95), PHOTO, 5, id="CMYK JPEG"),
        pytest.param(encoded(as_mode("CMYK"), "TIFF"), PHOTO, 1, id="CMYK TIFF"),
        pytest.param(encoded(as_mode("YCbCr"), "TIFF"), PHOTO, 3, id="YCbCr TIFF"),
        pytest.param(encoded(as_mode("LAB"), "TIFF"), PHOTO, 3, id="LAB TIFF"),
        pytest.param(encoded(as_mode("L"), "JPEG", quality=95), as_rgb(GREY), 3, id="grey JPEG"),
        pytest.param(encoded(as_mode("LA"), "PNG"), as_rgb(GREY), 0, id="grey PNG with alpha"),
        pytest.param(encoded(as_mode("1"), "PNG"), as_rgb(np.asarray(as_mode("1").convert("L"))), 0, id="1-bit PNG"),
        pytest.param(encoded(as_mode("1"), "TIFF", compression="group4"), as_rgb(np.asarray(as_mode("1").convert("L"))), 0, id="fax"),
        pytest.param(encoded(Image.fromarray(GREY_16), "PNG"), as_rgb(GREY), 0, id="16-bit PNG"),
        pytest.param(encoded(Image.fromarray(GREY_16), "TIFF"), as_rgb(GREY), 0, id="16-bit TIFF"),
        pytest.param(encoded(Image.fromarray(GREY_16 // 4), "PNG"), as_rgb(GREY // 4), 0.5, id="dark 16-bit PNG stays dark"),
        pytest.param(encoded(Image.fromarray(GREY.astype(np.float32) / 255), "TIFF"), as_rgb(GREY), 0, id="float TIFF to 1"),
        pytest.param(encoded(Image.fromarray(GREY.astype(np.float32)), "TIFF"), as_rgb(GREY), 0, id="float TIFF to 255"),
        pytest.param(encoded(Image.fromarray(GREY_16.astype(np.int32)), "TIFF"), as_rgb(GREY), 0, id="32-bit TIFF"),
        pytest.param(encoded(as_mode("RGBA"), "PNG"), PHOTO, 0, id="opaque alpha"),
    ],
)
def test_every_way_of_storing_colour_is_read(data: bytes, expected: Pixels, tolerance: float) -> None:
    assert difference(decoded(data), expected) <= tolerance


# By libjpeg-turbo 3; no library at hand writes them. Red rises by 100 a row and 40 a column, green half as fast, blue falls.
TWELVE_BITS_GREY: Final = base64.b85decode(
    "|JeWF01!$>Nk#wx0RR9200961|JwjV00RO70|EjA0|NsD0|NvF2n7WM1O*BQ2L=cX3JeSj3JVJj4iXRz4iOFu3lJ6%5fc;@6%`B*7Z?^47!ni}6#u~h3k(1l03ZPY5di"
    "<h02TlN0RaF200000000000000A2@U_m02>eh00#j80000000000000002?{4QL{j1Z+5iXv0RR9$0MEoJBsfDi_^H6vib)O-&HgHIHByp8gfoANoDEc@kl_s9;->^vD"
    "I_>UH~6W*)k;YY5Y7H7a5YkrLxeMbikuBtq>$kZ-{PkPR4F7lLpS)Tz|~4g4iL@$DsVMol0$?ue~O$9RHTsM4Bz6X2mjd"
)
TWELVE_BITS_COLOUR: Final = base64.b85decode(
    "|JeWF01!$>Nk#wx0RR9200961|JwjV00RO70|EjA0|NsD0|NvF2n7WM1O*BQ2L=cX3JeSj3JVJj4iXRz4iOFu3lJ6%5fc;@6%`B*7Z?^47!ni}6#v@*LjeN>1O)^I2?Y"
    "fS6b%av6ciK`6ciK`6ciK`6ciK`6ciK`6ciK`6ciK`6ciK`6ciK`6ciK`6ciK`6ciK`6cqo#01*rT7yuvx0U`hb5di}c0sq7R7ytnQ0RaI30000000000000R93J47U!"
    "~h%+009L70RaF2000000000000;>sG(%A#;s3+{7XbhR0RR910000000000000OI3k?6n04Nav00RRI0{{R300000000002ni%5K>-2>3L_>nG(u5Q;X~5X|Jncy0|5X"
    "65d#qbKLGIjB^FDk1I&hDC^B6*9%N~iD6(BR9%M5KMUv^j`{qW&MKG=Lp1gd#y@F`FrDhAiZ9NRlB?e2U1I)e*%28yxa6HJ<B2i?za6HInQi~<if#yV;)WWyMdhzn|_8"
    "I8ArDhAiZ9NV$N-UR72bm1YQDnMsJjjTSnwTkxm2Q6Wg#Q4bY!dEW==Q~nXvyjsgrdoG;CYbDB^FDk1Mis;5^qxlF*2>s-cX<P4D?;gy&l-HZ5cgB|Je"
)
RISING: Final = np.add.outer(np.arange(24) * 100, np.arange(32) * 40) / 16


def test_jpeg_of_12_bits_is_read() -> None:
    assert difference(decoded(TWELVE_BITS_GREY), np.dstack([RISING] * 3).astype(np.uint8)) < 1.5
    assert difference(decoded(TWELVE_BITS_COLOUR), np.dstack([RISING, RISING / 2, 255 - RISING]).astype(np.uint8)) < 3


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_truncated_jpeg_of_12_bits_is_refused(share: float) -> None:
    with pytest.raises(UnsupportedMedia, match="truncated or damaged"):
        decode_image(TWELVE_BITS_COLOUR[: int(len(TWELVE_BITS_COLOUR) * share)], max_side=512)


def test_samples_that_are_no_numbers_are_black_or_white() -> None:
    samples = np.array([[np.nan, np.inf, -np.inf, 0.5]], np.float32)
    assert decoded(encoded(Image.fromarray(samples), "TIFF"))[0, :, 0].tolist() == [0, 255, 0, 128]


def profile_with_red_and_blue_exchanged() -> bytes:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exchanged = srgb.replace(b"rXYZ", b"tXYZ", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"tXYZ", b"bXYZ", 1)
    return exchanged.replace("sRGB".encode("utf-16-be"), "BGRs".encode("utf-16-be"))


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "WEBP"])
def test_a_colour_profile_is_honoured(file_format: str) -> None:
    lossless = {"lossless": True} if file_format == "WEBP" else {}
    data = encoded(PHOTO, file_format, icc_profile=profile_with_red_and_blue_exchanged(), **lossless)
    assert difference(decoded(data), PHOTO[..., ::-1]) < 3


@pytest.mark.parametrize("profile", [b"no profile at all", profile_with_red_and_blue_exchanged()[:200], b"\0" * 2_000_000])
def test_a_broken_or_huge_profile_is_ignored(profile: bytes) -> None:
    assert difference(decoded(encoded(PHOTO, "TIFF", icc_profile=profile)), PHOTO) == 0


# ---------------------------------------------------------------------------------------------------------------- transparency


@pytest.mark.parametrize("max_side", [100, 4096])
@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "WEBP"])
def test_a_cut_out_is_the_same_picture_as_its_flat_copy_on_white(file_format: str, max_side: int) -> None:
    picture = cut_out(3, 200, 150)
    lossless = {"lossless": True} if file_format == "WEBP" else {}
    transparent = decoded(encoded(picture, file_format, **lossless), max_side)
    assert difference(transparent, decoded(encoded(flattened(picture, 255), "PNG"), max_side)) < 1


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_what_lies_under_full_transparency_never_shows(file_format: str) -> None:
    picture, other = cut_out(3, 200, 150), cut_out(3, 200, 150)
    other[other[..., 3] == 0, :3] = (255, 0, 0)
    assert np.array_equal(decoded(encoded(picture, file_format), 64), decoded(encoded(other, file_format), 64))


def test_a_transparent_colour_of_a_palette_shows_the_matte() -> None:
    stripes = Image.fromarray(np.tile(np.array([0, 1], np.uint8), (8, 4)), "P")
    stripes.putpalette([200, 0, 0, 0, 0, 200])
    for file_format in ("PNG", "GIF"):
        assert decoded(encoded(stripes, file_format, transparency=0))[0, :2].tolist() == [[255, 255, 255], [0, 0, 200]]


def test_a_transparent_colour_of_a_grey_picture_shows_the_matte() -> None:
    grey = Image.fromarray(np.tile(np.array([7, 90], np.uint8), (8, 4)))
    assert decoded(encoded(grey, "PNG", transparency=7))[0, :2, 0].tolist() == [255, 90]


def test_a_white_logo_does_not_vanish_on_the_matte() -> None:
    logo = np.full((80, 120, 4), 255, np.uint8)
    logo[:20, :, 3] = 0
    pixels = decoded(encoded(logo, "PNG"))
    assert (pixels[0, 0].max(), pixels[-1, -1].min()) == (0, 255)


# ------------------------------------------------------------------------------------------------------------ damaged and cut


@pytest.mark.parametrize("share", [0.1, 0.5, 0.6, 0.99])
@pytest.mark.parametrize("name", FORMATS)
def test_a_truncated_file_is_refused(name: str, share: float) -> None:
    whole = FORMATS[name](PHOTO)
    with pytest.raises(UnsupportedMedia, match="truncated"):
        decode_image(whole[: int(len(whole) * share)], max_side=512)


@pytest.mark.parametrize("share", [0.5, 0.6, 0.99])
@pytest.mark.parametrize("file_format", ANIMATED)
def test_an_animation_that_is_cut_behind_its_first_frame_is_refused(file_format: str, share: float) -> None:
    whole = animation(file_format)
    with pytest.raises(UnsupportedMedia, match="truncated"):
        decode_image(whole[: int(len(whole) * share)], max_side=512)


@pytest.mark.parametrize("share", [0.5, 0.6, 0.99])
@pytest.mark.parametrize("name", ["jpeg", "jpeg-progressive"])
def test_a_jpeg_that_was_cut_and_closed_again_is_refused(name: str, share: float) -> None:
    whole = FORMATS[name](PHOTO)
    with pytest.raises(UnsupportedMedia, match="truncated or damaged"):
        decode_image(whole[: int(len(whole) * share)] + b"\xff\xd9", max_side=512)


def test_a_jpeg_without_its_end_is_refused() -> None:
    # Nobody can tell whether its last rows are all there.
    with pytest.raises(UnsupportedMedia, match="truncated or damaged"):
        decode_image(FORMATS["jpeg"](PHOTO)[:-2], max_side=512)


def test_a_gif_that_lacks_nothing_but_its_trailer_is_read() -> None:
    whole = FORMATS["gif"](PHOTO)
    assert np.array_equal(decoded(whole[:-1]), decoded(whole))


def test_stray_bytes_before_a_jpegs_end_are_forgiven() -> None:
    whole = FORMATS["jpeg"](PHOTO)
    assert np.array_equal(decoded(whole[:-2] + b"\x01\x02" + whole[-2:]), decoded(whole))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7\n",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"8BPS\0\1",
        b"<!doctype html>",
        b"\0\0\0\x18ftypisom\0\0\2\0isomavc1",
        b"ID3\4\0\0\0\0\0\0",
        b"\x0a\x05\x01\x08" + bytes(124),
        b"\0\0\2" + bytes(60),
    ],
)
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(UnsupportedMedia, match="no image"):
        decode_image(data, max_side=512)


@pytest.mark.parametrize("name", FORMATS)
def test_whatever_is_done_to_a_file_there_comes_a_picture_or_a_refusal(name: str) -> None:
    random = np.random.default_rng(list(name.encode()))
    whole = np.frombuffer(FORMATS[name](photo(4, 48, 36)), np.uint8)
    refused = 0
    for _ in range(60):
        mutant = whole.copy()
        reach = 100 if random.random() < 0.6 else len(mutant)  # the headers are where it hurts
        places = random.integers(0, min(reach, len(mutant)), random.integers(1, 6))
        mutant[places] = random.choice(np.array([0, 1, 0x7F, 0x80, 0xFF, random.integers(0, 256)]), len(places))
        if random.random() < 0.2:
            mutant = np.delete(mutant, slice(int(places[0]), int(places[0]) + int(random.integers(1, 40))))
        try:
            picture = decode_image(mutant.tobytes(), max_side=64)
            assert picture.pixels.shape[2] == 3
            assert max(picture.pixels.shape) <= 64
        except (UnsupportedMedia, FileTooLarge):
            refused += 1
    assert refused > 0


# ----------------------------------------------------------------------------------------------------------------------- bombs


def progressive_jpeg(extra_scans: int, side: int = 512) -> bytes:
    whole = encoded(Image.new("RGB", (side, side)), "JPEG", progressive=True)
    last_scan = whole[whole.rindex(b"\xff\xda") : -2]
    return whole[:-2] + last_scan * extra_scans + whole[-2:]


def run_length_bmp(runs: int) -> bytes:
    header = bytearray(encoded(Image.new("P", (4000, 4000)), "BMP")[:1078])
    header[30] = 1
    return bytes(header) + b"\1\0" * runs


def striped_tiff(strips: int) -> bytes:
    tags = [(256, 1), (257, strips), (258, 8), (259, 1), (262, 1), (277, 1), (278, 1)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    lists = b"".join(struct.pack("<HHII", tag, 4, strips, 200) for tag in (273, 279))
    directory = struct.pack("<H", 9) + entries[:60] + lists[:12] + entries[60:] + lists[12:] + bytes(4)
    return struct.pack("<2sHI", b"II", 42, 8) + directory.ljust(192, b"\0") + b"\1\0\0\0" * strips


def hostile_exif(value_bytes: int) -> bytes:
    """One tag, five thousand times, each of them as long as everything."""
    entries = struct.pack("<HHII", 0x10F, 7, value_bytes, 0) * 5000
    return b"II*\0\x08\0\0\0" + struct.pack("<H", 5000) + entries + bytes(value_bytes)


TINY_PNG: Final = encoded(photo(5, 16, 16), "PNG")
TINY_JPEG: Final = encoded(photo(5, 16, 16), "JPEG")
TINY_GIF: Final = encoded(Image.new("P", (16, 16)), "GIF")


@pytest.mark.parametrize("size", [(60_000, 60_000), (10_000, 5_001), (16_385, 1), (1, 16_385)])
def test_more_pixels_than_the_cap_are_refused_by_the_header(size: tuple[int, int]) -> None:
    with pytest.raises(FileTooLarge, match=rf"{size[0]} x {size[1]} pixels .*50 megapixels and 16384 pixels a side"):
        decode_image(png_of_size(*size), max_side=512)


def test_the_cap_on_pixels_holds_for_every_type_that_states_them_its_own_way() -> None:
    vp8l = b"\x2f" + struct.pack("<I", 16_383 | 16_383 << 14)
    webp = b"WEBPVP8L" + struct.pack("<I", len(vp8l)) + vp8l + b"\0"
    for data in (
        encoded(Image.new("1", (16_400, 8)), "TIFF"),
        encoded(Image.new("1", (16_400, 8)), "BMP"),
        encoded(Image.new("L", (16_400, 8)), "GIF"),
        encoded(Image.new("L", (16_400, 8)), "JPEG"),
        b"RIFF" + struct.pack("<I", len(webp)) + webp,
    ):
        with pytest.raises(FileTooLarge, match="pixels a side"):
            decode_image(data, max_side=512)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(progressive_jpeg(4000), "more than 100 scans", id="4000 scans"),
        pytest.param(progressive_jpeg(85), "truncated or damaged", id="85 scans that say nothing new"),
        pytest.param(progressive_jpeg(60, 6000), "more than 27 scans", id="60 scans of 36 megapixels"),
        pytest.param(TINY_JPEG[:2] + b"\xff\xe5\0\2" * 1_000_000 + TINY_JPEG[2:], "more parts", id="a million segments"),
        pytest.param(TINY_JPEG[:2] + b"\xff" * 10_000_000 + TINY_JPEG[2:], "more parts", id="ten million fill bytes"),
        pytest.param(behind_png_header(TINY_PNG, png_chunk(b"prVt", b"") * 500_000), "more parts", id="half a million chunks"),
        pytest.param(
            behind_png_header(TINY_PNG, png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(80_000_000)))), "damaged", id="text bomb"
        ),
        pytest.param(
            behind_png_header(TINY_PNG, png_chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(80_000_000)))), "damaged", id="profile bomb"
        ),
        pytest.param(TINY_GIF[:-1] + b"\x21\xfe" + b"\1a" * 2_000_000 + b"\0;", "more parts", id="GIF in crumbs"),
        pytest.param(encoded(PHOTO, "BMP")[:28] + b"\x28" + encoded(PHOTO, "BMP")[29:], "damaged", id="BMP of 40 bits a pixel"),
        pytest.param(run_length_bmp(1_000_000), "run-length", id="BMP of a million runs"),
        pytest.param(striped_tiff(1_000_000), "more parts", id="TIFF of a million strips"),
    ],
)
def test_a_bomb_is_refused_in_little_time(data: bytes, reason: str) -> None:
    started = time.process_time()
    with pytest.raises(UnsupportedMedia, match=reason):
        decode_image(data, max_side=512)
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(behind_png_header(TINY_PNG, png_chunk(b"eXIf", hostile_exif(10_000_000))), id="PNG with a hostile EXIF"),
        pytest.param(TINY_GIF[:-1] + b"\x2c\0\0\0\0\1\0\1\0\0\2\2\x44\1\0" * 200_000 + b";", id="GIF of 200,000 frames"),
        pytest.param(encoded(PHOTO, "TIFF", save_all=True, append_images=[Image.fromarray(PHOTO)] * 20), id="TIFF of 21 pages"),
        pytest.param(encoded(Image.new("RGBA", (8000, 6250), (9, 9, 9, 99)), "PNG", compress_level=1), id="PNG of 50 megapixels"),
    ],
)
def test_large_but_honest_pictures_are_read_in_little_time(data: bytes) -> None:
    started = time.process_time()
    assert isinstance(decoded(data, 512), np.ndarray)
    assert time.process_time() - started < 2


def test_a_refusal_survives_the_way_out_of_a_worker() -> None:
    with pytest.raises(MeshError) as refusal:
        decode_image(png_of_size(20_000, 20_000), max_side=512)
    assert (refusal.value.code, refusal.value.http_status) == ("file_too_large", 413)
    assert "20000 x 20000" in refusal.value.message
