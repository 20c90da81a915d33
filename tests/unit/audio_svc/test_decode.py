"""Sounds made here, out of every container, and what comes of those that are odd, cut, broken or built to cost."""

from __future__ import annotations

import mmap
import struct
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from audio_svc.decode import SAMPLE_RATE, decode_audio
from mesh.errors import DurationTooLong, UnsupportedMedia
from mesh.media_type import sniff
from mesh.structure import MAX_OWN_HEADER
from tests.recordings import (
    FILM_FORMATS,
    FORMATS,
    SOUND_FORMATS,
    Track,
    Waves,
    film_of,
    recorded,
    silent_flac,
    silent_opus,
    wav,
    with_cover,
)

RATE = 44_100


def noise(seconds: float, *, seed: int = 1, rate: int = RATE) -> Waves:
    """Below 4 kHz, so that no codec leaves much of it out."""
    white = np.random.default_rng(seed).standard_normal(round(seconds * rate))
    return (0.5 * np.convolve(white, np.ones(12) / 12, "same")).astype(np.float32)


@cache
def noise_as(name: str, seconds: float) -> bytes:
    return recorded(noise(seconds), name)


def likeness(one: Waves, two: Waves) -> float:
    """Their correlation where they lie."""
    length = min(len(one), len(two))
    one, two = one[:length].astype(float), two[:length].astype(float)
    return float(one @ two / np.sqrt((one @ one) * (two @ two)))


def lag_seconds(early: Waves, late: Waves) -> float:
    """By how much the second is the first delayed."""
    size = 1 << (len(early) + len(late)).bit_length()
    product = np.fft.irfft(np.fft.rfft(late, size) * np.conj(np.fft.rfft(early, size)), size)
    at = int(np.argmax(product))
    return (at if at < len(late) else at - size) / SAMPLE_RATE


@pytest.fixture(scope="module")
def reference() -> Waves:
    """Three seconds, at the rate that everything comes out in."""
    return decode_audio(recorded(noise(3.0))).samples


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_sound_at_the_same_time(reference: Waves, name: str, rows: int) -> None:
    file = recorded(np.stack([noise(3.0)] * rows), name)
    assert sniff(file) == FORMATS[name].content_type
    sound = decode_audio(file)
    assert sound.samples.dtype == np.float32
    assert sound.duration_seconds == pytest.approx(3.0, abs=0.05)
    lag = lag_seconds(reference, sound.samples)
    assert abs(lag) < 0.05
    shift = round(lag * SAMPLE_RATE)
    assert likeness(reference[max(0, -shift) :], sound.samples[max(0, shift) :]) > 0.9


@pytest.mark.parametrize("name", ["mp3", "m4a", "vorbis", "opus", "flac", "mp4", "webm"])
def test_what_an_encoder_put_before_the_sound_is_left_out(reference: Waves, name: str) -> None:
    assert abs(lag_seconds(reference, decode_audio(recorded(noise(3.0), name)).samples)) < 0.001


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 22_050, 32_000, 48_000, 96_000, 192_000])
def test_every_rate_comes_out_at_one(rate: int) -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(2 * rate) / rate).astype(np.float32) / 2
    sound = decode_audio(recorded(tone, "wav of floats", rate=rate))
    expected = np.sin(2 * np.pi * 440 * np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE)
    assert len(sound.samples) == pytest.approx(2 * SAMPLE_RATE, abs=1)
    assert likeness(expected, sound.samples) > 0.999
    assert np.abs(sound.samples[100:-100]).max() == pytest.approx(0.5, abs=0.01)


def test_same_bytes_give_the_same_samples() -> None:
    for name in FORMATS:
        file = recorded(np.stack([noise(1.0), noise(1.0, seed=2)]), name)
        assert np.array_equal(decode_audio(file).samples, decode_audio(file).samples)


