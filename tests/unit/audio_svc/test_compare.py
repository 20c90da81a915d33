"""A comparison: where the same sound lies in both, how surely, and nothing where there is nothing."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import pytest

from audio_svc.compare import compare
from audio_svc.decode import Sound
from audio_svc.fingerprint import outline
from mesh.errors import FingerprintMismatch, InvalidRequest
from mesh.media import Comparison, Segment
from tests.sounds import Samples, at_pitch, at_speed, at_tempo, cut, drums, jingle, mixed, music, noise, silence, speech, tone

TOLERANCE_SECONDS: Final = 0.25
MATCH: Final = 0.6


@cache
def talk(seed: int, seconds: float = 20.0) -> Samples:
    return speech(seed, seconds)


def compared(source: Samples, target: Samples) -> Comparison:
    return compare(outline(Sound(source)), outline(Sound(target)))


def edges(segment: Segment) -> tuple[float, float, float, float]:
    return segment.source_start, segment.source_end, segment.target_start, segment.target_end


def test_whole_copy_is_one_segment_from_end_to_end() -> None:
    found = compared(talk(1), mixed(talk(1), noise(1), 30))
    assert found.score >= 0.97
    assert [edges(segment) for segment in found.segments] == [pytest.approx((0, 20, 0, 20), abs=0.05)]
    assert found.coverage.source > 0.98
    assert found.coverage.target > 0.98


def test_clip_from_the_middle_is_found_where_it_lies() -> None:
    found = compared(talk(1), cut(talk(1), 7.3, 5.0))
    assert found.score >= 0.9
    assert [edges(segment) for segment in found.segments] == [pytest.approx((7.3, 12.3, 0, 5), abs=TOLERANCE_SECONDS)]
    assert found.coverage.target > 0.9
    assert found.coverage.source == pytest.approx(0.25, abs=0.05)


def test_clip_inside_another_sound_is_found_where_it_lies() -> None:
    found = compared(np.concatenate([talk(2, 8.0), cut(talk(1), 5, 9), talk(3, 7.0)]), talk(1))
    assert found.score >= MATCH
    assert [edges(segment) for segment in found.segments] == [pytest.approx((8, 17, 5, 14), abs=TOLERANCE_SECONDS)]


def test_clips_in_another_order_are_found_one_by_one() -> None:
    found = compared(talk(1), np.concatenate([cut(talk(1), 12, 6), cut(talk(1), 2, 5)]))
    assert found.score >= 0.9
    assert [edges(segment) for segment in found.segments] == [
        pytest.approx((2, 7, 6, 11), abs=TOLERANCE_SECONDS),
        pytest.approx((12, 18, 0, 6), abs=TOLERANCE_SECONDS),
    ]


def test_loop_is_found_each_time_it_is_played() -> None:
    found = compared(talk(1), np.tile(cut(talk(1), 4, 5), 3))
    assert found.score >= 0.9
    assert sorted(segment.target_start for segment in found.segments) == pytest.approx([0, 5, 10], abs=TOLERANCE_SECONDS)
    assert all(segment.source_start == pytest.approx(4, abs=TOLERANCE_SECONDS) for segment in found.segments)


def test_what_was_cut_out_is_in_no_segment() -> None:
    found = compared(talk(1), np.concatenate([cut(talk(1), 0, 7), cut(talk(1), 12, 8)]))
    assert [edges(segment) for segment in found.segments] == [
        pytest.approx((0, 7, 0, 7), abs=TOLERANCE_SECONDS),
        pytest.approx((12, 20, 7, 15), abs=TOLERANCE_SECONDS),
    ]


def test_what_was_replaced_is_in_no_segment() -> None:
    found = compared(talk(1), np.concatenate([cut(talk(1), 0, 7), cut(talk(2), 0, 5), cut(talk(1), 12, 8)]))
    assert [edges(segment) for segment in found.segments] == [
        pytest.approx((0, 7, 0, 7), abs=0.4),
        pytest.approx((12, 20, 12, 20), abs=0.4),
    ]


@pytest.mark.parametrize("factor", [0.82, 0.9, 0.95, 1.06, 1.1, 1.2])
def test_tempo_is_measured_and_pitch_stays(factor: float) -> None:
    found = compared(talk(4), at_tempo(talk(4), factor))
    assert found.score >= 0.85
    assert found.sound_transform is not None
    assert found.sound_transform.tempo == pytest.approx(factor, rel=0.005)
    assert found.sound_transform.pitch_semitones == pytest.approx(0, abs=0.15)
    assert edges(found.segments[0]) == pytest.approx((0, 20, 0, 20 / factor), abs=TOLERANCE_SECONDS)


@pytest.mark.parametrize("semitones", [-4, -3, -1, 2, 3])
def test_pitch_is_measured_and_tempo_stays(semitones: int) -> None:
    found = compared(talk(5), at_pitch(talk(5), semitones))
    assert found.score >= 0.85
    assert found.sound_transform is not None
    assert found.sound_transform.pitch_semitones == pytest.approx(semitones, abs=0.2)
    assert found.sound_transform.tempo == pytest.approx(1, rel=0.005)


def test_speed_moves_both() -> None:
    found = compared(talk(6), at_speed(talk(6), 1.08))
    assert found.sound_transform is not None
    assert found.sound_transform.tempo == pytest.approx(1.08, rel=0.005)
    assert found.sound_transform.pitch_semitones == pytest.approx(12 * np.log2(1.08), abs=0.2)


def test_answer_is_the_same_the_other_way_round() -> None:
    one, two = talk(1), at_tempo(cut(talk(1), 3, 12), 1.1)
    forth, back = compared(one, two), compared(two, one)
    assert forth.score == back.score
    assert (forth.coverage.source, forth.coverage.target) == (back.coverage.target, back.coverage.source)
    mirrored = [(s.target_start, s.target_end, s.source_start, s.source_end, s.score) for s in back.segments]
    assert [(*edges(s), s.score) for s in forth.segments] == mirrored
    assert forth.sound_transform is not None
    assert back.sound_transform is not None
    assert forth.sound_transform.tempo == pytest.approx(1 / back.sound_transform.tempo)


def test_music_under_a_voice_is_found() -> None:
    bed = drums(7, 25.0)
    assert compared(bed, mixed(talk(8, 25.0), bed, 3)).score >= MATCH


def test_score_is_below_its_best_segment_and_rises_with_what_is_covered() -> None:
    scores = []
    for seconds in (2, 4, 8, 12, 16):
        around = 20 - seconds
        found = compared(np.concatenate([talk(9, around), cut(talk(1), 3, seconds)]), talk(1))
        assert found.score <= max(segment.score for segment in found.segments)
        scores.append(found.score)
    assert scores == sorted(scores)
    assert scores[0] < 0.5
    assert scores[-1] > 0.85


@pytest.mark.parametrize("seconds", [1, 2, 4])
def test_shared_jingle_makes_no_match(seconds: int) -> None:
    sounds = []
    for seed, at in ((10, 5), (11, 20)):
        sound = talk(seed, 30.0).copy()
        sound[at * 16_000 : (at + seconds) * 16_000] = jingle(1, seconds)
        sounds.append(sound)
    assert compared(*sounds).score < 0.5


def strangers() -> dict[str, tuple[Samples, Samples]]:
    return {
        "two voices": (talk(1), talk(2)),
        "two voices, one text": (speech(1, text=5), speech(2, text=5)),
        "two tunes": (music(1), music(2)),
        "two tunes of one tempo": (music(3, beats_per_minute=120), music(4, beats_per_minute=120)),
        "two drum loops of one tempo": (drums(1), drums(2)),
        "two drum loops": (drums(1, beats_per_minute=100), drums(2, beats_per_minute=108)),
        "two noises": (noise(1), noise(2)),
        "tune and voice": (music(1), talk(1)),
        "drums and tune": (drums(1), music(1)),
    }


@pytest.mark.parametrize("name", strangers())
def test_strangers_score_low(name: str) -> None:
    found = compared(*strangers()[name])
    assert found.score < 0.35
    assert found.coverage.source < 0.35


def test_another_take_of_one_tune_is_no_copy() -> None:
    scores = [compared(music(seed), music(seed, take=1)).score for seed in range(1, 4)]
    assert np.median(scores) < 0.5


@pytest.mark.parametrize(
    "nothing", [silence(), tone(440.0), tone(50.0, harmonics=6), silence(0.0)], ids=["silence", "tone", "hum", "empty"]
)
def test_sounds_of_nothing_match_nothing(nothing: Samples) -> None:
    for other in (nothing, nothing[:-100], silence(), talk(1)):
        assert compared(nothing, other) == Comparison(0.0)


def test_very_short_sounds_are_compared() -> None:
    assert compared(talk(1)[:4000], talk(2)[:4000]).score < 0.35


def test_damaged_and_foreign_outlines_are_refused() -> None:
    good = outline(Sound(talk(1)))
    for bad, error in ((good[:-1], InvalidRequest), (b"\x09" + good[1:], FingerprintMismatch)):
        for pair in ((good, bad), (bad, good)):
            with pytest.raises(error):
                compare(*pair)
