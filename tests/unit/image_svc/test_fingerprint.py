"""A fingerprint: the same bytes on every run, small, and read back or refused."""

from __future__ import annotations

import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import pytest

from image_svc import matcher
from image_svc.fingerprint import (
    CANONICAL_SIDE,
    MAX_FEATURES,
    MIN_INFORMATION,
    Canonical,
    canonical,
    canonical_size,
    detail,
    outline,
    read_detail,
    read_outline,
    terms,
)
from image_svc.pdq import pdq
from mesh.errors import FingerprintMismatch, InvalidRequest
from mesh.media import DETAIL
from stills import Picture
from tests.pictures import FORMATS, Pixels, photo


def prepared(pixels: Pixels) -> Canonical:
    return canonical(Picture(pixels, pixels.shape[1], pixels.shape[0]))


PHOTO: Final = prepared(photo(1, 800, 600))
SAME_ELSEWHERE: Final = """
import sys
from pathlib import Path
from tests.unit.image_svc.test_fingerprint import digest_of_all
sys.stdout.write(digest_of_all(Path(sys.argv[1])))
"""


def digest_of_all(folder: Path) -> str:
    """Of everything that fingerprints of the folder's files hold."""
    digest = sha256()
    for file in sorted(folder.iterdir()):
        known = matcher.fingerprint(str(file), DETAIL, None)[0]
        digest.update(repr((sorted(known.layers.items()), known.terms, known.information, sorted(known.hashes.items()))).encode())
    return digest.hexdigest()


def flat_pictures() -> dict[str, Pixels]:
    across = np.linspace(0, 1, 640)
    down = np.linspace(0, 1, 480)[:, None]
    ramp = (across * 200 + down * 40).astype(np.uint8)
    round_ramp = (200 * np.hypot(across - 0.4, down - 0.5)).clip(0, 255).astype(np.uint8)
    stripes = np.broadcast_to(np.where(np.arange(640) % 40 < 20, 40, 210).astype(np.uint8), (480, 640))
    plain = np.full((480, 640), 128, np.uint8)
    grain = np.random.default_rng(1).normal(128, 2, (480, 640)).astype(np.uint8)
    grey = {"plain": plain, "ramp": ramp, "round ramp": round_ramp, "stripes": stripes, "grain": grain}
    return {name: np.repeat(values[..., None], 3, axis=2) for name, values in grey.items()}


def test_same_bytes_give_the_same_fingerprint_in_every_run_and_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, encode in FORMATS.items():
        (tmp_path / name).write_bytes(encode(photo(1, 320, 240)))
    here = digest_of_all(tmp_path)
    assert digest_of_all(tmp_path) == here
    for seed in ("1", "2"):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        elsewhere = subprocess.run([sys.executable, "-c", SAME_ELSEWHERE, str(tmp_path)], capture_output=True, text=True, check=True)
        assert elsewhere.stdout == here


@pytest.mark.parametrize("softness", [0.0, 0.6, 1.0, 1.5, 3.0])
def test_both_layers_of_the_busiest_picture_stay_below_64_000_bytes(softness: float) -> None:
    noise = np.random.default_rng(2).integers(0, 2, (400, 400, 1), np.uint8) * np.full(3, 255, np.uint8)
    picture = prepared(cv2.GaussianBlur(noise, (0, 0), softness).astype(np.uint8) if softness else noise)
    layers = outline(picture), detail(picture)
    assert len(layers[0]) + len(layers[1]) <= 64_000
    back = read_detail(layers[1])
    assert len(back.features) == MAX_FEATURES
    assert back.pyramid.grey.shape == picture.grey.shape


def test_outline_comes_back_with_the_sizes_and_the_pdq_of_the_picture() -> None:
    known = read_outline(outline(PHOTO))
    assert (known.width, known.height, known.thumbnail.shape) == (800, 600, (72, 96))
    assert (known.pdq, known.pdq_quality) == pdq(PHOTO.grey)


def test_detail_comes_back_with_features_and_the_picture() -> None:
    known = read_detail(detail(PHOTO))
    assert known.pyramid.grey.shape == PHOTO.grey.shape == (300, 400)
    assert len(known.features) > 100
    assert np.corrcoef(known.pyramid.grey.ravel(), PHOTO.grey.ravel())[0, 1] > 0.99


@pytest.mark.parametrize("name", flat_pictures())
def test_pictures_of_nothing_carry_no_information(name: str) -> None:
    assert read_outline(outline(prepared(flat_pictures()[name]))).information < MIN_INFORMATION


def test_photos_dark_ones_and_marks_on_white_carry_information() -> None:
    mark = np.full((480, 640, 3), 255, np.uint8)
    cv2.putText(mark, "copper", (180, 260), cv2.FONT_HERSHEY_DUPLEX, 2.5, (0, 0, 0), 6)
    for pixels in (photo(1), (photo(1) * 0.25).astype(np.uint8), mark):
        assert read_outline(outline(prepared(pixels))).information > 2 * MIN_INFORMATION


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 3000), (3000, 2), (50, 40), (4000, 3000)])
def test_every_size_of_picture_has_a_fingerprint(width: int, height: int) -> None:
    columns, rows = canonical_size(width, height)
    assert max(columns, rows) <= CANONICAL_SIDE
    picture = prepared(photo(3, width, height) if min(width, height) > 30 else np.full((height, width, 3), 77, np.uint8))
    assert read_outline(outline(picture)).width == width
    assert read_detail(detail(picture)).pyramid.grey.shape == (rows, columns)


def test_terms_are_few_distinct_and_rising() -> None:
    found = terms(outline(PHOTO), detail(PHOTO))
    assert 100 < len(found) <= 400
    assert list(found) == sorted(set(found))
    assert max(found) < 2**32


def test_working_bytes_hold_the_canonical_picture() -> None:
    back = Canonical.from_bytes(PHOTO.to_bytes())
    assert (back.width, back.height) == (800, 600)
    assert outline(back) + detail(back) == outline(PHOTO) + detail(PHOTO)


@pytest.mark.parametrize("cut", [1, 20, 60, -1])
def test_damaged_layers_are_refused(cut: int) -> None:
    with pytest.raises(InvalidRequest):
        read_outline(outline(PHOTO)[:cut])
    with pytest.raises(InvalidRequest):
        read_detail(detail(PHOTO)[: cut if cut > 0 else 5000])


def test_damage_inside_the_picture_is_noticed_when_it_is_looked_at() -> None:
    layer = detail(PHOTO)
    jpeg = layer.index(b"\xff\xd8", len(layer) - len(read_detail(layer).jpeg))
    with pytest.raises(InvalidRequest):
        _ = read_detail(layer[: jpeg + 2] + bytes(len(layer) - jpeg - 4) + layer[-2:]).pyramid


def test_layers_of_another_version_are_refused() -> None:
    for read, layer in ((read_outline, outline(PHOTO)), (read_detail, detail(PHOTO))):
        with pytest.raises(FingerprintMismatch):
            read(b"\x63" + layer[1:])
        with pytest.raises(FingerprintMismatch):
            read(b"")
