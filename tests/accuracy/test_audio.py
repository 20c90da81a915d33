"""Floors of recall, an edit each, and no false match, on sounds that the tests draw. Real media are harder, and measured apart."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Final

import numpy as np
import pytest

from audio_svc.compare import compare
from audio_svc.decode import SAMPLE_RATE, Sound, decode_audio
from audio_svc.fingerprint import outline, terms, terms_to_ask_for
from index_svc.blocks import Postings, joined, of_asset
from index_svc.voting import vote
from matching.decision import is_match
from mesh.media import Comparison
from tests.recordings import recorded
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


def test_copy_that_noise_leaves_only_moments_of_is_found_beyond_them() -> None:
    """Two seconds are clear, what lies around them is faint, but for chance it is too much."""
    others = np.concatenate([original("speech", 5), original("music", 5)])
    quiet = np.float32(0.18) * others
    quiet[13 * SAMPLE_RATE : 15 * SAMPLE_RATE] = cut(original("speech", 4), 4, 2)
    found = compare(outline(Sound(quiet)), outline(Sound(mixed(quiet, noise(8, 30.0), -2))))
    assert is_match("audio", found.score), found
    assert found.coverage is not None
    assert found.coverage.source > 0.35


def test_wide_stereo_is_recognised_when_one_channel_is_inverted() -> None:
    """As much in the channels' difference as in their mean: inverted, each takes the other's place."""
    for seed in SEEDS:
        middle, sides = music(seed, 15.0), music(seed + 50, 15.0)
        left, right = 0.5 * (middle + sides), 0.5 * (middle - sides)
        copies = [decode_audio(recorded(np.stack(channels), "flac", rate=SAMPLE_RATE)) for channels in ((left, right), (left, -right))]
        assert is_match("audio", compare(*map(outline, copies)).score)


def test_segments_lie_within_both_sounds_and_are_equally_long_unless_the_tempo_changed() -> None:
    for name, (edit, _, _) in CASES.items():
        sound, copy = original("music", 2), edit(original("music", 2))
        found = compared("music", 2, copy)
        assert list(found.segments) == sorted(found.segments, key=lambda segment: segment.source_start), name
        for segment in found.segments:
            assert 0 <= segment.source_start < segment.source_end <= len(sound) / SAMPLE_RATE, name
            assert 0 <= segment.target_start < segment.target_end <= len(copy) / SAMPLE_RATE, name
            assert 0.4 <= segment.score <= 1.0, name
            lengths = segment.source_end - segment.source_start, segment.target_end - segment.target_start
            assert found.sound_transform
            assert lengths[0] / found.sound_transform.tempo == pytest.approx(lengths[1], abs=0.05), name
        assert found.score <= max(segment.score for segment in found.segments) + 1e-9, name


def asked(copy: bytes) -> Postings:
    found = terms_to_ask_for(copy)
    return of_asset(0, found.values, found.positions)


def test_original_is_the_first_that_an_index_names_for_a_copy() -> None:
    """By terms alone, in the index's own vote, among all originals and as many strangers."""
    sounds = [fingerprinted(kind, seed) for kind in ("speech", "music") for seed in SEEDS]
    sounds += [outline(Sound(make(seed, 15.0))) for make in (speech, music) for seed in range(100, 105)]
    library = joined(of_asset(number, terms(sound).values, terms(sound).positions) for number, sound in enumerate(sounds))
    for name in ("mp3 48k", "noise at 10 dB", "tempo 8 % up", "3 semitones up", "speed 10 % down", "clip of 5 s", "narrow band"):
        copies = [outline(Sound(CASES[name][0](original(kind, seed)))) for kind in ("speech", "music") for seed in SEEDS]
        firsts = [vote(asked(copy), library)[0][:1].tolist() for copy in copies]
        assert sum(first == [number] for number, first in enumerate(firsts)) >= 0.8 * len(copies), (name, firsts)


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
