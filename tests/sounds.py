"""Sounds for tests, drawn from a seed: speech-like, music-like, drums, noise, a jingle; edits of them; and files of every type read."""

from __future__ import annotations

from io import BytesIO
from typing import Any, Final

import av
import numpy as np
import numpy.typing as npt
from scipy.signal import butter, lfilter, resample_poly, sosfilt

Samples = npt.NDArray[np.float32]

RATE: Final = 16_000
_MINOR: Final = (0, 2, 3, 5, 7, 8, 10)


def music(seed: int, seconds: float = 20.0, *, beats_per_minute: float = 0.0, take: int = 0, rate: int = RATE) -> Samples:
    """Chords, a tune and a bass on decaying harmonics; `take` plays the same tune anew, a little early or late, louder or softer."""
    random, hand = np.random.default_rng(seed), np.random.default_rng([seed, take])
    beat = 60.0 / (beats_per_minute or random.uniform(80, 150))
    root, timbres = random.uniform(50, 62), random.uniform(0.4, 0.9, 3)
    out = np.zeros(int((seconds + 4) * rate), np.float32)
    time = 0.0
    while time < seconds:
        chord = root + _MINOR[random.integers(0, 7)]
        played = [(0.0, chord - 12, 4.0, 0), *((0.0, chord + step, 3.5, 1) for step in (0, 3 + random.integers(0, 2), 7))]
        at = 0.0
        while at < 4:
            length = float(random.choice((0.5, 0.5, 1.0, 1.5)))
            played.append((at, chord + 12 + _MINOR[random.integers(0, 7)], length, 2))
            at += length
        for start, pitch, length, voice in played:
            late, loud = (hand.normal(0, 0.03), hand.uniform(0.6, 1.2)) if take else (0.0, 1.0)
            _add(out, _note(pitch, length * beat, timbres[voice], rate) * np.float32(loud), (time + start * beat + late) * rate)
        time += 4 * beat
    return _levelled(out[: int(seconds * rate)])


def speech(seed: int, seconds: float = 20.0, *, text: int | None = None, rate: int = RATE) -> Samples:
    """Syllables of a gliding voice through two moving formants, with hisses and pauses; `text` fixes what is said, `seed` the voice."""
    words, voice = np.random.default_rng(seed if text is None else [text, 7]), np.random.default_rng([seed, 11])
    pitch, pace, tract = voice.uniform(95, 220), voice.uniform(0.8, 1.25), voice.uniform(0.9, 1.15)
    out = np.zeros(int((seconds + 2) * rate), np.float32)
    time = 0.1
    while time < seconds:
        for _ in range(int(words.integers(2, 7))):
            length = float(words.uniform(0.1, 0.28)) * pace * float(voice.uniform(0.6, 1.4))
            formants = words.uniform((300, 900, 2300), (800, 2200, 3200)) * tract
            if words.random() < 0.45:
                hiss = _band(
                    voice.standard_normal(int(0.07 * rate)), float(words.uniform(2500, 4500)), float(words.uniform(5000, 7500)), rate
                )
                _add(out, 0.4 * hiss * np.hanning(len(hiss)), time * rate)
                time += 0.05
            _add(
                out,
                _syllable(pitch * float(voice.uniform(0.85, 1.25)), float(voice.uniform(-0.3, 0.3)), formants, length, rate),
                time * rate,
            )
            time += length
        time += float(words.uniform(0.12, 0.5) * voice.uniform(0.5, 1.5))
    return _levelled(out[: int(seconds * rate)])


def drums(seed: int, seconds: float = 20.0, *, beats_per_minute: float = 120.0, rate: int = RATE) -> Samples:
    """A loop of sixteen steps on a kit of its own."""
    random = np.random.default_rng(seed)
    t = np.arange(int(0.25 * rate)) / rate
    bend = random.uniform(45, 80) * t + random.uniform(5, 15) * (1 - np.exp(-30 * t))
    kick = np.sin(2 * np.pi * bend) * np.exp(-t * random.uniform(9, 20))
    snare = 0.5 * (random.standard_normal(len(t)) + np.sin(2 * np.pi * random.uniform(160, 260) * t)) * np.exp(-t * random.uniform(14, 30))
    hat = 0.25 * np.diff(random.standard_normal(len(t) + 1)) * np.exp(-t * random.uniform(40, 90))
    patterns = [random.random(16) < share for share in (0.3, 0.2, 0.6)]
    patterns[0][0] = True
    out = np.zeros(int((seconds + 1) * rate), np.float32)
    step = 15.0 / beats_per_minute
    for count in range(int(seconds / step)):
        for hit, pattern in zip((kick, snare, hat), patterns, strict=True):
            if pattern[count % 16]:
                _add(out, hit, count * step * rate)
    return _levelled(out[: int(seconds * rate)])


