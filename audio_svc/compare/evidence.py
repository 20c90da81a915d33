"""From the stretches in common to one number, and from that to the calibrated score."""

from __future__ import annotations

from typing import Final

import numpy as np

from audio_svc.compare.parts import Part
from audio_svc.compare.track import Track
from audio_svc.fingerprint.spectrum import BANDS_PER_OCTAVE, FRAME_SECONDS
from matching.calibration import Curve

BANDS_PER_SEMITONE: Final = BANDS_PER_OCTAVE / 12
FULL_PITCH_CHANGE: Final = 2.0
FULL_TEMPO_CHANGE: Final = 0.08
MAX_CHANGE_LOSS: Final = 0.04
"""Higher, lower, faster or slower is no longer nearly identical; two semitones or 8 % say so fully."""

# Evidence to score: of what survives an MP3 at 32 kbit/s or a narrow band, half or more of the peaks are the other's too; of what lies
# under a voice as loud as itself, or under as much noise, a fifth to a third; of strangers, once chance is taken out, a tenth in a
# stretch of seconds that was sought out for it. So a tenth is where doubt begins.
AGREEMENT: Final = Curve(((0.0, 0.0), (0.08, 0.42), (0.13, 0.67), (0.2, 0.8), (0.3, 0.89), (0.5, 0.97), (0.7, 0.99), (1.0, 1.0)))
# Of what agrees roughly, two thirds and more agree to 10 ms in copies, in a reverberating room or heavy noise half or less; a quarter in
# two takes of one tune and in two voices reading one text. The cleaner the copy, the more must be sharp: as a multiple of that.
SHARPNESS: Final = Curve(((0.0, 0.0), (0.5, 0.2), (0.75, 0.6), (0.9, 0.88), (1.1, 0.97), (1.5, 1.0)))
LEAST_SHARP: Final = 0.3
MORE_SHARP: Final = 0.3

# In standard deviations; the best of all lines between two strangers reaches 12.
SURENESS: Final = Curve(((6.0, 0.0), (10.0, 0.4), (13.0, 0.76), (17.0, 0.92), (25.0, 0.98), (60.0, 1.0)))
SEARCH_DEVIATIONS: Final = 1.5
PLAIN_TEMPO: Final = 0.005

# Of the better covered side: a jingle of 4 s in 30 s is no match, a quarter of the whole is.
COVERAGE: Final = Curve(((0.0, 0.0), (0.08, 0.26), (0.16, 0.48), (0.22, 0.64), (0.3, 0.78), (0.5, 0.9), (1.0, 1.0)))
PAUSES_COUNT: Final = 0.5


def part_evidence(part: Part) -> float:
    """How surely this stretch is the same in both, 0 to 1."""
    return _trueness(part) * SURENESS.score(part.deviations - _sought(part))


def total_evidence(parts: list[Part], coverages: tuple[float, float]) -> float:
    """The parts together, by their lengths, times how much of the better covered side they are."""
    weights = np.array([part.one.length for part in parts])
    trueness = float(np.average([_trueness(part) for part in parts], weights=weights))
    sureness = SURENESS.score(float(np.sqrt(sum(part.deviations**2 for part in parts))) - min(_sought(part) for part in parts))
    return min(max(part_evidence(part) for part in parts), trueness * sureness) * COVERAGE.score(max(coverages))


def _sought(part: Part) -> float:
    """The deviations that looking through many pitches and tempos makes up for."""
    return SEARCH_DEVIATIONS * ((round(part.pitch) != 0) + (abs(part.line.tempo - 1) > PLAIN_TEMPO))


def _trueness(part: Part) -> float:
    higher = abs(part.line.pitch) / BANDS_PER_SEMITONE / FULL_PITCH_CHANGE
    faster = abs(float(np.log(part.line.tempo))) / FULL_TEMPO_CHANGE
    unchanged = 1 - MAX_CHANGE_LOSS * min(1.0, higher + faster)
    rough = max(part.rough_share, part.share, 1e-6)
    sharpness = part.sharp_share / rough / (LEAST_SHARP + MORE_SHARP * rough)
    return AGREEMENT.score(part.share) * SHARPNESS.score(sharpness) * unchanged


def coverages(parts: list[Part], one: Track, two: Track) -> tuple[float, float]:
    """The share of either that the parts cover, pauses counted less."""
    shares = []
    for track, spans in ((one, [part.one for part in parts]), (two, [part.two for part in parts])):
        covered = np.zeros(track.frame_count, bool)
        for span in spans:
            covered[round(span.start / FRAME_SECONDS) : round(span.end / FRAME_SECONDS) + 1] = True
        heard = int(track.active.sum())
        shares.append(min(1.0, float((covered & track.active).sum()) / max(heard + PAUSES_COUNT * (track.frame_count - heard), 1.0)))
    return shares[0], shares[1]
