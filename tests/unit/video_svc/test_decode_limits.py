"""Films that are too long, too large, cut, lying or broken: each is refused with its code, before it costs much, or read as it is."""

from __future__ import annotations

import struct
from fractions import Fraction
from io import BytesIO

import av
import numpy as np
import pytest

from mesh.errors import DurationTooLong, MeshError, UnsupportedMedia
from tests.films import FORMATS, Film, encoded, sound_only
from tests.odd_films import evenly, jpeg, repeated, with_duration
from tests.pictures import encoded as encoded_picture
from tests.pictures import photo
from video_svc.decode import Frame, Video, timeline

FILM = Film(seed=11, seconds=1.5, width=96, height=64)
MUTANTS = 25
"""Of each format; the long test makes fifty times as many."""


def look(content: bytes) -> tuple[float, list[Frame]]:
    """Everything that may be asked of a film."""
    video = Video(content)
    return video.duration_seconds, [*video.key_frames(), *video.frames(2.0)]


def tiny(seconds: float, rate: int = 10) -> bytes:
    return encoded(Film(5, seconds, 48, 32, Fraction(rate), scene_seconds=30), "mp4-mpeg4")


def test_v04_header_that_understates_is_not_believed() -> None:
    with pytest.raises(DurationTooLong, match=r"1999\.5 s.* 180 s"):
        look(with_duration(repeated(jpeg(16, 16), evenly(2000, 2), "mov", "mjpeg", 16, 16), 0.065))


def test_v05_few_pictures_over_a_long_time_are_long() -> None:
    with pytest.raises(DurationTooLong):
        look(repeated(jpeg(16, 16), [number * 9000.0 for number in range(10)], "matroska", "mjpeg", 16, 16))


def test_v06_more_pictures_than_any_film_has_are_refused() -> None:
    moments = np.linspace(0, 179, 50_000).tolist()
    with pytest.raises(UnsupportedMedia, match="45,000"):
        look(repeated(jpeg(16, 16), moments, "matroska", "mjpeg", 16, 16))


def test_v07_pictures_larger_than_4k_are_refused() -> None:
    picture = encoded_picture(np.zeros((4096, 4352, 3), np.uint8), "JPEG")
    for muxer in ("avi", "mov"):
        large = repeated(picture, [0.0, 0.5], muxer, "mjpeg", 4352, 4096)
        with pytest.raises(UnsupportedMedia):
            look(large)
    large = repeated(picture, [0.0, 0.5], "avi", "mjpeg", 4352, 4096)
    assert struct.pack("<II", 4352, 4096) in large
    with pytest.raises(UnsupportedMedia):  # the header says so, the picture is larger
        look(large.replace(struct.pack("<II", 4352, 4096), struct.pack("<II", 64, 64)))


def test_v08_header_that_overstates_is_not_believed() -> None:
    duration_seconds, frames = look(with_duration(tiny(5.0), 40_000))
    assert duration_seconds == pytest.approx(5.0)
    assert len(frames) >= 10


def test_v09_what_is_empty_is_refused() -> None:
    with pytest.raises(UnsupportedMedia):
        look(b"")


def test_v09_film_without_its_table_of_contents_is_refused() -> None:
    film = encoded(FILM)
    with pytest.raises(UnsupportedMedia):
        look(film[: film.index(b"moov") - 4])


@pytest.mark.parametrize("file_format", sorted(set(FORMATS) - {"ts", "ts-mpeg2"}))
@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
def test_v09_half_a_film_is_refused(file_format: str, share: float) -> None:
    options = {"movflags": "faststart"} if FORMATS[file_format].muxer in ("mp4", "mov") else {}
    film = encoded(FILM, file_format, muxer_options=options)
    with pytest.raises(UnsupportedMedia):
        look(film[: int(share * len(film))])


def test_v09_film_of_parts_that_is_cut_is_refused() -> None:
    film = encoded(FILM, muxer_options={"movflags": "frag_keyframe+empty_moov"})
    assert len(look(film)[1]) >= 3
    with pytest.raises(UnsupportedMedia):
        look(film[: film.rindex(b"mdat") + 10])


def test_v09_sound_alone_is_no_film() -> None:
    for muxer, encoder in (("mp4", "aac"), ("matroska", "libopus"), ("mpegts", "aac")):
        with pytest.raises(UnsupportedMedia, match="no video"):
            look(sound_only(1, 1.0, muxer, encoder))


def test_v10_film_may_run_for_180_seconds_and_no_longer() -> None:
    for seconds in (179.9, 180.0):
        duration_seconds, frames = look(tiny(seconds))
        assert duration_seconds == pytest.approx(seconds)
        assert frames[-1].time_seconds == pytest.approx(179.5)
    with pytest.raises(DurationTooLong, match=r"180\.1 s.* 180 s"):
        look(tiny(180.1))


