"""A sound's fingerprint: the same bytes on every run, small, and read back or refused."""

from __future__ import annotations

import struct
import subprocess
import sys
from hashlib import sha256
from typing import Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_svc.decode import SAMPLE_RATE, Sound
from audio_svc.fingerprint import MIN_INFORMATION, VERSION, Outline, outline, read_outline, terms, terms_to_ask_for
from mesh.errors import FingerprintMismatch, InvalidRequest
from tests.sounds import Samples, at_pitch, at_tempo, cut, drums, mixed, music, noise, silence, speech, tone

MAX_BYTES_PER_SECOND: Final = 512
TERM_BYTES: Final = 12
MUSIC: Final = outline(Sound(music(1)))
SAME_ELSEWHERE: Final = """
import os
import sys
os.environ["OPENBLAS_NUM_THREADS"] = "1"
from hashlib import sha256
from tests.unit.audio_svc.test_fingerprint import MUSIC
sys.stdout.write(sha256(MUSIC).hexdigest())
"""


def read(samples: Samples) -> Outline:
    return read_outline(outline(Sound(samples)))


def test_another_process_makes_the_same_bytes() -> None:
    elsewhere = subprocess.run([sys.executable, "-c", SAME_ELSEWHERE], capture_output=True, text=True, check=True)
    assert elsewhere.stdout == sha256(MUSIC).hexdigest()


@pytest.mark.parametrize("samples", [music(1), speech(1), drums(1), noise(1), noise(2, slope=1.0), np.sign(noise(3))], ids=range(6))
def test_payload_and_terms_stay_below_half_a_kilobyte_a_second(samples: Samples) -> None:
    layer = outline(Sound(samples))
    assert len(layer) + TERM_BYTES * len(terms(layer).values) < MAX_BYTES_PER_SECOND * len(samples) / SAMPLE_RATE


def test_outline_comes_back_with_its_length_and_its_peaks_in_order() -> None:
    known = read_outline(MUSIC)
    assert known.duration_seconds == 20.0
    assert known.information == 1.0
    assert len(known.peaks) > 200
    assert (np.diff(known.peaks.frames) >= 0).all()


def test_pauses_of_any_length_come_back() -> None:
    parts = [music(1, 3.0), silence(4.9), music(2, 3.0), silence(5.3), music(3, 3.0), silence(11.0), music(4, 3.0)]
    peaks = read(np.concatenate(parts)).peaks
    at = peaks.frames * 0.02
    starts = np.cumsum([0.0] + [len(part) / SAMPLE_RATE for part in parts])
    assert all((((at >= start) & (at < start + 3.1)).sum() > 20) for start in starts[:-1:2])
    assert all((((at > start + 0.2) & (at < end - 0.2)).sum() == 0) for start, end in zip(starts[1::2], starts[2::2], strict=False))


def test_louder_or_softer_the_peaks_are_the_same() -> None:
    loud, soft = read(music(5)).peaks, read(music(5) * np.float32(0.1)).peaks
    common = set(zip(loud.frames.tolist(), loud.bands.tolist(), strict=True)) & set(
        zip(soft.frames.tolist(), soft.bands.tolist(), strict=True)
    )
    assert len(common) > 0.98 * len(loud)


@pytest.mark.parametrize(
    "samples",
    [silence(5), silence(0), np.full(80_000, 0.3, np.float32), np.zeros(1, np.float32), tone(440.0), tone(50.0, harmonics=6)],
    ids=["silence", "nothing", "offset", "one sample", "tone", "hum"],
)
def test_sounds_of_nothing_carry_no_information(samples: Samples) -> None:
    assert read(samples).information < MIN_INFORMATION


@pytest.mark.parametrize("samples", [music(1, 3.0), speech(1, 3.0), drums(1, 3.0)], ids=["music", "speech", "drums"])
def test_three_seconds_of_something_carry_information(samples: Samples) -> None:
    assert read(samples).information > 10 * MIN_INFORMATION


def test_outline_of_another_version_is_refused() -> None:
    for layer in (b"\x63" + MUSIC[1:], b""):
        with pytest.raises(FingerprintMismatch):
            read_outline(layer)


def damaged() -> dict[str, bytes]:
    head, peaks = MUSIC[:13], MUSIC[13:]

    def headed(duration: float, information: float) -> bytes:
        return struct.pack("<Bdf", VERSION, duration, information) + peaks

    return {
        "cut in the head": MUSIC[:9],
        "cut in a peak": MUSIC[:-1],
        "no length": headed(float("nan"), 1.0),
        "too long": headed(1e9, 1.0),
        "shorter than its peaks": headed(5.0, 1.0),
        "negative": headed(-1.0, 1.0),
        "too informed": headed(20.0, 2.0),
        "too many peaks at once": head + bytes([0, 1, 9]) + b"".join(bytes([0, band, 9]) for band in range(2, 60)),
        "same peak twice": head + bytes([3, 7, 9, 0, 7, 9]),
        "backwards": head + bytes([3, 7, 9, 0, 6, 9]),
        "off the scale": head + bytes([3, 240, 9]),
        "endless pause": head + bytes([255, 255, 0]) * 1000,
    }


@pytest.mark.parametrize("name", damaged())
def test_damaged_outline_is_refused(name: str) -> None:
    layer = damaged()[name]
    if name == "endless pause":
        layer += bytes([1, 7, 9])
    with pytest.raises(InvalidRequest):
        read_outline(layer)


@given(st.binary(max_size=400))
def test_garbage_is_refused_or_harmless(garbage: bytes) -> None:
    try:
        known = read_outline(MUSIC[:13] + garbage)
    except InvalidRequest:
        return
    assert known.duration_seconds == 20.0


def test_terms_lie_within_the_sound_and_are_few() -> None:
    found = terms(MUSIC)
    assert len(found.values) == len(found.positions)
    assert 20 < len(found.values) <= 12 * 21
    assert max(found.positions) < 20_000
    assert max(found.values) < 2**31


@pytest.mark.parametrize(
    "copy",
    [cut(speech(6), 5, 8), mixed(speech(6), noise(6), 10), at_tempo(speech(6), 1.06), at_pitch(speech(6), 2)],
    ids=["clip", "noise", "tempo", "pitch"],
)
def test_copy_asks_for_more_terms_of_its_original_than_of_a_stranger(copy: Samples) -> None:
    asked = set(terms_to_ask_for(outline(Sound(copy))).values)
    original, stranger = (set(terms(outline(Sound(speech(seed)))).values) for seed in (6, 7))
    assert len(asked & original) > 3 + 2 * len(asked & stranger)


def test_question_about_a_long_sound_is_no_longer_than_an_index_takes() -> None:
    layer = outline(Sound(np.concatenate([speech(seed, 30.0) for seed in range(4)])))
    assert 3000 < len(terms_to_ask_for(layer).values) <= 6000


def test_a_sound_without_peaks_has_no_terms() -> None:
    layer = outline(Sound(silence()))
    assert terms(layer).values == terms_to_ask_for(layer).values == ()
