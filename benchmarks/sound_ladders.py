"""Edits of sounds that grow stronger step by step, past the point where a copy is still found."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

import numpy as np

from audio_svc.decode import SAMPLE_RATE
from benchmarks.sound_material import Edit, among_voices, clipped_to, noisy, stored, telephoned, under_a_voice
from tests.sounds import Samples, at_pitch, at_speed, at_tempo, filtered, speech, with_echo


@dataclass(frozen=True, slots=True)
class SoundLadder:
    """One edit; the steps are labelled by their strength, the weakest first."""

    name: str
    steps: dict[str, Edit]


def pitched(semitones: float) -> Edit:
    return lambda samples, dice: at_pitch(samples, semitones)


def retimed(factor: float) -> Edit:
    return lambda samples, dice: at_tempo(samples, factor)


def sped(factor: float) -> Edit:
    return lambda samples, dice: at_speed(samples, factor)


def below(hertz: float) -> Edit:
    return lambda samples, dice: filtered(samples, 20, hertz)


def echoing(gain: float) -> Edit:
    return lambda samples, dice: with_echo(samples, gain=gain)


def sharing(share: float) -> Edit:
    """As long as the original, of which it holds this share; the rest is other speech."""

    def edit(samples: Samples, dice: Random) -> Samples:
        length = len(samples) / SAMPLE_RATE
        clip = clipped_to(share * length)(samples, dice)
        other = speech(dice.randrange(1 << 20, 1 << 30), length)[: len(samples) - len(clip)]
        at = dice.randint(0, len(other))
        return np.concatenate([other[:at], clip, other[at:]])

    return edit


def telephoned_over(snr_db: float) -> Edit:
    """White noise on the line."""
    return lambda samples, dice: noisy(snr_db)(telephoned(samples, dice), dice)


def chained(count: int) -> Edit:
    """The first so many of these edits, one after the other."""
    edits = (stored("mp3", bit_rate=32_000), telephoned, noisy(15), retimed(1.05), pitched(1), clipped_to(6))

    def edit(samples: Samples, dice: Random) -> Samples:
        for one in edits[:count]:
            samples = one(samples, dice)
        return samples

    return edit


_RATIOS_DB: Final = (20, 10, 5, 0, -5, -10)
_SEMITONES: Final = (1, 2, 3, 4, 5, 6)
_SLOWER: Final = (0.97, 0.94, 0.91, 0.88, 0.84, 0.8)
_FASTER: Final = (1.03, 1.06, 1.1, 1.15, 1.2, 1.25)

LADDERS: Final = (
    SoundLadder("white noise, dB below the sound", {f"{db} dB": noisy(db) for db in _RATIOS_DB}),
    SoundLadder("four voices at once, dB below the sound", {f"{db} dB": among_voices(db) for db in _RATIOS_DB}),
    SoundLadder("one voice, dB below the sound", {f"{db} dB": under_a_voice(db) for db in _RATIOS_DB}),
    SoundLadder("higher, semitones", {f"+{step}": pitched(step) for step in _SEMITONES}),
    SoundLadder("lower, semitones", {f"-{step}": pitched(-step) for step in _SEMITONES}),
    SoundLadder("tempo slower, same pitch", {f"{factor}": retimed(factor) for factor in _SLOWER}),
    SoundLadder("tempo faster, same pitch", {f"{factor}": retimed(factor) for factor in _FASTER}),
    SoundLadder("played slower and lower", {f"{factor}": sped(factor) for factor in _SLOWER}),
    SoundLadder("played faster and higher", {f"{factor}": sped(factor) for factor in _FASTER}),
    SoundLadder("a clip", {f"{seconds} s": clipped_to(seconds) for seconds in (10, 7, 5, 3, 2, 1)}),
    SoundLadder(
        "part of another sound as long, share in common", {f"{share} %": sharing(share / 100) for share in (75, 50, 35, 25, 15, 10)}
    ),
    SoundLadder("low-pass", {f"{hertz} Hz": below(hertz) for hertz in (4000, 3000, 2000, 1500, 1000, 500)}),
    SoundLadder(
        "telephone (300-3400 Hz, mu-law), white noise on the line",
        {"none": telephoned, **{f"{db} dB": telephoned_over(db) for db in (20, 10, 5, 0, -5)}},
    ),
    SoundLadder("echo of 0.33 s, gain", {f"{gain}": echoing(gain) for gain in (0.3, 0.5, 0.7, 0.9)}),
    SoundLadder("MP3, kbit/s", {f"{rate}": stored("mp3", bit_rate=1000 * rate) for rate in (64, 48, 32, 24, 16, 8)}),
    SoundLadder("Opus, kbit/s", {f"{rate}": stored("opus", bit_rate=1000 * rate) for rate in (32, 24, 16, 12, 8, 6)}),
    SoundLadder(
        "a chain: MP3 32, + telephone, + noise at 15 dB, + tempo 1.05, + 1 semitone, + clip of 6 s",
        {f"{count}": chained(count) for count in range(1, 7)},
    ),
)
