"""A film's fingerprint: the same bytes on every run, small, and read back or refused."""

from __future__ import annotations

import struct
import subprocess
import sys
from hashlib import sha256
from typing import Final

import numpy as np
import pytest

from mesh.errors import FingerprintMismatch, InvalidRequest
from mesh.media import DETAIL, OUTLINE
from tests.films import Film
from tests.pictures import photo
from tests.reels import Layers, layers, moments, recorded
from video_svc.fingerprint import MIN_INFORMATION, Outline, detail, outline, read_detail, read_outline, search_terms, terms
from video_svc.fingerprint import Film as Recorded
from video_svc.fingerprint.film import FEATURE_SECONDS, SAMPLE_SECONDS, feature_frames
from video_svc.fingerprint.strip import roll_up, unroll

FILM: Final = Film(3, 6.0, scene_seconds=2.0)
LAYERS: Final = layers(moments(FILM))
SAME_ELSEWHERE: Final = """
import sys
from hashlib import sha256
from tests.unit.video_svc.test_fingerprint import LAYERS
sys.stdout.write(sha256(LAYERS[0] + LAYERS[1]).hexdigest())
"""


def known() -> Outline:
    return read_outline(LAYERS[OUTLINE])


def test_another_process_makes_the_same_bytes() -> None:
    elsewhere = subprocess.run([sys.executable, "-c", SAME_ELSEWHERE], capture_output=True, text=True, check=True)
    assert elsewhere.stdout == sha256(LAYERS[OUTLINE] + LAYERS[DETAIL]).hexdigest()


def test_film_comes_back_from_its_bytes() -> None:
    film = recorded(moments(FILM))
    back = Recorded.from_bytes(film.to_bytes())
    assert (back.times, back.until, back.frames, back.duration_seconds) == (film.times, film.until, film.frames, film.duration_seconds)
    assert (outline(back), detail(back)) == (LAYERS[OUTLINE], LAYERS[DETAIL])


def test_outline_comes_back_with_size_times_and_thumbnails() -> None:
    back = known()
    assert (back.width, back.height, back.duration_seconds, back.is_still) == (320, 240, 6.0, False)
    assert back.times.tolist() == [number * SAMPLE_SECONDS for number in range(24)]
    assert back.thumbnails.shape == (24, 48, 64)
    assert back.information == 1.0


def test_features_are_taken_from_every_second_moment_of_a_film_that_moves() -> None:
    assert feature_frames(known().times.tolist()) == list(range(0, 24, round(FEATURE_SECONDS / SAMPLE_SECONDS)))
    assert set(read_detail(LAYERS[DETAIL], known()).frames.tolist()) == set(range(0, 24, 2))


def test_picture_that_stands_is_kept_once() -> None:
    standing = [photo(1, 320, 240)] * 12 + [photo(2, 320, 240)] * 8
    back = read_outline(outline(recorded(standing)))
    assert back.times.tolist() == [0.0, 3.0]
    assert back.until.tolist() == [2.75, 4.75]


def test_still_says_that_it_is_one() -> None:
    back = read_outline(layers([photo(1, 320, 240)], is_still=True)[OUTLINE])
    assert back.is_still
    assert (len(back.times), back.duration_seconds) == (1, 0.0)


def test_black_film_has_no_information() -> None:
    black = layers([np.zeros((240, 320, 3), np.uint8)] * 12)
    assert read_outline(black[OUTLINE]).information < MIN_INFORMATION


def test_fingerprint_of_a_busy_film_takes_six_kilobytes_a_second_with_its_terms() -> None:
    found, _ = terms(LAYERS[DETAIL], LAYERS[OUTLINE])
    assert len(LAYERS[OUTLINE]) + len(LAYERS[DETAIL]) + 12 * len(found) < 6.5 * 1024 * FILM.seconds


def test_strip_unrolls_to_nearly_the_same_thumbnails_in_order() -> None:
    thumbnails = recorded(moments(FILM)).thumbnails
    back = unroll(roll_up(thumbnails), *thumbnails.shape)
    assert back.shape == thumbnails.shape
    for one, two in zip(thumbnails, back, strict=True):
        assert np.corrcoef(one.ravel(), two.ravel())[0, 1] > 0.95


