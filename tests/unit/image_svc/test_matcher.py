"""The matcher's steps as a worker runs them: a file in, a fingerprint out, layer by layer, and two of them compared."""

from __future__ import annotations

import hashlib
from io import BytesIO
from pathlib import Path

import imagehash
import numpy as np
import pytest
from PIL import Image

from image_svc import matcher
from image_svc.fingerprint import ALGORITHM, VERSION
from image_svc.pdq import pdq
from mesh.errors import UnsupportedMedia
from mesh.media import DETAIL, OUTLINE, Comparison, Fingerprint, MatchOptions, MediaType, Transforms
from tests.pictures import Pixels, encoded, photo

ALL = MatchOptions()
UPRIGHT_ONLY = MatchOptions(transforms=Transforms.NONE)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(encoded(photo(1), "JPEG", quality=92))
    return path


def whole(directory: Path, pixels: Pixels, name: str = "other.png") -> Fingerprint:
    path = directory / name
    path.write_bytes(encoded(np.ascontiguousarray(pixels), "PNG", compress_level=1))
    return matcher.fingerprint(str(path), DETAIL, None)[0]


def test_outline_first_and_detail_from_it_without_the_file_equals_both_at_once(saved: Path) -> None:
    at_once, _ = matcher.fingerprint(str(saved), DETAIL, None)
    outlined, _ = matcher.fingerprint(str(saved), OUTLINE, None)
    assert set(outlined.layers) == {OUTLINE}
    assert outlined.working
    saved.unlink()
    assert matcher.fingerprint(str(saved), DETAIL, outlined)[0] == at_once
    assert at_once.working == b""


def test_known_layers_without_working_bytes_are_completed_from_the_file(saved: Path) -> None:
    at_once, _ = matcher.fingerprint(str(saved), DETAIL, None)
    bare = Fingerprint(MediaType.IMAGE, ALGORITHM, VERSION, {OUTLINE: at_once.layers[OUTLINE]}, at_once.information, at_once.hashes)
    assert matcher.fingerprint(str(saved), DETAIL, bare)[0] == at_once


def test_fingerprint_says_what_it_is(saved: Path) -> None:
    known, spent_ms = matcher.fingerprint(str(saved), DETAIL, None)
    assert (known.media_type, known.algorithm, known.version) == (MediaType.IMAGE, ALGORITHM, VERSION)
    assert known.information == 1.0
    assert known.hashes["sha256"] == hashlib.sha256(saved.read_bytes()).hexdigest()
    assert len(known.hashes["pdq"]) == 64
    assert 0 < len(known.terms) <= 400
    assert known.terms == matcher.fingerprint(str(saved), DETAIL, None)[0].terms
    assert set(spent_ms) == {"decode", "fingerprint"}
    assert all(spent > 0 for spent in spent_ms.values())


def test_file_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "page.jpg"
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(UnsupportedMedia):
        matcher.fingerprint(str(path), OUTLINE, None)


def test_equal_bytes_score_one_even_where_there_is_nothing_to_see(tmp_path: Path) -> None:
    blank = whole(tmp_path, np.full((100, 100, 3), 255, np.uint8))
    comparison = matcher.compare(blank, blank, ALL)
    assert comparison is not None
    assert comparison.score == 1.0


def test_plain_copy_is_settled_by_outlines_and_a_crop_is_not(saved: Path, tmp_path: Path) -> None:
    outlined = matcher.fingerprint(str(saved), OUTLINE, None)[0]
    smaller = tmp_path / "smaller.jpg"
    smaller.write_bytes(encoded(Image.fromarray(photo(1)).resize((320, 240)), "JPEG", quality=70))
    comparison = matcher.compare(outlined, matcher.fingerprint(str(smaller), OUTLINE, None)[0], ALL)
    assert comparison is not None
    assert comparison.score >= 0.97
    crop = whole(tmp_path, photo(1)[60:400, 60:500])
    assert matcher.compare(outlined, crop, ALL) is None


def test_mirror_matches_unless_transforms_are_switched_off(saved: Path, tmp_path: Path) -> None:
    known, mirrored = matcher.fingerprint(str(saved), DETAIL, None)[0], whole(tmp_path, photo(1)[:, ::-1])
    looked_through, taken_as_is = matcher.compare(known, mirrored, ALL), matcher.compare(known, mirrored, UPRIGHT_ONLY)
    assert isinstance(looked_through, Comparison)
    assert isinstance(taken_as_is, Comparison)
    assert looked_through.score >= 0.85
    assert taken_as_is.score < 0.4
    assert looked_through.transform is not None
    assert looked_through.transform.mirrored


def test_mirrored_copy_shares_terms_and_a_stranger_hardly_any(saved: Path, tmp_path: Path) -> None:
    terms = set(matcher.fingerprint(str(saved), DETAIL, None)[0].terms)
    assert len(terms & set(whole(tmp_path, photo(1)[:, ::-1]).terms)) > 100
    assert len(terms & set(whole(tmp_path, photo(2)).terms)) < 5


def test_explicit_hashes_are_those_that_hashlib_and_imagehash_give(tmp_path: Path) -> None:
    data = encoded(photo(4, 320, 240), "PNG")
    path = tmp_path / "small.png"
    path.write_bytes(data)
    hashes = matcher.explicit_hashes(str(path), matcher.fingerprint(str(path), OUTLINE, None)[0])
    image = Image.open(BytesIO(data))
    assert hashes["sha256"] == hashlib.sha256(data).hexdigest()
    assert hashes["md5"] == hashlib.md5(data).hexdigest()
    assert hashes["phash"] == str(imagehash.phash(image))
    assert hashes["dhash"] == str(imagehash.dhash(image))
    assert hashes["ahash"] == str(imagehash.average_hash(image))
    assert hashes["whash"] == str(imagehash.whash(image))
    assert hashes["pdq"] == pdq(np.asarray(image.convert("RGB")))[0].hex()