def test_a_mapped_file_gives_the_same_samples_and_is_left_open(tmp_path: Path) -> None:
    file = recorded(noise(1.0), "mp3")
    (tmp_path / "a").write_bytes(file)
    with (tmp_path / "a").open("rb") as opened, mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        for _ in range(2):
            assert np.array_equal(decode_audio(mapped).samples, decode_audio(file).samples)
        assert mapped[:3] == file[:3]


def test_two_channels_are_heard_as_one() -> None:
    left, right = (noise(2.0) + 0.5 * noise(2.0, seed=seed) for seed in (2, 3))
    both = decode_audio(recorded(np.stack([left, right]))).samples
    assert likeness(decode_audio(recorded((left + right) / 2)).samples, both) > 0.999


@pytest.mark.parametrize("side", [0, 1])
def test_voice_in_one_channel_is_kept(side: int) -> None:
    """Its phase may change, which nobody hears."""
    voice = noise(2.0)
    channels = np.zeros((2, len(voice)), np.float32)
    channels[side] = voice
    powers = [np.abs(np.fft.rfft(decode_audio(recorded(sound)).samples)) for sound in (voice, channels)]
    assert likeness(*powers) > 0.999


@pytest.mark.parametrize("name", ["wav", "mp3", "m4a", "opus"])
def test_inverted_channel_is_turned_back(name: str) -> None:
    voice, room = noise(4.0), 0.2 * noise(4.0, seed=2)
    original = decode_audio(recorded(np.stack([voice + room, voice - room]))).samples
    inverted = decode_audio(recorded(np.stack([voice + room, room - voice]), name)).samples
    assert abs(likeness(original, inverted)) > 0.95


def test_inverted_stretch_is_turned_back_where_it_lies() -> None:
    voice = noise(30.0)
    inverted = voice.copy()
    inverted[10 * RATE : 20 * RATE] *= -1
    original, mixed = (decode_audio(recorded(np.stack(pair))).samples for pair in ([voice, voice], [voice, inverted]))
    for start in (0, 13, 23):
        stretch = slice(start * SAMPLE_RATE, (start + 4) * SAMPLE_RATE)
        assert likeness(original[stretch], mixed[stretch]) > 0.999
    assert np.abs(np.diff(mixed)).max() <= np.abs(np.diff(original)).max()


def test_constant_offset_does_not_hide_what_is_inverted() -> None:
    voice = 0.1 * noise(3.0)
    sound = decode_audio(recorded(np.stack([voice, -voice]) + np.float32(0.5))).samples
    assert likeness(decode_audio(recorded(voice)).samples, sound) > 0.999


def test_clip_is_mixed_like_the_whole_that_it_was_cut_from() -> None:
    channels = np.stack([noise(20.0), noise(20.0, seed=2) - 0.4 * noise(20.0)])
    whole, clip = decode_audio(recorded(channels)).samples, decode_audio(recorded(channels[:, 7 * RATE : 14 * RATE])).samples
    assert likeness(whole[7 * SAMPLE_RATE :], clip) > 0.999


def test_six_channels_are_heard_as_one_and_no_louder_than_they_may_be() -> None:
    channels = np.stack([0.9 * np.sign(noise(2.0, seed=seed)) for seed in range(6)])
    samples = decode_audio(film_of([Track(channels)], "mkv")).samples
    assert 0.05 < np.abs(samples).max() <= 1.0
    assert np.mean(np.abs(samples) > 0.99) < 0.05  # 0.2 if they were only added up


@pytest.mark.parametrize("channels", range(3, 9))
def test_channels_without_a_place_are_heard_too(channels: int) -> None:
    frames = (9000 * np.repeat(noise(1.0)[:, None], channels, axis=1)).astype("<i2")
    sound = decode_audio(wav(frames.tobytes(), channels=channels))
    assert likeness(decode_audio(recorded(noise(1.0))).samples, sound.samples) > 0.99


