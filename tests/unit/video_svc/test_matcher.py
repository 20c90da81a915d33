"""The matcher's steps as a worker runs them: a film in, a fingerprint out, layer by layer, and two of them compared."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from mesh.client import MAX_MESSAGE_BYTES
from mesh.errors import FileTooLarge, UnsupportedMedia
from mesh.media import DETAIL, OUTLINE, Comparison, Coverage, Fingerprint, MatchOptions, MediaType, Transforms
from mesh.media_file import MediaFile
from mesh.media_type import LIMITS
from mesh.wire import fingerprint_to_proto
from mesh.worker import MAX_REPLY_BYTES
from tests.films import Cut, Film, Montage, encoded
from tests.pictures import encoded as picture_file
from video_svc import matcher
from video_svc.decode import Frame
from video_svc.fingerprint import ALGORITHM, VERSION, detail, outline, record, terms
from video_svc.fingerprint.film import SAMPLE_SECONDS

FILM = Film(1, 6.0)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "film.mp4"
    path.write_bytes(encoded(FILM))
    return path


def fingerprint(content: bytes) -> Fingerprint:
    with MediaFile.of(content) as media:
        return matcher.fingerprint(media.path, DETAIL, None)[0]


@cache
def original() -> Fingerprint:
    return fingerprint(encoded(FILM))


def compared(one: Fingerprint, two: Fingerprint, transforms: Transforms = Transforms.ALL) -> Comparison:
    comparison = matcher.compare(one, two, MatchOptions(transforms=transforms))
    assert comparison is not None
    return comparison


def test_outline_first_and_detail_from_it_without_the_file_equals_both_at_once(saved: Path) -> None:
    at_once, _ = matcher.fingerprint(str(saved), DETAIL, None)
    outlined, _ = matcher.fingerprint(str(saved), OUTLINE, None)
    assert set(outlined.layers) == {OUTLINE}
    assert outlined.working
    saved.unlink()
    later, _ = matcher.fingerprint("", DETAIL, outlined)
    assert later == at_once
    assert at_once.working == b""


def test_known_layers_without_working_bytes_are_completed_from_the_file(saved: Path) -> None:
    at_once, _ = matcher.fingerprint(str(saved), DETAIL, None)
    bare = Fingerprint(
        MediaType.VIDEO,
        ALGORITHM,
        VERSION,
        {OUTLINE: at_once.layers[OUTLINE]},
        at_once.information,
        at_once.hashes,
        duration_seconds=at_once.duration_seconds,
    )
    assert matcher.fingerprint(str(saved), DETAIL, bare)[0] == at_once


def test_fingerprint_says_what_it_is(saved: Path) -> None:
    known, spent_ms = matcher.fingerprint(str(saved), DETAIL, None)
    assert (known.media_type, known.algorithm, known.version) == (MediaType.VIDEO, ALGORITHM, VERSION)
    assert known.information == 1.0
    assert known.duration_seconds == pytest.approx(6.0, abs=0.05)
    assert known.hashes["sha256"] == hashlib.sha256(saved.read_bytes()).hexdigest()
    assert len(known.terms) == len(known.term_positions) > 0
    assert set(spent_ms) == {"decode", "fingerprint"}


def test_same_bytes_score_one_over_the_whole_length() -> None:
    comparison = compared(original(), original())
    assert comparison.score == 1.0
    (segment,) = comparison.segments
    assert (segment.source_start, segment.target_start) == (0.0, 0.0)
    assert segment.source_end == segment.target_end == original().duration_seconds
    assert comparison.coverage == Coverage(1.0, 1.0)


@pytest.mark.parametrize(
    ("file_format", "rate"), [("webm-vp9", Fraction(24)), ("mp4-hevc", Fraction(24)), ("avi-mpeg4", Fraction(25)), ("mov", Fraction(60))]
)
def test_another_codec_and_rate_are_nearly_identical(file_format: str, rate: Fraction) -> None:
    copy = fingerprint(encoded(Film(1, 6.0, rate=rate), file_format))
    comparison = compared(original(), copy)
    assert comparison.score >= 0.97
    (segment,) = comparison.segments
    assert (segment.source_start, segment.source_end) == pytest.approx((0.0, 6.0), abs=0.2)


def test_another_film_is_a_stranger() -> None:
    assert compared(original(), fingerprint(encoded(Film(2, 6.0)))).score < 0.3


def test_mirrored_film_is_found_where_the_caller_wants_it() -> None:
    copy = fingerprint(encoded(FILM, edit=lambda picture: picture[:, ::-1].copy()))
    assert compared(original(), copy).score >= 0.85
    assert compared(original(), copy, Transforms.NONE).score < 0.6


def test_hashes_that_were_asked_for_are_of_the_bytes(saved: Path) -> None:
    known, _ = matcher.fingerprint(str(saved), OUTLINE, None)
    hashes = matcher.explicit_hashes(str(saved), known)
    assert hashes["md5"] == hashlib.md5(saved.read_bytes()).hexdigest()
    assert hashes["sha256"] == known.hashes["sha256"]


def test_most_that_a_film_can_hold_fits_where_it_travels() -> None:
    """Noise from end to end, of which a twentieth of the longest film is made here: a fingerprint in one message, with what deepens it."""
    seconds = (LIMITS[MediaType.VIDEO].max_duration_seconds or 0.0) / 20
    random = np.random.default_rng(0)
    frames = [
        Frame(moment, random.integers(0, 256, (64, 64), np.uint8).repeat(5, axis=0).repeat(5, axis=1))
        for moment in np.arange(0.0, seconds, SAMPLE_SECONDS)
    ]
    film = record(frames, 1280, 1280, seconds, is_still=False)
    layers = {OUTLINE: outline(film), DETAIL: detail(film)}
    found, positions = terms(layers[DETAIL], layers[OUTLINE])
    whole = Fingerprint(MediaType.VIDEO, ALGORITHM, VERSION, layers, 1.0, {"sha256": "0" * 64}, found, positions, seconds)
    assert 20 * fingerprint_to_proto(whole).ByteSize() < 0.75 * MAX_MESSAGE_BYTES
    assert 20 * len(film.to_bytes()) < 0.75 * MAX_REPLY_BYTES


def test_still_is_a_film_of_one_frame() -> None:
    still = fingerprint(picture_file(FILM.picture(2.0), "PNG"))
    assert (still.media_type, still.duration_seconds) == (MediaType.VIDEO, 0.0)
    comparison = compared(still, original())
    assert comparison.score >= 0.9
    (segment,) = comparison.segments
    assert (segment.source_start, segment.source_end) == (0.0, 0.0)
    assert segment.target_start - 0.25 <= 2.0 <= segment.target_end + 0.25
    assert comparison.transform is not None
    assert comparison.transform.speed is None


def test_still_may_be_as_large_as_an_image() -> None:
    with pytest.raises(FileTooLarge):
        fingerprint(picture_file(FILM.picture(2.0), "PNG") + bytes(LIMITS[MediaType.IMAGE].max_bytes))


@pytest.mark.parametrize(("width", "height"), [(2, 400), (400, 2), (16, 2048)])
def test_film_that_is_hardly_more_than_a_line_has_a_fingerprint(width: int, height: int) -> None:
    line = fingerprint(encoded(Film(1, 2.0, width, height), "avi-mjpeg"))
    assert set(line.layers) == {OUTLINE, DETAIL}
    assert compared(line, original()).score < 0.4


@pytest.mark.parametrize("speed", [0.8, 1.25])
def test_speed_is_that_of_the_target(speed: float) -> None:
    copy = fingerprint(encoded(Montage((Cut(FILM, 0.0, 6.0, speed),))))
    for one, two, expected in ((original(), copy, speed), (copy, original(), 1 / speed)):
        transform = compared(one, two).transform
        assert transform is not None
        assert transform.speed == pytest.approx(expected, rel=0.04)


def test_what_is_no_film_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(b"not a film at all" * 100)
    with pytest.raises(UnsupportedMedia):
        matcher.fingerprint(str(path), OUTLINE, None)


def test_warm_up_runs() -> None:
    matcher.warm_up()
