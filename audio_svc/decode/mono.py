"""From two channels to one that loses nobody, and that stays much the same when one of them is inverted.

Whoever inverts one channel of a stereo file leaves it as it was for most ears, but swaps the channels' mean with half their difference.
So the difference is taken where the mean is much the weaker; where neither is, the right channel is added with its phase turned by
a part of that, and something of both is left. It is decided second by second, on the five around it, so that a clip decides like the
whole that it was cut from.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import scipy.fft

from audio_svc.decode.track import SAMPLE_RATE, Channels
from mesh.errors import UnsupportedMedia

Samples = npt.NDArray[np.float32]

NEIGHBOURS: Final = 2
"""Seconds on either side that a decision rests on."""

FROM_CANCELLED: Final = 0.7
TO_CANCELLED: Final = 2.8
"""Half the difference over the mean, in power: up to the first the mean is taken as it is, from the second on the difference. In five
seconds of stereo music it is mostly less than a half; in one recording of six it is more than the first (33 recordings). Not even around
1, as what others add to a sound or leave of it (a voice, noise, one channel of a telephone) mostly leaves the mean."""


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
    turns = _turns(left, right)
    if not turns.any():
        mean: Samples = (left + right) * np.float32(0.5)
        return mean
    # From one second's middle to the next one's, the right channel fades from one phase to the other.
    middles = (np.arange(len(turns)) + 0.5) * SAMPLE_RATE
    places = np.arange(len(left))
    mixed: Samples = left + right * np.interp(places, middles, np.cos(np.pi * turns)).astype(np.float32)
    turned = np.sin(np.pi * turns)
    if (turned > 1e-6).any():
        mixed += _quarter_turned(right) * np.interp(places, middles, turned).astype(np.float32)
    mixed *= np.float32(0.5)
    return np.clip(mixed, -1.0, 1.0, out=mixed)


def _turns(left: Samples, right: Samples) -> npt.NDArray[np.float64]:
    """For each second, by how many halves of a period to turn the right channel, 0 to 1; a constant offset of either has no say."""
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
    least = 1e-6 * power + 1e-12
    cancelled = np.maximum(power - 2 * product, least) / np.maximum(power + 2 * product, least)
    turns: npt.NDArray[np.float64] = np.clip(np.log(cancelled / FROM_CANCELLED) / np.log(TO_CANCELLED / FROM_CANCELLED), 0.0, 1.0)
    return turns


def _quarter_turned(samples: Samples) -> Samples:
    """Every frequency a quarter of a period later (Hilbert's transform)."""
    length = scipy.fft.next_fast_len(len(samples) + SAMPLE_RATE, real=True)
    spectrum = scipy.fft.rfft(samples, length)
    spectrum *= np.complex64(-1j)
    turned: Samples = scipy.fft.irfft(spectrum, length, overwrite_x=True)[: len(samples)]
    return turned