def test_samples_beyond_full_scale_are_clipped_as_a_player_does() -> None:
    samples = decode_audio(recorded(20 * noise(1.0), "wav of floats")).samples
    assert (samples.min(), samples.max()) == (-1.0, 1.0)


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf, 1e38, -1e38, 3.4e38])
@pytest.mark.parametrize("rows", [1, 2])
def test_float_that_is_no_sample_is_refused_or_clipped_a04(poison: float, rows: int) -> None:
    waves = np.stack([noise(2.0)] * rows)
    waves[0, RATE] = poison
    try:
        samples = decode_audio(recorded(waves, "wav of floats")).samples
    except UnsupportedMedia as refusal:
        assert "no numbers" in refusal.message
        return
    assert np.isfinite(poison)
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() <= 1.0
    assert likeness(decode_audio(recorded(noise(2.0))).samples[: SAMPLE_RATE - 100], samples[: SAMPLE_RATE - 100]) > 0.99


def test_nan_throughout_is_refused_a04() -> None:
    with pytest.raises(UnsupportedMedia, match="no numbers"):
        decode_audio(recorded(np.full(RATE, np.nan), "wav of floats"))


@pytest.mark.parametrize(
    ("channels", "rate"), [(64, 384_000), (1, 384_000), (9, 44_100), (1024, 44_100), (1, 1), (1, 3999), (1, 2**31 - 1), (1, 0), (0, 44_100)]
)
def test_extreme_form_is_refused_a03(channels: int, rate: int) -> None:
    with pytest.raises(UnsupportedMedia):
        decode_audio(wav(bytes(200_000), channels=channels, rate=rate))


def test_ten_hours_of_silence_are_too_long_a01() -> None:
    file = silent_flac(36_000.0)
    assert len(file) < 100_000
    with pytest.raises(DurationTooLong, match="300 s"):
        decode_audio(file)


def test_an_hour_of_opus_is_too_long_a01() -> None:
    with pytest.raises(DurationTooLong, match="300 s"):
        decode_audio(silent_opus(3600.0))


def test_sound_may_run_for_300_seconds_and_no_longer() -> None:
    assert decode_audio(wav(bytes(300 * 8000), rate=8000, bits=8)).duration_seconds == pytest.approx(300.0)
    with pytest.raises(DurationTooLong, match=r"300\.6 s.* 300 s"):
        decode_audio(wav(bytes(round(300.6 * 8000)), rate=8000, bits=8))


def test_what_an_encoder_adds_to_300_seconds_does_not_count() -> None:
    silent_frame = bytes.fromhex("fffb9000") + bytes(413)  # 128 kbit/s: 1,152 samples at 44.1 kHz
    assert decode_audio(silent_frame * 11_486).duration_seconds == pytest.approx(300.042, abs=0.001)
    with pytest.raises(DurationTooLong):
        decode_audio(silent_frame * 11_489)


def test_header_that_overstates_a_flac_is_a_cut_file_a02() -> None:
    file = bytearray(recorded(noise(1.0), "flac"))
    # STREAMINFO: the last 36 of the 8 bytes from here are the number of samples (RFC 9639, section 8.2).
    packed = struct.unpack_from(">Q", file, 18)[0]
    struct.pack_into(">Q", file, 18, packed | (2**36 - 1))
    with pytest.raises(UnsupportedMedia, match="truncated"):
        decode_audio(bytes(file))


def test_header_that_does_not_know_is_no_cut_file() -> None:
    file = bytearray(recorded(noise(1.0), "flac"))
    packed = struct.unpack_from(">Q", file, 18)[0]
    struct.pack_into(">Q", file, 18, packed & ~(2**36 - 1))
    assert decode_audio(bytes(file)).duration_seconds == pytest.approx(1.0)


@pytest.mark.parametrize("data_bytes", [0, 0xFFFF_FFFF, 0xFFFF_FF00, 0x7FFF_FFFF, 0x7FFF_F000])
def test_size_that_a_stream_declares_is_not_believed_a06(data_bytes: int) -> None:
    content = bytes(200)
    assert len(decode_audio(wav(content, rate=SAMPLE_RATE, data_bytes=data_bytes)).samples) == 100


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"aac", "ts"}))
def test_cut_file_is_refused_where_it_says_how_long_it_is(name: str, share: float) -> None:
    whole = noise_as(name, 2.0)
    with pytest.raises(UnsupportedMedia):
        decode_audio(whole[: round(len(whole) * share)])