@pytest.mark.parametrize(
    "content",
    [
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1/a.ts\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile local.mp4\n",
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=a\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
        b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>',
        b"RTSP/1.0 200 OK\r\n\r\n",
        encoded_picture(photo(1, 64, 64), "PNG"),
        encoded_picture(photo(1, 64, 64), "GIF"),
        bytes(5000),
    ],
)
def test_v01_v02_v03_what_is_no_film_is_refused(content: bytes) -> None:
    with pytest.raises(UnsupportedMedia, match="no video"):
        look(content)


def test_a_film_in_a_code_that_is_not_read_here_is_refused() -> None:
    file = BytesIO()
    with av.open(file, "w", format="avi") as container:
        stream = container.add_stream("rawvideo", rate=5)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _, picture in Film(1, 1.0, 64, 48, Fraction(5)).pictures():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
    with pytest.raises(UnsupportedMedia, match="coded"):
        look(file.getvalue())


def test_a_film_of_which_nothing_can_be_decoded_is_refused() -> None:
    with pytest.raises(UnsupportedMedia, match="no picture"):
        look(repeated(b"\xff\xd8 no picture", evenly(2, 10), "matroska", "mjpeg", 64, 48))


def test_a_film_of_which_nothing_that_is_looked_at_can_be_decoded_is_refused() -> None:
    picture = jpeg(64, 48)
    film = repeated(picture, [0.0, 0.1], "mov", "mjpeg", 64, 48).replace(picture, bytes(len(picture)), 1)
    with pytest.raises(UnsupportedMedia, match="no picture that can be decoded"):
        list(Video(film).frames(4.0))


def test_what_can_be_decoded_of_a_damaged_film_is_seen() -> None:
    film = bytearray(encoded(Film(3, 3.0), "mov-mjpeg"))
    whole = look(bytes(film))[1]
    middle = film.index(b"\xff\xd8\xff", len(film) // 2)
    film[middle : middle + 600] = bytes(600)
    damaged = look(bytes(film))[1]
    assert len(whole) - 3 <= len(damaged) <= len(whole)


def test_pictures_may_change_their_size() -> None:
    """As films of video calls do."""
    small, large = (encoded_picture(photo(seed, *size), "JPEG") for seed, size in ((1, (160, 120)), (2, (640, 360))))
    file = BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("mjpeg", rate=Fraction(10))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuvj420p"
        for number in range(20):
            packet = av.Packet(small if number < 10 else large)
            packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, 10), True
            packet.pts = packet.dts = number
            container.mux(packet)
    frames = list(Video(file.getvalue()).frames(2.0))
    assert [frame.grey.shape for frame in frames] == [(120, 160), (120, 160), (180, 320), (180, 320)]


def assert_survives(file_format: str, seeds: range) -> None:
    """Nothing but an answer or a refusal comes out, and the same both times."""
    whole = encoded(FILM, file_format)
    for seed in seeds:
        random = np.random.default_rng(seed)
        mutant = bytearray(whole)
        # Headers are small and are where the harm is, so half of the changes fall on either end.
        reach = len(mutant) if seed % 2 else 1500
        for _ in range(int(random.integers(1, 12))):
            at = int(random.integers(reach)) % len(mutant) * (1 if seed % 4 else -1)
            kind = random.integers(4)
            if kind == 0:
                mutant[at] = int(random.integers(256))
            elif kind == 1:
                mutant[at] ^= 1 << int(random.integers(8))
            elif kind == 2:
                mutant[at : at + 4] = struct.pack(">i", int(random.choice([0, -1, 2**31 - 1, -(2**31), 65_536])))[
                    : len(mutant[at : at + 4])
                ]
            else:
                start = int(random.integers(len(mutant)))
                mutant[at : at + 64] = mutant[start : start + 64]
        answers = []
        for _ in range(2):
            try:
                duration_seconds, frames = look(bytes(mutant))
                answers.append((duration_seconds, [(frame.time_seconds, frame.grey.tobytes()) for frame in frames]))
                assert duration_seconds <= timeline.MAX_SECONDS
                assert all(0 < max(frame.grey.shape) <= 320 for frame in frames)
            except MeshError as error:
                assert error.code in ("unsupported_media", "duration_too_long")
                answers.append((0.0, [(0.0, error.code.encode())]))
        assert answers[0] == answers[1], seed


@pytest.mark.parametrize("file_format", FORMATS)
def test_mutated_film_is_read_or_refused(file_format: str) -> None:
    assert_survives(file_format, range(MUTANTS))


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("file_format", FORMATS)
def test_many_mutated_films_are_read_or_refused(file_format: str) -> None:
    assert_survives(file_format, range(MUTANTS, 51 * MUTANTS))