def noise(seed: int, seconds: float = 20.0, *, slope: float = 0.0, rate: int = RATE) -> Samples:
    """Power falls with frequency ** slope: 0 white, 1 pink, 2 brown."""
    size = int(seconds * rate)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(size))
    spectrum /= np.maximum(np.fft.rfftfreq(size, 1 / rate), 20) ** (slope / 2)
    return _levelled(np.fft.irfft(spectrum, size))


def tone(hertz: float, seconds: float = 20.0, *, harmonics: int = 1, rate: int = RATE) -> Samples:
    """A steady tone; with harmonics a hum."""
    t = np.arange(int(seconds * rate)) / rate
    return _levelled(sum((np.sin(2 * np.pi * hertz * k * t) / k for k in range(1, harmonics + 1)), np.zeros(len(t))))


def silence(seconds: float = 20.0, *, rate: int = RATE) -> Samples:
    return np.zeros(int(seconds * rate), np.float32)


def jingle(seed: int, seconds: float = 1.0, *, rate: int = RATE) -> Samples:
    """Bright chimes, the same every time."""
    random = np.random.default_rng([seed, 13])
    out = np.zeros(int(seconds * rate), np.float32)
    for at in np.arange(0, seconds, 0.15):
        t = np.arange(len(out) - int(at * rate)) / rate
        hertz = 1047 * 2 ** (float(random.choice((0, 4, 7, 12, 16))) / 12)
        out[int(at * rate) :] += (np.exp(-7 * t) * (np.sin(2 * np.pi * hertz * t) + 0.4 * np.sin(2 * np.pi * 2.76 * hertz * t))).astype(
            np.float32
        )
    return _levelled(out)


def cut(samples: Samples, start: float, seconds: float, *, rate: int = RATE) -> Samples:
    return samples[int(start * rate) : int(start * rate) + int(seconds * rate)]


def mixed(samples: Samples, other: Samples, snr_db: float) -> Samples:
    """The other sound under (or, below 0 dB, over) the first, for as long as the first lasts."""
    under = np.resize(other, len(samples))
    gain = _rms(samples) / _rms(under) * 10 ** (-snr_db / 20)
    return _kept_from_clipping(samples + np.float32(gain) * under)


def at_speed(samples: Samples, factor: float) -> Samples:
    """Played faster (above 1) or slower, as a tape would: pitch moves along."""
    return np.asarray(resample_poly(samples, 1000, round(1000 * factor)), np.float32)


def at_tempo(samples: Samples, factor: float) -> Samples:
    """Faster (above 1) or slower at the same pitch: windows laid closer or wider, each moved to where it fits best."""
    window, hop, search = 1024, 512, 256
    shape = np.hanning(window).astype(np.float32)
    out = np.zeros(int(len(samples) / factor) + 2 * window, np.float32)
    padded = np.concatenate([samples, np.zeros(2 * window, np.float32)])
    source = 0
    for at in range(0, int(len(samples) / factor), hop):
        wanted = padded[source + hop : source + hop + window]
        middle = int(at * factor)
        low = max(0, middle - search)
        room = padded[low : middle + search + window]
        loudness = np.sqrt(np.convolve(room**2, np.ones(window, np.float32), "valid") + 1e-9)
        source = low + int((np.correlate(room, wanted, "valid") / loudness).argmax()) if at else middle
        out[at : at + window] += padded[source : source + window] * shape
    return out[: int(len(samples) / factor)]


def at_pitch(samples: Samples, semitones: float) -> Samples:
    """Higher or lower at the same tempo."""
    factor = 2 ** (semitones / 12)
    return at_speed(at_tempo(samples, 1 / factor), factor)


def filtered(samples: Samples, low: float, high: float, *, rate: int = RATE) -> Samples:
    """Only what lies between two frequencies."""
    return np.asarray(_band(samples, low, high, rate), np.float32)


