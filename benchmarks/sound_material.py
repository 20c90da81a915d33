"""What is measured on: sounds drawn from seeds or read from a folder, copies made of them, strangers found among them.

The same folder or the same seeds give the same material. What benchmarks/material.py is for images.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import numpy as np

from audio_svc.compare import compare as compare_outlines
from audio_svc.decode import SAMPLE_RATE, Sound, decode_audio
from audio_svc.fingerprint import outline
from matching.calibration import Curve
from mesh.errors import MeshError
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

SECONDS: Final = 20.0
"""Of each sound, from its middle."""
MIN_SECONDS: Final = 10.0
KINDS: Final[tuple[Callable[..., Samples], ...]] = (music, speech, music, speech, drums)
CURVE: Final = Curve(((0.0, 0.0), (1.0, 1.0)))
"""The factors in audio_svc/compare/evidence.py are calibrated each; what they make together is the score as it stands."""

Edit = Callable[[Samples, Random], Samples]


@dataclass(frozen=True, slots=True)
class SoundMaterial:
    """Sounds, and in words what they are."""

    sounds: list[Samples]
    description: str


def chosen(arguments: argparse.Namespace) -> SoundMaterial:
    """What the command line asks for."""
    count: int = arguments.sounds
    if not arguments.media:
        return SoundMaterial([drawn(seed, SECONDS) for seed in range(count)], f"{count} sounds drawn by tests/sounds.py")
    found: list[Samples] = []
    for file in files_in(arguments.media):
        if len(found) == count:
            break
        try:
            samples = decode_audio(file.read_bytes()).samples
        except MeshError:
            continue  # a folder holds other things, too
        length = len(samples) / SAMPLE_RATE
        if length >= MIN_SECONDS:
            found.append(cut(samples, max(0.0, (length - SECONDS) / 2), SECONDS))
    if len(found) < 2:
        raise SystemExit("There are fewer than two sounds in this folder.")
    return SoundMaterial(found, f"{len(found)} {arguments.called or 'sounds of a folder'}")


def drawn(seed: int, seconds: float, *, rate: int = SAMPLE_RATE) -> Samples:
    """Music, speech and drums by turns."""
    return KINDS[seed % len(KINDS)](seed, seconds, rate=rate)


def files_in(folders: list[Path]) -> list[Path]:
    """All files, in an order that is always the same and says nothing."""
    files = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
    Random(0).shuffle(files)
    return files


def fingerprint(samples: Samples) -> bytes:
    """All that is compared."""
    return outline(Sound(np.clip(samples, -1, 1)))


def compare(one: bytes, two: bytes) -> float:
    """The score of the pair."""
    return compare_outlines(one, two).score


def copies(samples: Samples, number: int) -> Iterator[tuple[str, str, Samples]]:
    """Family, edit and samples of every copy of the sound with this number."""
    for family, members in FAMILIES.items():
        for name, edit in members.items():
            yield family, name, edit(samples, Random(f"{name} {number}"))


def stored(kind: str, *, bit_rate: int = 0, rate: int = SAMPLE_RATE) -> Edit:
    """Encoded and decoded again."""

    def edit(samples: Samples, dice: Random) -> Samples:
        if rate != SAMPLE_RATE:
            samples = at_speed(samples, SAMPLE_RATE / rate)
        return decode_audio(encoded(samples, kind, rate=rate, bit_rate=bit_rate)).samples

    return edit


def noisy(snr_db: float) -> Edit:
    """White noise."""
    return lambda samples, dice: mixed(samples, noise(dice.randrange(1 << 30), len(samples) / SAMPLE_RATE), snr_db)


def among_voices(snr_db: float) -> Edit:
    """Four voices that talk at once."""

    def edit(samples: Samples, dice: Random) -> Samples:
        voices = [speech(dice.randrange(1 << 20, 1 << 30), len(samples) / SAMPLE_RATE) for _ in range(4)]
        return mixed(samples, np.sum(voices, axis=0, dtype=np.float32), snr_db)

    return edit


def clipped_to(seconds: float) -> Edit:
    """A clip from anywhere, the very ends left out."""
    return lambda samples, dice: cut(samples, dice.uniform(0, max(0.0, len(samples) / SAMPLE_RATE - seconds)), seconds)


def telephoned(samples: Samples, dice: Random) -> Samples:
    """300 to 3400 Hz, in the 255 steps of the mu-law."""
    narrow = np.clip(filtered(samples, 300, 3400), -1, 1)
    coded = np.round(np.sign(narrow) * np.log1p(255 * np.abs(narrow)) / np.log(256) * 127) / 127
    return np.asarray(np.sign(coded) * np.expm1(np.abs(coded) * np.log(256)) / 255, np.float32)


def set_among_others(samples: Samples, dice: Random) -> Samples:
    """Nine seconds of it between two other sounds."""
    before, after = speech(dice.randrange(1 << 20, 1 << 30), 6.0), music(dice.randrange(1 << 20, 1 << 30), 6.0)
    return np.concatenate([before, clipped_to(9.0)(samples, dice), after])


def under_a_voice(snr_db: float) -> Edit:
    return lambda samples, dice: mixed(samples, speech(dice.randrange(1 << 20, 1 << 30), len(samples) / SAMPLE_RATE), snr_db)


def with_chimes(samples: Samples, dice: Random) -> Samples:
    """The same two seconds before every sound."""
    return np.concatenate([jingle(1, 2.0), samples])


PLAIN: Final[dict[str, Edit]] = {
    "flac": stored("flac"),
    "mp3 128k": stored("mp3", bit_rate=128_000, rate=44_100),
    "mp3 48k": stored("mp3", bit_rate=48_000),
    "aac 64k": stored("m4a", bit_rate=64_000, rate=44_100),
    "opus 32k": stored("opus", bit_rate=32_000),
    "at 22 kHz": stored("wav", rate=22_050),
    "softer": lambda samples, dice: samples * np.float32(0.3),
}
FAMILIES: Final[dict[str, dict[str, Edit]]] = {
    "re-encoded": PLAIN,
    "narrowed": {
        "telephone": telephoned,
        "low-pass": lambda samples, dice: filtered(samples, 20, 2000),
        "mp3 16k": stored("mp3", bit_rate=16_000),
    },
    "overlaid": {
        "noise 10 dB": noisy(10),
        "voices 10 dB": among_voices(10),
        "a voice 6 dB": under_a_voice(6),
        "echo": lambda samples, dice: with_echo(samples),
    },
    "retimed": {
        "2 semitones up": lambda samples, dice: at_pitch(samples, 2),
        "3 semitones down": lambda samples, dice: at_pitch(samples, -3),
        "tempo 1.08": lambda samples, dice: at_tempo(samples, 1.08),
        "tempo 0.9": lambda samples, dice: at_tempo(samples, 0.9),
        "speed 1.06": lambda samples, dice: at_speed(samples, 1.06),
        "speed 0.93": lambda samples, dice: at_speed(samples, 0.93),
    },
    "cut": {"clip of 8 s": clipped_to(8), "clip of 5 s": clipped_to(5), "among others": set_among_others},
}
WORN: Final[dict[str, Edit]] = {
    "chimes": with_chimes,
    "telephone": telephoned,
    "one noise": lambda samples, dice: mixed(samples, noise(3, len(samples) / SAMPLE_RATE), 10),
    "one beat": lambda samples, dice: mixed(samples, drums(3, len(samples) / SAMPLE_RATE), 12),
}
"""Put on strangers alike: the strangers that are hardest to tell."""
