"""What mesh.media_type tells from a file's first bytes; the files are written by the libraries that the world writes them with."""

from __future__ import annotations

from io import BytesIO

import av
import numpy as np
import pytest
from PIL import Image

from mesh.media import MediaType
from mesh.media_type import LIMITS, SNIFF_BYTES, accepts, limited_as, sniff
from tests.pictures import FORMATS, encoded, photo

IMAGE_TYPES = {
    "jpeg": "image/jpeg",
    "jpeg-progressive": "image/jpeg",
    "png": "image/png",
    "png-palette": "image/png",
    "webp": "image/webp",
    "webp-lossless": "image/webp",
    "gif": "image/gif",
    "bmp": "image/bmp",
    "tiff": "image/tiff",
    "tiff-lzw": "image/tiff",
    "tiff-jpeg": "image/tiff",
    "tiff-tiled": "image/tiff",
    "heic": "image/heic",
    "avif": "image/avif",
}

SOUND_FILES = [
    ("mp3", "mp3", 44_100, "audio/mpeg"),
    ("mp3", "mp3", 16_000, "audio/mpeg"),
    ("mp2", "mp2", 48_000, "audio/mpeg"),
    ("adts", "aac", 44_100, "audio/aac"),
    ("ipod", "aac", 48_000, "audio/mp4"),
    ("wav", "pcm_s16le", 8_000, "audio/wav"),
    ("flac", "flac", 44_100, "audio/flac"),
    ("ogg", "libopus", 48_000, "audio/ogg"),
    ("aiff", "pcm_s16be", 44_100, "audio/aiff"),
    ("asf", "wmav2", 44_100, "audio/x-ms-wma"),
]

FILM_FILES = [
    ("mp4", "mpeg4", "video/mp4"),
    ("3gp", "mpeg4", "video/mp4"),
    ("mov", "mpeg4", "video/quicktime"),
    ("webm", "libvpx", "video/webm"),
    ("matroska", "mpeg4", "video/x-matroska"),
    ("avi", "mpeg4", "video/x-msvideo"),
    ("mpegts", "mpeg2video", "video/mp2t"),
    ("flv", "flv", "video/x-flv"),
]