def test_terms_are_those_of_the_mirrored_film_too() -> None:
    mirrored = layers(moments(FILM), lambda picture: picture[:, ::-1])
    one, two = set(terms(LAYERS[DETAIL], LAYERS[OUTLINE])[0]), set(terms(mirrored[DETAIL], mirrored[OUTLINE])[0])
    other = layers(moments(Film(4, 6.0, scene_seconds=2.0)))
    strangers = set(terms(other[DETAIL], other[OUTLINE])[0])
    assert len(one & two) > 0.2 * len(one)
    assert len(one & strangers) < 0.02 * len(one)


def test_search_asks_for_all_that_an_index_keeps_and_for_more() -> None:
    kept, asked = terms(LAYERS[DETAIL], LAYERS[OUTLINE])[0], search_terms(LAYERS[DETAIL], LAYERS[OUTLINE])[0]
    assert set(kept) < set(asked)
    assert len(asked) > 2 * len(kept)


def test_terms_stand_in_order_of_their_times() -> None:
    found, positions = terms(LAYERS[DETAIL], LAYERS[OUTLINE])
    assert len(found) == len(positions) > 100
    assert list(positions) == sorted(positions)
    assert max(positions) <= 1000 * FILM.seconds


# ---- what is refused


def damaged_outlines(whole: bytes) -> dict[str, bytes]:
    head = 22
    times = np.frombuffer(whole, "<f4", 48, head)
    strip = whole[head + times.nbytes :]
    return {
        "empty but for the version": whole[:1],
        "cut head": whole[:10],
        "cut times": whole[: head + 30],
        "cut strip": whole[:-200],
        "no strip": whole[: -len(strip)],
        "noise for a strip": whole[: -len(strip)] + bytes(range(256)) * 4,
        "another count": whole[:18] + struct.pack("<H", 23) + whole[20:],
        "no frames": whole[:18] + struct.pack("<H", 0) + whole[20:],
        "absurd count": whole[:18] + struct.pack("<H", 65535) + whole[20:],
        "another thumbnail size": whole[:20] + bytes([64, 64]) + whole[22:],
        "no width": whole[:2] + struct.pack("<I", 0) + whole[6:],
        "endless": whole[:10] + struct.pack("<f", float("inf")) + whole[14:],
        "no number": whole[:10] + struct.pack("<f", float("nan")) + whole[14:],
        "too much information": whole[:14] + struct.pack("<f", 1.5) + whole[18:],
        "unknown flag": whole[:1] + bytes([2]) + whole[2:],
        "a still of many frames": whole[:1] + bytes([1]) + whole[2:],
        "times that fall": whole[:head] + times[::-1].tobytes() + strip,
    }


@pytest.mark.parametrize("name", damaged_outlines(LAYERS[OUTLINE]))
def test_damaged_outline_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        read_outline(damaged_outlines(LAYERS[OUTLINE])[name])


def damaged_details(whole: bytes) -> dict[str, bytes]:
    return {
        "empty but for the version": whole[:1],
        "cut": whole[:-1],
        "longer": whole + b"\0",
        "absurd count": whole[:7] + struct.pack("<I", 2**31) + whole[11:],
        "counts that do not add up": whole[:11] + bytes([whole[11] ^ 1]) + whole[12:],
        "wider than any": whole[:1] + struct.pack("<H", 4000) + whole[3:],
        "of another film": layers(moments(FILM, seconds=4.0))[DETAIL],
    }


@pytest.mark.parametrize("name", damaged_details(LAYERS[DETAIL]))
def test_damaged_detail_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        read_detail(damaged_details(LAYERS[DETAIL])[name], known())


def test_random_damage_is_refused_or_read_but_never_crashes() -> None:
    random = np.random.default_rng(5)
    for _ in range(200):
        bent: Layers = {}
        for level, layer in LAYERS.items():
            changed = bytearray(layer)
            for place in random.integers(1, len(layer), 3):
                changed[place] = random.integers(0, 256)
            bent[level] = bytes(changed[: random.integers(1, len(layer))]) if random.random() < 0.3 else bytes(changed)
        try:
            read_detail(bent[DETAIL], read_outline(bent[OUTLINE]))
        except InvalidRequest:
            continue


@pytest.mark.parametrize("payload", [b"", b"\x00", b"\x02"])
def test_another_version_is_a_mismatch(payload: bytes) -> None:
    with pytest.raises(FingerprintMismatch):
        read_outline(payload + LAYERS[OUTLINE][1:] if payload else payload)
    with pytest.raises(FingerprintMismatch):
        read_detail(payload + LAYERS[DETAIL][1:] if payload else payload, known())