def with_echo(samples: Samples, delay: float = 0.33, gain: float = 0.5, *, rate: int = RATE) -> Samples:
    out = samples.copy()
    for count in (1, 2, 3):
        lag = int(count * delay * rate)
        out[lag:] += np.float32(gain**count) * samples[:-lag]
    return _kept_from_clipping(out)


_CODECS: Final = {
    "wav": ("wav", "pcm_s16le"),
    "flac": ("flac", "flac"),
    "mp3": ("mp3", "libmp3lame"),
    "ogg": ("ogg", "vorbis"),
    "opus": ("ogg", "libopus"),
    "m4a": ("ipod", "aac"),
    "aac": ("adts", "aac"),
    "aiff": ("aiff", "pcm_s16be"),
    "wma": ("asf", "wmav2"),
}


def encoded(samples: Samples, kind: str = "wav", *, rate: int = RATE, bit_rate: int = 0) -> bytes:
    """The file that FFmpeg writes: encoded(music(1), "mp3", bit_rate=64_000). Samples are mono, or frames by channels."""
    container_format, codec = _CODECS[kind]
    planes = np.ascontiguousarray(samples.reshape(len(samples), -1).T, np.float32).clip(-1, 1)
    if kind == "ogg" and len(planes) == 1:
        planes = np.repeat(planes, 2, axis=0)  # FFmpeg's own encoder for it knows stereo alone
    layout = "stereo" if len(planes) == 2 else "mono"
    file = BytesIO()
    with av.open(file, "w", format=container_format) as container:
        stream: Any = container.add_stream(codec, rate=48_000 if kind == "opus" else rate, layout=layout)
        stream.codec_context.options = {"strict": "experimental"}
        if bit_rate or kind == "wma":
            stream.bit_rate = bit_rate or 32_000
        resampler = av.AudioResampler(
            format=stream.format, layout=layout, rate=stream.rate, frame_size=stream.codec_context.frame_size or 4096
        )
        whole = av.AudioFrame.from_ndarray(planes, format="fltp", layout=layout)
        whole.sample_rate = rate
        for frame in [*resampler.resample(whole), *resampler.resample(None)]:
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def _note(pitch: float, seconds: float, timbre: float, rate: int) -> Samples:
    t = np.arange(int((seconds + 0.3) * rate)) / rate
    hertz = 440 * 2 ** ((pitch - 69) / 12)
    wave = sum((timbre**k * np.sin(2 * np.pi * hertz * k * t) * np.exp(-t * k * 0.7) for k in range(1, 9)), np.zeros(len(t)))
    return np.asarray(wave * np.minimum(1, t / 0.008) * np.exp(-1.5 * t / seconds), np.float32)


def _syllable(hertz: float, glide: float, formants: npt.NDArray[np.float64], seconds: float, rate: int) -> npt.NDArray[np.float64]:
    t = np.arange(int(seconds * rate)) / rate
    phase = np.cumsum(hertz * 2 ** (glide * t / seconds)) / rate
    pulses = np.diff(np.floor(phase), prepend=0.0)
    out = np.zeros(len(t))
    for formant, width, gain in zip(formants, (80, 110, 160), (1.0, 0.7, 0.4), strict=True):
        radius = np.exp(-np.pi * width / rate)
        out += gain * lfilter([1 - radius], [1, -2 * radius * np.cos(2 * np.pi * formant / rate), radius**2], pulses)
    return np.asarray(out * np.hanning(len(out)) ** 0.5)


def _band(samples: npt.NDArray[Any], low: float, high: float, rate: int) -> npt.NDArray[Any]:
    filtered: npt.NDArray[Any] = sosfilt(butter(4, (low, min(high, 0.47 * rate)), "bandpass", fs=rate, output="sos"), samples)
    return filtered


def _add(out: Samples, sound: npt.NDArray[Any], at: float) -> None:
    start = max(0, round(at))
    length = max(0, min(len(sound), len(out) - start))
    out[start : start + length] += sound[:length].astype(np.float32)


def _rms(samples: Samples) -> float:
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)) + 1e-9)


def _levelled(samples: npt.NDArray[Any]) -> Samples:
    return _kept_from_clipping(np.asarray(samples / (_rms(np.asarray(samples, np.float32)) / 0.12), np.float32))


def _kept_from_clipping(samples: npt.NDArray[Any]) -> Samples:
    peak = float(np.abs(samples).max(initial=0.0))
    return np.asarray(samples * min(1.0, 0.98 / max(peak, 1e-9)), np.float32)
