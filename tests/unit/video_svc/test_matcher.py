"""The matcher's steps as a worker runs them: a film in, a fingerprint out, layer by layer, and two of them compared."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from functools import cache
from pathlib import Path

import pytest

from mesh.errors import UnsupportedMedia
from mesh.media import DETAIL, OUTLINE, Comparison, Coverage, Fingerprint, MatchOptions, MediaType, Transforms
from mesh.media_file import MediaFile
from tests.films import Film, encoded
from video_svc import matcher
from video_svc.fingerprint import ALGORITHM, VERSION

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


def test_what_is_no_film_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(b"not a film at all" * 100)
    with pytest.raises(UnsupportedMedia):
        matcher.fingerprint(str(path), OUTLINE, None)


def test_warm_up_runs() -> None:
    matcher.warm_up()
