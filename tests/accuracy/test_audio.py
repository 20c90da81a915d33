"""Floors of recall, an edit each, and no false match, on sounds that the tests draw. Real media are harder, and measured apart."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Final

import numpy as np
import pytest

from audio_svc.compare import compare
from audio_svc.decode import Sound, decode_audio
from audio_svc.fingerprint import outline
from matching.decision import is_match
from mesh.media import Comparison
from tests.sounds import (
    Samples,
    at_pitch,
    at_speed,
    at_tempo,
    cut,
    drums,
    encoded,
    filtered,
    jingle,
    mixed,
    music,
    noise,
    speech,
    with_echo,
)

SEEDS: Final = range(1, 6)
Edit = Callable[[Samples], Samples]


@functools.cache
def original(kind: str, seed: int) -> Samples:
    return speech(seed, 15.0) if kind == "speech" else music(seed, 15.0)


@functools.cache
def fingerprinted(kind: str, seed: int) -> bytes:
    return outline(Sound(original(kind, seed)))


def compared(kind: str, seed: int, copy: Samples) -> Comparison:
    return compare(fingerprinted(kind, seed), outline(Sound(copy)))


def as_stored(kind: str, *, rate: int = 16_000, bit_rate: int = 0) -> Edit:
    def edit(samples: Samples) -> Samples:
        step = 16_000 // rate
        return decode_audio(encoded(samples[::step] if step > 1 else samples, kind, rate=rate, bit_rate=bit_rate)).samples

    return edit


def in_the_middle(samples: Samples) -> Samples:
    return np.concatenate([speech(90, 7.0), cut(samples, 4, 9), music(91, 6.0)])


# An edit, the share of copies to be found, and the score that eight in ten of them reach.
CASES: Final[dict[str, tuple[Edit, float, float]]] = {
    "flac": (as_stored("flac"), 1.0, 0.97),
    "mp3 48k": (as_stored("mp3", bit_rate=48_000), 1.0, 0.97),
    "aac 64k": (as_stored("aac", bit_rate=64_000), 1.0, 0.97),
    "opus 24k": (as_stored("opus", bit_rate=24_000), 1.0, 0.94),
    "wma": (as_stored("wma"), 1.0, 0.94),
    "20 dB softer": (lambda samples: samples * np.float32(0.1), 1.0, 0.99),
    "clipped": (lambda samples: np.clip(samples * 4, -0.5, 0.5), 1.0, 0.90),
    "narrow band": (lambda samples: filtered(samples, 300, 3400), 1.0, 0.95),
    "echo": (with_echo, 1.0, 0.85),
    "noise at 10 dB": (lambda samples: mixed(samples, noise(5), 10), 0.8, 0.6),
    "tempo 8 % up": (lambda samples: at_tempo(samples, 1.08), 1.0, 0.85),
    "tempo 10 % down": (lambda samples: at_tempo(samples, 0.9), 1.0, 0.85),
    "3 semitones up": (lambda samples: at_pitch(samples, 3), 1.0, 0.85),
    "3 semitones down": (lambda samples: at_pitch(samples, -3), 1.0, 0.85),
    "speed 10 % down": (lambda samples: at_speed(samples, 0.9), 1.0, 0.85),
    "clip of 5 s": (lambda samples: cut(samples, 6, 5), 1.0, 0.85),
    "in another sound": (in_the_middle, 1.0, 0.7),
}


@pytest.mark.parametrize("name", CASES)
def test_copies_are_found_through_the_edit(name: str) -> None:
    edit, recall_floor, score_floor = CASES[name]
    found = [compared(kind, seed, edit(original(kind, seed))).score for kind in ("speech", "music") for seed in SEEDS]
    assert sum(is_match("audio", score) for score in found) >= recall_floor * len(found), found
    assert sum(score >= score_floor for score in found) >= 0.8 * len(found), found


def test_different_sounds_never_match() -> None:
    sounds = [fingerprinted(kind, seed) for kind in ("speech", "music") for seed in SEEDS]
    sounds += [outline(Sound(drums(seed, 15.0))) for seed in SEEDS]
    assert max(compare(one, two).score for one, two in itertools.combinations(sounds, 2)) < 0.4


def test_what_two_sounds_share_for_a_moment_makes_them_no_copies() -> None:
    shared = []
    for seed in SEEDS:
        sound = np.tile(original("speech", seed), 2).copy()
        sound[seed * 40_000 : seed * 40_000 + 48_000] = jingle(1, 3.0)
        shared.append(outline(Sound(sound)))
    assert max(compare(one, two).score for one, two in itertools.combinations(shared, 2)) < 0.5


def ladder(copies: list[Samples], kind: str, seed: int) -> list[float]:
    return [compared(kind, seed, copy).score for copy in copies]


def test_score_falls_step_by_step_as_noise_rises() -> None:
    """Thirty steps: nearly every step its own score, none of them upwards by more than three hundredths."""
    samples = original("speech", 2)
    found = ladder([mixed(samples, noise(7, 15.0), 30 - 1.3 * step) for step in range(30)], "speech", 2)
    assert len(set(found)) >= 25, found
    assert all(later <= earlier + 0.03 for earlier, later in itertools.pairwise(found)), found
    assert found[0] >= 0.95
    assert found[-1] < 0.8


def test_score_hardly_rises_as_tempo_and_pitch_move_away() -> None:
    """Within eight hundredths: the tests' own time stretcher places its windows better at one tempo than at the next."""
    samples = original("speech", 3)
    for copies in (
        [at_tempo(samples, 1 + 0.02 * step) for step in range(10)],
        [at_pitch(samples, 0.4 * step) for step in range(10)],
        [at_speed(samples, 1 - 0.02 * step) for step in range(10)],
    ):
        found = ladder(copies, "speech", 3)
        assert all(later <= earlier + 0.08 for earlier, later in itertools.pairwise(found)), found
        assert found[0] == max(found), found
        assert min(found) >= 0.8, found