@pytest.mark.parametrize("name", ["aac", "ts"])
def test_stream_that_ends_anywhere_is_as_long_as_it_is(name: str) -> None:
    whole = noise_as(name, 2.0)
    assert decode_audio(whole[: len(whole) // 2]).duration_seconds == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize("name", FORMATS)
def test_what_lies_behind_the_end_changes_nothing(name: str) -> None:
    whole = noise_as(name, 1.0)
    assert decode_audio(whole + bytes(MAX_OWN_HEADER)).duration_seconds == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("cut", [0, 1, 8, 50, 100, 300, 1000])
@pytest.mark.parametrize("name", FORMATS)
def test_stump_is_read_or_refused_but_never_breaks(name: str, cut: int) -> None:
    stump = noise_as(name, 1.0)[:cut]
    try:
        assert decode_audio(stump).duration_seconds < 0.2
    except UnsupportedMedia as refusal:
        assert refusal.message


@pytest.mark.parametrize("name", FILM_FORMATS)
def test_film_without_sound_says_so(name: str) -> None:
    with pytest.raises(UnsupportedMedia, match="holds no sound"):
        decode_audio(film_of([], name))


def test_codec_that_is_not_read_says_so() -> None:
    with pytest.raises(UnsupportedMedia, match="no codec that is read"):
        decode_audio(film_of([Track(noise(1.0), encoder="tta")], "mkv"))


@pytest.mark.parametrize("file", [b"", b"x", b"\0" * 5000, b"#EXTM3U\n", b"\x89PNG\r\n\x1a\n" + bytes(100)])
def test_what_is_no_sound_is_refused(file: bytes) -> None:
    with pytest.raises(UnsupportedMedia, match="no sound that is read here"):
        decode_audio(file)


def test_picture_of_the_cover_is_no_sound(reference: Waves) -> None:
    assert likeness(reference, decode_audio(with_cover(noise(3.0))).samples) > 0.95


def test_sound_that_ends_before_its_first_sample_is_refused() -> None:
    with pytest.raises(UnsupportedMedia):
        decode_audio(wav(b""))


@pytest.mark.parametrize("name", ["mkv", "mp4"])
@pytest.mark.parametrize("default", [0, 1])
def test_default_track_is_the_one_that_is_heard(name: str, default: int) -> None:
    tracks = [noise(2.0, seed=5), noise(2.0, seed=6)]
    film = film_of([Track(waves, encoder="aac", is_default=number == default) for number, waves in enumerate(tracks)], name)
    heard = decode_audio(film).samples
    likenesses = [abs(likeness(decode_audio(recorded(waves)).samples, heard)) for waves in tracks]
    assert likenesses[default] > 0.9
    assert likenesses[1 - default] < 0.1


def test_track_that_cannot_be_decoded_is_passed_over() -> None:
    film = film_of([Track(noise(2.0, seed=5), encoder="tta", is_default=True), Track(noise(2.0, seed=6), encoder="aac")], "mkv")
    assert likeness(decode_audio(recorded(noise(2.0, seed=6))).samples, decode_audio(film).samples) > 0.9


@pytest.mark.parametrize("name", ["mp4", "mkv", "ts", "flv"])
def test_sound_that_starts_late_in_a_film_is_heard_when_it_starts(name: str) -> None:
    film = film_of([Track(noise(3.0), start_seconds=2.0)], name, seconds=5.0)
    sound = decode_audio(film)
    assert lag_seconds(decode_audio(recorded(noise(3.0))).samples, sound.samples) == pytest.approx(2.0, abs=0.05)
    assert sound.duration_seconds == pytest.approx(5.0, abs=0.1)


def test_gap_in_a_film_is_silence_and_counts(reference: Waves) -> None:
    def film(gap_seconds: float) -> bytes:
        return film_of([Track(noise(3.0), pause_after=1.0, pause_seconds=gap_seconds)], "mkv")

    sound = decode_audio(film(4.0))
    assert sound.duration_seconds == pytest.approx(7.0, abs=0.1)
    assert lag_seconds(reference[2 * SAMPLE_RATE :], sound.samples) == pytest.approx(6.0, abs=0.05)
    with pytest.raises(DurationTooLong):
        decode_audio(film(9000.0))


def change_of_form(first: tuple[int, int], then: tuple[int, int], name: str) -> bytes:
    return b"".join(recorded(np.stack([noise(2.0, rate=rate)] * rows), name, rate=rate) for rows, rate in (first, then))


@pytest.mark.parametrize("name", ["mp3", "aac"])
@pytest.mark.parametrize(("first", "then"), list(pairwise([(1, 44_100), (2, 44_100), (1, 22_050), (2, 48_000), (1, 44_100)])))
def test_stream_that_changes_its_form_is_heard_through(name: str, first: tuple[int, int], then: tuple[int, int]) -> None:
    sound = decode_audio(change_of_form(first, then, name))
    assert sound.duration_seconds == pytest.approx(4.0, abs=0.3)
    assert np.abs(sound.samples).max() <= 1.0


def test_stream_that_changes_its_form_all_the_time_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    file = change_of_form((1, 44_100), (2, 22_050), "aac")
    monkeypatch.setattr("audio_svc.decode.track.MAX_PARTS", 1)
    with pytest.raises(UnsupportedMedia, match="changes its form"):
        decode_audio(file)


def test_too_many_packets_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audio_svc.decode.track.MAX_PACKETS", 20)
    with pytest.raises(UnsupportedMedia, match="20"):
        decode_audio(recorded(noise(1.0), "mp3"))


@pytest.mark.parametrize("name", ["vorbis", "opus"])
def test_ogg_without_some_of_its_pages_is_refused(name: str) -> None:
    pages = noise_as(name, 20.0).split(b"OggS")
    with pytest.raises(UnsupportedMedia, match="missing"):
        decode_audio(b"OggS".join([*pages[:6], *pages[9:]]))


def damaged(file: bytes, share: float) -> bytes:
    """So many of its stretches of 200 bytes with noise in them; its headers are whole."""
    dice = np.random.default_rng(3)
    mutant = bytearray(file)
    for at in range(8000, len(file) - 1000, 200):
        if dice.random() < share:
            mutant[at : at + 40] = dice.bytes(40)
    return bytes(mutant)


@pytest.mark.parametrize("name", ["mp3", "aac", "m4a", "ts"])
def test_spot_that_cannot_be_decoded_is_skipped_as_players_do(name: str) -> None:
    whole = noise_as(name, 20.0)
    assert decode_audio(damaged(whole, 0.001)).duration_seconds == pytest.approx(20.0, abs=1.5)


@pytest.mark.parametrize("name", ["mp3", "aac", "m4a", "wma", "flac", "vorbis", "opus"])
def test_file_that_is_damaged_throughout_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedMedia):
        decode_audio(damaged(noise_as(name, 20.0), 0.5))


@pytest.mark.parametrize("name", SOUND_FORMATS)
def test_silence_is_a_sound_without_any(name: str) -> None:
    sound = decode_audio(recorded(np.zeros(RATE), name))
    assert np.abs(sound.samples).max() < 1e-3


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile local.wav\n",
        "#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\n",
        "[playlist]\n",
    ],
)
@pytest.mark.parametrize("front", [b"", b"ID3\x04\0\0\0\0\0\0", b"fLaC", b"OggS"])
def test_text_that_refers_elsewhere_is_no_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, front: bytes) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "local.wav").write_bytes(recorded(noise(1.0)))
    with pytest.raises(UnsupportedMedia):
        decode_audio(front + text.encode())
