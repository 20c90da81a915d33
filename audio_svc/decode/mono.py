"""From two channels to one that loses nobody: their mean, and where they cancel in it, half their difference.

Whoever inverts one channel of a stereo file leaves it as it was for most ears and takes everything out of its mean that is heard in
the middle, such as a voice. Turned back, the two channels give the very mean that the original had. It is decided second by second, on
the five around it, so that a clip decides like the whole that it was cut from.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from audio_svc.decode.track import SAMPLE_RATE, Channels
from mesh.errors import UnsupportedMedia

Samples = npt.NDArray[np.float32]

NEIGHBOURS: Final = 2
"""Seconds on either side that a decision rests on."""

MIN_CANCELLED: Final = 2.0
"""Half the difference must hold so many times the power of the mean. In five seconds of stereo music it holds up to 1.6 times
(32 recordings), most of it less than half; where one channel was inverted, it is the other way round."""


def as_mono(channels: Channels) -> Samples:
    """Clipped to -1 … 1 as a player would."""
    if not np.isfinite([channels.min(), channels.max()]).all():
        raise UnsupportedMedia("is damaged: some of its samples are no numbers")
    np.clip(channels, -1.0, 1.0, out=channels)
    if len(channels) == 1:
        mono: Samples = channels[0]
        return mono
    left: Samples = channels[0]
    right: Samples = channels[1]
    signs = _signs(left, right)
    if signs.all():
        mean: Samples = (left + right) * np.float32(0.5)
        return mean
    # From one second's middle to the next one's, the right channel fades from one sign to the other.
    middles = (np.arange(len(signs)) + 0.5) * SAMPLE_RATE
    weights = np.interp(np.arange(len(left)), middles, np.where(signs, 0.5, -0.5)).astype(np.float32)
    mixed: Samples = left * np.float32(0.5) + right * weights
    return mixed


def _signs(left: Samples, right: Samples) -> npt.NDArray[np.bool_]:
    """For each second, whether the channels are to be added; a constant offset of either has no say."""
    seconds = -(-len(left) // SAMPLE_RATE)
    power, product = np.zeros(seconds), np.zeros(seconds)
    for second in range(seconds):
        span = slice(second * SAMPLE_RATE, (second + 1) * SAMPLE_RATE)
        a, b = left[span] - left[span].mean(), right[span] - right[span].mean()
        power[second] = np.vdot(a, a) + np.vdot(b, b)
        product[second] = np.vdot(a, b)
    around = np.ones(2 * NEIGHBOURS + 1)
    power, product = (np.convolve(values, around)[NEIGHBOURS : NEIGHBOURS + seconds] for values in (power, product))
    # The mean's power is (power + 2 product) / 4, that of half the difference (power - 2 product) / 4.
    return power - 2 * product <= MIN_CANCELLED * (power + 2 * product)