def sound(container: str, codec: str, hertz: int, **options: str) -> bytes:
    file = BytesIO()
    with av.open(file, "w", format=container, options=options) as output:
        stream = output.add_stream(codec, rate=hertz)
        assert isinstance(stream, av.AudioStream)
        stream.layout, stream.bit_rate = "mono", 64_000
        samples = (np.sin(np.arange(hertz // 2) / 9) * 9000).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = hertz
        resampler = av.AudioResampler(stream.format, "mono", hertz, stream.codec_context.frame_size or None)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    return file.getvalue()


def film(container: str, codec: str, **options: str) -> bytes:
    file = BytesIO()
    with av.open(file, "w", format=container, options=options) as output:
        stream = output.add_stream(codec, rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for seed in range(3):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(photo(seed, 64, 48), format="rgb24")))
        output.mux(stream.encode(None))
    return file.getvalue()


@pytest.mark.parametrize("name", FORMATS)
def test_every_picture_that_is_read_is_known_and_counts_as_a_film_of_one_frame(name: str) -> None:
    content_type = sniff(FORMATS[name](photo(1, 64, 48))[:SNIFF_BYTES])
    assert content_type == IMAGE_TYPES[name]
    assert {medium for medium in MediaType if accepts(medium, content_type)} == {MediaType.IMAGE, MediaType.VIDEO}
    assert limited_as(MediaType.VIDEO, content_type) is MediaType.IMAGE


@pytest.mark.parametrize(("container", "codec", "hertz", "content_type"), SOUND_FILES)
def test_every_sound_that_is_read_is_known(container: str, codec: str, hertz: int, content_type: str) -> None:
    assert sniff(sound(container, codec, hertz)[:SNIFF_BYTES]) == content_type
    assert [medium for medium in MediaType if accepts(medium, content_type)] == [MediaType.AUDIO]


@pytest.mark.parametrize(("container", "codec", "content_type"), FILM_FILES)
def test_every_film_that_is_read_is_known_and_its_sound_track_counts_as_sound(container: str, codec: str, content_type: str) -> None:
    assert sniff(film(container, codec)[:SNIFF_BYTES]) == content_type
    assert {medium for medium in MediaType if accepts(medium, content_type)} == {MediaType.AUDIO, MediaType.VIDEO}


def test_an_mp3_without_a_tag_is_known_by_its_frames() -> None:
    untagged = sound("mp3", "mp3", 44_100, id3v2_version="0", write_xing="0")
    assert untagged[:1] == b"\xff"
    assert sniff(untagged[:SNIFF_BYTES]) == "audio/mpeg"


@pytest.mark.parametrize(
    ("first_bytes", "content_type"),
    [
        (b"ID3\x03\0\0\0\0\0\x02\0\0" + b"ID3\x04\0\0\0\0\0\0", "audio/mpeg"),
        (b"ID3\x04\0\0\0\x7f\x7f\x7f" + b"\x01" * 5000, "audio/mpeg"),
        (b"ID3\x04\0\0\0\0\0\0fLaC\0\0\0\x22", "audio/flac"),
        (b"ID3\x04\0\0\0\0\0\0<html>", None),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf", "image/heic"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "image/avif"),
        (b"\0\0\0\x14ftypmif1\0\0\0\0mif1", "image/heif"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", None),
        (b"\0\0\0\x18ftypNDSC\0\0\0\1NDSCisom", "video/mp4"),
        (b"OggS\0\2" + bytes(22) + b"\x01vorbis", "audio/ogg"),
        (b"\0\0\0\x14ftypjp2 \0\0\0\0jp2 ", None),
        (b"\0\0\0\x14ftypmif1\0\0\0\0mif1heic", "image/heif"),
        (b"\0\0\0\x08wide\0\x10\0\0mdat", "video/quicktime"),
        (b"\0\0\x02\0moov\0\0\0\x6cmvhd", "video/quicktime"),
        (b"RF64\xff\xff\xff\xffWAVEds64", "audio/wav"),
        (b"II*\0\x10\0\0\0CR\x02\0", None),
        (b"\xff\xd8\xff\xe0" + b"PK\x03\x04", "image/jpeg"),
    ],
)
def test_the_first_bytes_decide(first_bytes: bytes, content_type: str | None) -> None:
    assert sniff(first_bytes) == content_type


@pytest.mark.parametrize(
    "first_bytes",
    [
        b"",
        b"\0" * SNIFF_BYTES,
        b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<!DOCTYPE html><html>",
        b"%PDF-1.7\n",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"\xc5\xd0\xd3\xc6\x1e\0\0\0",
        b"8BPS\0\1" + bytes(20),
        b"#EXTM3U\n#EXT-X-VERSION:3\n",
        b"ffconcat version 1.0\nfile local.wav\n",
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nm=audio 5004 RTP/AVP 0\n",
        b"BM is how this text starts, and it is no bitmap at all",
        b"GIF88a",
        b"PK\x03\x04" + bytes(60),
        b"\x1f\x8b\x08\0" + bytes(60),
        b"MZ\x90\0" + bytes(60),
        b"\x7fELF" + bytes(60),
        b"icns\0\0\x10\0",
        b"\0\0\1\0\1\0\x20\x20",
        b"\xff\xfeh\0e\0l\0l\0o\0" * 40,
        b"\xff\xfb\x90\x64 one header of an MP3 frame is a coincidence" + b"." * 900,
        b"OggS\0\2" + bytes(22) + b"\x80theora" + b"OpusHead",
        bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + bytes(60) + bytes.fromhex("c0ef19bc4d5bcf11a8fd00805f5c442b"),
        b"RIFF\x24\0\0\0ACON",
        b"FORM\0\0\0\0ILBM",
        b"\x1a\x45\xdf\xa3\x42\x82\x84none",
    ],
)
def test_what_no_medium_takes_is_unknown(first_bytes: bytes) -> None:
    assert sniff(first_bytes) is None


def test_noise_is_hardly_ever_taken_for_sound() -> None:
    random = np.random.default_rng(1)
    noise = [b"\xff" + bytes([random.integers(0xE0, 0x100)]) + random.bytes(SNIFF_BYTES - 2) for _ in range(2000)]
    assert sum(sniff(first_bytes) is not None for first_bytes in noise) <= 2


def test_a_shorter_beginning_never_names_another_type() -> None:
    for name in FORMATS:
        data = FORMATS[name](photo(1, 64, 48))
        assert {sniff(data[:length]) for length in range(120)} <= {None, IMAGE_TYPES[name], "image/heif"}


def test_only_so_many_bytes_are_looked_at() -> None:
    tagged_far = b"\x1a\x45\xdf\xa3" + bytes(SNIFF_BYTES) + b"\x42\x82\x84webm"
    assert sniff(tagged_far) is None


def test_limits_are_those_of_the_documents() -> None:
    assert {medium.value: (limit.max_bytes, limit.max_duration_seconds) for medium, limit in LIMITS.items()} == {
        "image": (15_728_640, None),
        "audio": (52_428_800, 300.0),
        "video": (104_857_600, 180.0),
    }


def test_an_animated_png_is_a_png() -> None:
    frames = [Image.fromarray(photo(seed, 16, 16)) for seed in (1, 2)]
    assert sniff(encoded(frames[0], "PNG", save_all=True, append_images=frames[1:])) == "image/png"
