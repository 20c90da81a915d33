"""The matcher's steps as a worker runs them: a file in, a fingerprint out, and two of them compared."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from audio_svc import matcher
from audio_svc.fingerprint import ALGORITHM, VERSION
from mesh.errors import InvalidRequest, UnsupportedMedia
from mesh.media import DETAIL, OUTLINE, Fingerprint, MatchOptions, MediaType
from tests.sounds import encoded, silence, speech

ALL = MatchOptions()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "speech.flac"
    path.write_bytes(encoded(speech(1, 12.0), "flac"))
    return path


def of(directory: Path, content: bytes, name: str = "other") -> Fingerprint:
    path = directory / name
    path.write_bytes(content)
    return matcher.fingerprint(str(path), DETAIL, None)[0]


def test_fingerprint_says_what_it_is(saved: Path) -> None:
    known, spent_ms = matcher.fingerprint(str(saved), DETAIL, None)
    assert (known.media_type, known.algorithm, known.version) == (MediaType.AUDIO, ALGORITHM, VERSION)
    assert known.information == 1.0
    assert known.duration_seconds == pytest.approx(12.0, abs=0.05)
    assert known.hashes == {"sha256": hashlib.sha256(saved.read_bytes()).hexdigest()}
    assert 20 < len(known.terms) == len(known.term_positions)
    assert set(known.layers) == {OUTLINE, DETAIL}
    assert set(spent_ms) == {"decode", "fingerprint"}
    assert all(spent > 0 for spent in spent_ms.values())


def test_outline_first_and_detail_from_it_without_the_file_equals_both_at_once(saved: Path) -> None:
    at_once, _ = matcher.fingerprint(str(saved), DETAIL, None)
    outlined, _ = matcher.fingerprint(str(saved), OUTLINE, None)
    assert set(outlined.layers) == {OUTLINE}
    saved.unlink()
    assert matcher.fingerprint(str(saved), DETAIL, outlined)[0] == at_once
    assert matcher.fingerprint(str(saved), DETAIL, at_once)[0] == at_once


def test_outlines_settle_every_pair(saved: Path, tmp_path: Path) -> None:
    outlined = matcher.fingerprint(str(saved), OUTLINE, None)[0]
    copy = of(tmp_path, encoded(speech(1, 12.0), "mp3", bit_rate=64_000))
    assert matcher.compare(outlined, copy, ALL).score >= 0.95
    assert matcher.compare(outlined, of(tmp_path, encoded(speech(2, 12.0), "wav")), ALL).score < 0.3


def test_fingerprint_without_its_outline_is_refused(saved: Path) -> None:
    known = matcher.fingerprint(str(saved), DETAIL, None)[0]
    bare = Fingerprint(MediaType.AUDIO, ALGORITHM, VERSION, {DETAIL: known.layers[DETAIL]}, 1.0)
    with pytest.raises(InvalidRequest):
        matcher.compare(known, bare, ALL)


def test_file_that_is_no_sound_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedMedia):
        of(tmp_path, b"<html>not found</html>", "page.mp3")


def test_equal_bytes_score_one_even_where_there_is_nothing_to_hear(tmp_path: Path) -> None:
    quiet = of(tmp_path, encoded(silence(4.0), "wav"))
    same = matcher.compare(quiet, quiet, ALL)
    assert same.score == 1.0
    assert [(s.source_start, s.source_end, s.target_start, s.target_end) for s in same.segments] == [(0.0, 4.0, 0.0, 4.0)]
    also_quiet = of(tmp_path, encoded(silence(4.0), "flac"))
    assert matcher.compare(quiet, also_quiet, ALL).score == 0.0


def test_explicit_hashes_are_those_that_hashlib_gives(saved: Path) -> None:
    hashes = matcher.explicit_hashes(str(saved), matcher.fingerprint(str(saved), OUTLINE, None)[0])
    data = saved.read_bytes()
    assert hashes == {name: hashlib.new(name, data).hexdigest() for name in ("sha256", "sha1", "md5")}


def test_warming_up_needs_no_file() -> None:
    matcher.warm_up()
