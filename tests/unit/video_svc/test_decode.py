"""Films made here, in every container and codec, and what is seen of them on the grid."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import pytest

from mesh.container import map_file
from mesh.media_file import MediaFile
from mesh.media_type import sniff
from tests.films import FORMATS, Film, encoded, remuxed
from tests.pictures import Pixels
from video_svc.decode import Frame, Grey, Video, sampling

FILM = Film(seed=7, seconds=4.0)
GRID = [number / 2 for number in range(8)]

MAX_CODING_ERROR = 3.5
"""Root mean square, in grey levels, of what the encoders here change; a frame later or earlier is about 6, another scene above 40."""


def grey_of(picture: Pixels) -> Grey:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def shrunk(picture: Pixels, width: int, height: int) -> Pixels:
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def error(seen: Grey, drawn: Grey) -> float:
    return float(np.sqrt(np.mean((seen.astype(np.float32) - drawn) ** 2)))


def seen_in(content: bytes, frames_per_second: float = 2.0, **options: Any) -> list[Frame]:
    return list(Video(content).frames(frames_per_second, **options))


def times(frames: list[Frame]) -> list[float]:
    return [round(frame.time_seconds, 2) for frame in frames]


def assert_shows(frames: list[Frame], film: Film, max_error: float = MAX_CODING_ERROR) -> None:
    for frame in frames:
        assert error(frame.grey, grey_of(film.picture(frame.time_seconds))) < max_error, frame.time_seconds


@pytest.fixture(scope="module")
def mp4() -> bytes:
    return encoded(FILM)


@pytest.mark.parametrize("file_format", FORMATS)
def test_film_of_every_format_is_seen_on_the_same_grid(file_format: str) -> None:
    content = encoded(FILM, file_format, sound=1)
    assert sniff(content[:4096]) == FORMATS[file_format].content_type
    video = Video(content)
    frames = list(video.frames(2.0))
    assert (video.width, video.height) == (320, 240)
    assert video.duration_seconds == pytest.approx(4.0, abs=0.002)
    assert [frame.time_seconds for frame in frames] == pytest.approx(GRID, abs=0.002)
    assert_shows(frames, FILM)
    assert_shows(list(video.key_frames()), FILM)


def test_the_same_bytes_give_the_same_pictures_however_they_are_held(mp4: bytes) -> None:
    from_bytes = seen_in(mp4)
    with MediaFile.of(mp4) as media, map_file(media.path) as content:
        assert isinstance(content, mmap.mmap)
        video = Video(content)
        for frames in (list(video.frames(2.0)), list(video.frames(2.0))):
            assert [frame.time_seconds for frame in frames] == [frame.time_seconds for frame in from_bytes]
            assert all(np.array_equal(a.grey, b.grey) for a, b in zip(frames, from_bytes, strict=True))


def test_two_looks_at_one_film_do_not_disturb_each_other(mp4: bytes) -> None:
    video = Video(mp4)
    alone = [frame.grey.tobytes() for frame in video.frames(2.0)]
    together = [(frame.grey.tobytes(), key.grey.tobytes()) for frame, key in zip(video.frames(2.0), video.frames(2.0), strict=True)]
    assert together == [(grey, grey) for grey in alone]


@pytest.mark.parametrize("muxer", ["matroska", "mov", "mpegts", "flv"])
def test_another_container_changes_neither_moments_nor_pictures(mp4: bytes, muxer: str) -> None:
    before, after = seen_in(mp4), seen_in(remuxed(mp4, muxer))
    assert [frame.time_seconds for frame in after] == pytest.approx([frame.time_seconds for frame in before], abs=0.001)
    assert all(np.array_equal(a.grey, b.grey) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("file_format", ["mkv", "ts", "mp4", "flv"])
def test_time_counts_from_the_first_picture(file_format: str) -> None:
    frames = seen_in(encoded(FILM, file_format, start_seconds=5.0))
    assert [frame.time_seconds for frame in frames] == pytest.approx(GRID, abs=0.001)
    assert_shows(frames, FILM)


def test_what_an_edit_list_hides_is_not_seen() -> None:
    """Cut without encoding anew: the file holds pictures from the key frame on, and says to show them from a later one."""
    hidden_seconds = 0.75
    frames = seen_in(encoded(FILM, start_seconds=-hidden_seconds, muxer_options={"avoid_negative_ts": "disabled"}))
    assert [frame.time_seconds for frame in frames] == pytest.approx(GRID[:7], abs=0.001)
    for frame in frames:
        assert error(frame.grey, grey_of(FILM.picture(frame.time_seconds + hidden_seconds))) < MAX_CODING_ERROR


@pytest.mark.parametrize("rate", [Fraction(12), Fraction(30000, 1001), Fraction(60)])
def test_another_rate_is_seen_at_the_same_moments(rate: Fraction) -> None:
    frames = seen_in(encoded(replace(FILM, rate=rate, seconds=3.9), "mkv"))
    assert [frame.time_seconds for frame in frames] == pytest.approx(GRID, abs=0.5 / float(rate) + 0.001)
    assert_shows(frames, FILM)


@pytest.mark.parametrize("file_format", ["mp4", "mkv", "webm", "ts"])
def test_pictures_at_uneven_moments_keep_their_own_times(file_format: str) -> None:
    random = np.random.default_rng(6)
    moments = [0.0, *np.cumsum(random.uniform(0.02, 0.12, 50)).round(3).tolist()]
    frames = seen_in(encoded(replace(FILM, seconds=moments[-1]), file_format, moments=moments))
    stamps = np.array(moments)
    nearest = [float(stamps[np.abs(stamps - at).argmin()]) for at in np.arange(0, moments[-1], 0.5)]
    assert [frame.time_seconds for frame in frames] == pytest.approx(nearest, abs=0.002)
    assert_shows(frames, FILM)


def test_a_picture_that_stands_is_seen_at_each_moment() -> None:
    frames = seen_in(encoded(FILM, "mkv", moments=[0.0, 0.1, 2.2, 2.3, 2.9]))
    assert times(frames) == [0.0, 0.5, 1.0, 1.5, 2.2, 2.3]
    assert frames[1].grey is frames[2].grey is frames[3].grey
    assert error(frames[1].grey, grey_of(FILM.picture(0.1))) < MAX_CODING_ERROR
    assert error(frames[5].grey, grey_of(FILM.picture(2.3))) < MAX_CODING_ERROR


def test_a_film_of_one_picture_is_seen_once() -> None:
    for file_format in ("mp4", "webm", "avi-mjpeg"):
        frames = seen_in(encoded(FILM, file_format, moments=[0.0]))
        assert times(frames) == [0.0]
        assert_shows(frames, FILM)


@pytest.mark.parametrize("file_format", ["mp4", "mkv-hevc", "ts", "ts-mpeg2"])
def test_pictures_that_lean_on_the_group_before_are_seen_whole(file_format: str) -> None:
    options = {"mp4": {"x264-params": "open-gop=1:keyint=10:scenecut=0"}, "ts": {"x264-params": "open-gop=1:keyint=10:scenecut=0"}}
    options |= {
        "mkv-hevc": {"x265-params": "open-gop=1:keyint=10:bframes=4:log-level=none:pools=none:frame-threads=1"},
        "ts-mpeg2": {"g": "7"},
    }
    for frames_per_second in (1.0, 2.0, 7.0):
        frames = seen_in(encoded(FILM, file_format, options=options[file_format]), frames_per_second)
        assert [frame.time_seconds for frame in frames] == pytest.approx(np.arange(0, 4, 1 / frames_per_second), abs=0.5 / 24 + 0.001)
        assert_shows(frames, FILM)


@pytest.mark.parametrize("bidirectional", ["0", "1", "3", "8"])
def test_skipping_leaves_no_trace_in_what_is_seen(bidirectional: str) -> None:
    """Every picture wanted is exactly the one that decoding everything gives: at 24 a second nothing can be skipped."""
    video = Video(encoded(FILM, options={"bf": bidirectional}))
    everything = {round(frame.time_seconds, 3): frame.grey for frame in video.frames(24.0)}
    assert len(everything) == 96
    for frame in video.frames(2.0):
        assert np.array_equal(frame.grey, everything[round(frame.time_seconds, 3)])


@pytest.mark.parametrize("file_format", ["mp4", "mkv", "ts", "flv", "avi-h264"])
def test_key_frames_are_those_of_the_encoder(file_format: str) -> None:
    content = encoded(FILM, file_format, options={"g": "12", "x264-params": "scenecut=0"})
    frames = list(Video(content).key_frames())
    assert times(frames) == GRID
    assert_shows(frames, FILM)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_film_that_is_to_be_turned_is_seen_upright(degrees: int) -> None:
    turn = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}[degrees]
    # Stored turned clockwise, with the order to turn it back.
    content = encoded(FILM, rotation_degrees=degrees, edit=lambda picture: np.asarray(cv2.rotate(picture, turn), np.uint8))
    video = Video(content)
    assert (video.width, video.height) == (320, 240)
    frames = list(video.frames(2.0))
    assert frames[0].grey.shape == (240, 320)
    assert_shows(frames, FILM)


@pytest.mark.parametrize(("degrees", "stored"), [(0, lambda p: p[:, ::-1]), (180, lambda p: p[::-1])])
def test_a_film_that_is_to_be_mirrored_is_seen_so(degrees: int, stored: Callable[[Pixels], Pixels]) -> None:
    content = encoded(FILM, rotation_degrees=degrees, is_mirrored=True, edit=lambda picture: np.ascontiguousarray(stored(picture)))
    assert_shows(seen_in(content), FILM)


def test_pixels_that_are_not_square_are_evened_out() -> None:
    wide = replace(FILM, width=480, height=240)
    squeezed = encoded(wide, pixel_aspect=Fraction(3, 2), edit=lambda picture: shrunk(picture, 320, 240))
    video = Video(squeezed)
    assert (video.width, video.height) == (320, 160)
    for frame in video.frames(2.0):
        assert frame.grey.shape == (160, 320)
        drawn = shrunk(wide.picture(frame.time_seconds), 320, 160)
        assert error(frame.grey, grey_of(drawn)) < 5


def test_a_shape_that_no_pixel_has_is_not_believed() -> None:
    assert Video(encoded(FILM, "mkv", pixel_aspect=Fraction(200, 1))).width == 320


@pytest.mark.parametrize(("width", "height", "seen"), [(640, 360, (180, 320)), (320, 240, (240, 320)), (72, 1280, (320, 18))])
def test_the_longer_side_is_at_most_what_is_looked_at(width: int, height: int, seen: tuple[int, int]) -> None:
    (frame, *_) = Video(encoded(Film(3, 0.2, width, height))).frames(2.0, max_side=320)
    assert frame.grey.shape == seen


@pytest.mark.parametrize(
    ("file_format", "pixel_format", "size"),
    [
        ("mp4", "yuv444p", (321, 241)),
        ("mp4", "yuv422p", (320, 240)),
        ("mkv-hevc", "yuv420p10le", (320, 240)),
        ("mp4-hevc", "yuv422p12le", (320, 240)),
        ("mp4", "yuvj420p", (320, 240)),
        ("webm-vp9", "yuva420p", (320, 240)),
        ("mkv-hevc", "gbrp", (320, 240)),
        ("mov-prores", "yuva444p10le", (320, 240)),
    ],
)
def test_every_way_of_storing_grey_gives_the_same_grey(file_format: str, pixel_format: str, size: tuple[int, int]) -> None:
    film = replace(FILM, seconds=1.2, width=size[0], height=size[1])
    frames = seen_in(encoded(film, file_format, pixel_format=pixel_format))
    assert len(frames) == 3
    for frame in frames:
        height, width = frame.grey.shape
        drawn = shrunk(grey_of(film.picture(frame.time_seconds)), width, height)
        assert error(frame.grey, drawn) < MAX_CODING_ERROR
        assert float(frame.grey.mean()) == pytest.approx(float(drawn.mean()), abs=1.0)


def test_interlaced_film_is_seen() -> None:
    frames = seen_in(encoded(FILM, "ts", options={"x264-params": "tff=1"}))
    assert times(frames) == GRID
    assert_shows(frames, FILM)


def test_large_pictures_are_seen_as_small_ones_are() -> None:
    """They are decoded without the filter between blocks."""
    large = replace(FILM, seconds=2.0, width=1280, height=960)
    for frame in seen_in(encoded(large, options={"crf": "26"})):
        drawn = shrunk(large.picture(frame.time_seconds), 320, 240)
        assert error(frame.grey, grey_of(drawn)) < MAX_CODING_ERROR


@pytest.fixture
def little_work(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sampling, "MAX_WORK", 320 * 240 * 30)
    yield


@pytest.mark.usefixtures("little_work")
@pytest.mark.parametrize("file_format", ["mp4", "mkv", "ts", "flv", "avi-h264"])
def test_a_film_of_too_much_work_is_seen_where_its_groups_begin(file_format: str) -> None:
    video = Video(encoded(FILM, file_format, options={"g": "24"}))
    keys = times(list(video.key_frames()))
    frames = list(video.frames(4.0))
    assert 4 <= len(frames) <= 11
    assert_shows(frames, FILM)
    for frame in frames:
        assert any(0 <= frame.time_seconds - key + 0.13 < 1.0 for key in keys)
