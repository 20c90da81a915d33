"""How long media run, found out from files made here; hostile ones among them."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from fetcher_svc import probe
from fetcher_svc.probe import probe_duration
from mesh.container import DEMUXERS
from mesh.errors import DurationTooLong, UnsupportedMedia
from mesh.media import MediaType
from mesh.media_file import MediaFile
from mesh.media_type import FILMS, SOUNDS, sniff
from tests.recordings import ended_early, recorded, wav

VIDEO, AUDIO = MediaType.VIDEO, MediaType.AUDIO

SOUND_FORMATS = [
    # ending, muxer, encoder, content type
    ("mp3", "mp3", "libmp3lame", "audio/mpeg"),
    ("aac", "adts", "aac", "audio/aac"),
    ("m4a", "ipod", "aac", "audio/mp4"),
    ("wav", "wav", "pcm_s16le", "audio/wav"),
    ("flac", "flac", "flac", "audio/flac"),
    ("opus", "ogg", "libopus", "audio/ogg"),
    ("aiff", "aiff", "pcm_s16be", "audio/aiff"),
    ("wma", "asf", "wmav2", "audio/x-ms-wma"),
]
FILM_FORMATS = [
    ("mp4", "mp4", "libx264", "video/mp4"),
    ("mov", "mov", "libx264", "video/quicktime"),
    ("mkv", "matroska", "libx264", "video/x-matroska"),
    ("webm", "webm", "libvpx", "video/webm"),
    ("avi", "avi", "mpeg4", "video/x-msvideo"),
    ("ts", "mpegts", "libx264", "video/mp2t"),
    ("flv", "flv", "libx264", "video/x-flv"),
]


def make_sound(path: Path, seconds: float, muxer: str, encoder: str) -> Path:
    """Noise, so that no encoder leaves anything out."""
    with av.open(str(path), "w", format=muxer) as container:
        stream = container.add_stream(encoder, rate=48000)
        assert isinstance(stream, av.AudioStream)
        stream.layout, stream.bit_rate = "stereo", 128_000
        noise = np.random.default_rng(1).integers(-9000, 9000, (1, int(seconds * 48000) * 2)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(noise, format="s16", layout="stereo")
        frame.sample_rate = 48000
        context = stream.codec_context
        for part in av.AudioResampler(context.format, context.layout, 48000, frame_size=context.frame_size or 4096).resample(frame):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return path


def make_film(path: Path, frame_times: list[float], muxer: str = "mp4", encoder: str = "mpeg4") -> Path:
    """Grey pictures at these moments, in units of a tenth of a second."""
    with av.open(str(path), "w", format=muxer) as container:
        stream = container.add_stream(encoder, rate=10)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = Fraction(1, 10)
        for moment in frame_times:
            frame = av.VideoFrame(64, 48, "yuv420p")
            frame.pts, frame.time_base = round(moment * 10), Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def tenths(seconds: float) -> list[float]:
    return [number / 10 for number in range(round(seconds * 10))]


def a_wav(path: Path, seconds: float) -> Path:
    """Eight bits at 44.1 kHz."""
    data_bytes = round(seconds * 44_100)
    head = b"RIFF" + struct.pack("<I", 36 + data_bytes) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 44_100, 44_100, 1, 8)
    path.write_bytes(head + b"data" + struct.pack("<I", data_bytes) + bytes(data_bytes))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("probe")


def test_every_type_that_a_medium_takes_has_its_demuxer() -> None:
    assert set(DEMUXERS) == set(SOUNDS | FILMS)


@pytest.mark.parametrize(("ending", "muxer", "encoder", "content_type"), SOUND_FORMATS)
def test_sound_of_every_format_is_measured(folder: Path, ending: str, muxer: str, encoder: str, content_type: str) -> None:
    path = make_sound(folder / f"a.{ending}", 3.0, muxer, encoder)
    assert sniff(path.read_bytes()) == content_type
    assert probe_duration(str(path), content_type, AUDIO) == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize(("ending", "muxer", "encoder", "content_type"), FILM_FORMATS)
def test_film_of_every_format_is_measured(folder: Path, ending: str, muxer: str, encoder: str, content_type: str) -> None:
    path = make_film(folder / f"a.{ending}", tenths(3.0), muxer, encoder)
    assert sniff(path.read_bytes()) == content_type
    assert probe_duration(str(path), content_type, VIDEO) == pytest.approx(3.0, abs=0.11)


def test_a_sealed_media_file_is_measured(folder: Path) -> None:
    with MediaFile.of(make_film(folder / "b.mp4", tenths(2.0)).read_bytes()) as media:
        assert probe_duration(media.path, "video/mp4", VIDEO) == pytest.approx(2.0)


def test_film_may_run_for_180_seconds_and_no_longer(folder: Path) -> None:
    assert probe_duration(str(make_film(folder / "180.mp4", tenths(180.0))), "video/mp4", VIDEO) == pytest.approx(180.0)
    with pytest.raises(DurationTooLong, match=r"180\.1 s.* 180 s"):
        probe_duration(str(make_film(folder / "181.mp4", tenths(180.1))), "video/mp4", VIDEO)


def test_sound_may_run_for_300_seconds_and_no_longer(folder: Path) -> None:
    assert probe_duration(str(a_wav(folder / "300.wav", 300.0)), "audio/wav", AUDIO) == pytest.approx(300.0)
    with pytest.raises(DurationTooLong, match=r"300\.2 s.* 300 s"):
        probe_duration(str(a_wav(folder / "301.wav", 300.2)), "audio/wav", AUDIO)


def test_what_an_encoder_adds_to_300_seconds_does_not_count(folder: Path) -> None:
    silent_frame = bytes.fromhex("fffb9000") + bytes(413)  # 128 kbit/s: 1,152 samples at 44.1 kHz
    path = folder / "300.mp3"
    path.write_bytes(silent_frame * 11_486)
    assert probe_duration(str(path), "audio/mpeg", AUDIO) == pytest.approx(300.042, abs=0.001)
    path.write_bytes(silent_frame * 11_489)
    with pytest.raises(DurationTooLong):
        probe_duration(str(path), "audio/mpeg", AUDIO)


def test_sound_that_ends_within_an_earlier_packet_is_measured(folder: Path) -> None:
    path = folder / "early.ogg"
    path.write_bytes(ended_early(recorded(np.random.default_rng(1).uniform(-0.3, 0.3, 3 * 44_100).astype(np.float32), "vorbis"), 600))
    assert probe_duration(str(path), "audio/ogg", AUDIO) == pytest.approx(3.0, abs=0.1)


def test_a_header_that_understates_is_not_believed(folder: Path) -> None:
    film = bytearray(make_film(folder / "lie.mp4", tenths(200.0)).read_bytes())
    for box in (b"mvhd", b"mdhd"):
        at = film.index(box) + 4
        timescale = struct.unpack_from(">I", film, at + 12)[0]
        struct.pack_into(">I", film, at + 16, timescale // 15)
    (folder / "lie.mp4").write_bytes(film)
    with pytest.raises(DurationTooLong, match=r"180\.1 s"):
        probe_duration(str(folder / "lie.mp4"), "video/mp4", VIDEO)


def test_a_header_that_overstates_is_not_believed(folder: Path) -> None:
    sound = bytearray(make_sound(folder / "lie.flac", 2.0, "flac", "flac").read_bytes())
    # STREAMINFO: the last 36 of the 8 bytes from here are the number of samples (RFC 9639, section 8.2).
    at = 4 + 4 + 10
    packed = struct.unpack_from(">Q", sound, at)[0]
    struct.pack_into(">Q", sound, at, packed | (2**36 - 1))
    (folder / "lie.flac").write_bytes(sound)
    assert probe_duration(str(folder / "lie.flac"), "audio/flac", AUDIO) == pytest.approx(2.0, abs=0.1)


def test_few_pictures_over_a_long_time_are_long(folder: Path) -> None:
    path = make_film(folder / "gaps.mkv", [number * 9000.0 for number in range(10)], "matroska")
    with pytest.raises(DurationTooLong):
        probe_duration(str(path), "video/x-matroska", VIDEO)


def test_an_hour_of_silence_is_long_however_small(folder: Path) -> None:
    path = folder / "silence.flac"
    with av.open(str(path), "w", format="flac") as container:
        stream = container.add_stream("flac", rate=8000)
        assert isinstance(stream, av.AudioStream)
        stream.layout = "mono"
        for number in range(3_600 * 8000 // 65_535):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 65_535), np.int16), format="s16", layout="mono")
            frame.sample_rate, frame.pts = 8000, number * 65_535
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert path.stat().st_size < 1_000_000
    with pytest.raises(DurationTooLong):
        probe_duration(str(path), "audio/flac", AUDIO)


def test_too_many_packets_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(make_film(folder / "many.mp4", tenths(3.0)))
    monkeypatch.setattr(probe, "MAX_PACKETS", 30)
    assert probe_duration(path, "video/mp4", VIDEO) == pytest.approx(3.0)
    monkeypatch.setattr(probe, "MAX_PACKETS", 28)
    with pytest.raises(UnsupportedMedia, match="28"):
        probe_duration(path, "video/mp4", VIDEO)


def test_a_film_without_sound_is_no_audio_and_sound_no_video(folder: Path) -> None:
    film = make_film(folder / "mute.mp4", tenths(1.0))
    with pytest.raises(UnsupportedMedia, match="audio"):
        probe_duration(str(film), "video/mp4", AUDIO)
    sound = make_sound(folder / "dark.mkv", 1.0, "matroska", "libopus")
    with pytest.raises(UnsupportedMedia, match="video"):
        probe_duration(str(sound), "video/x-matroska", VIDEO)
    assert probe_duration(str(sound), "video/x-matroska", AUDIO) == pytest.approx(1.0, abs=0.1)


def test_sound_of_an_unknown_kind_is_left_to_the_matcher_to_refuse() -> None:
    with MediaFile.of(wav(bytes(32_000), tag=0xF001)) as media:
        assert probe_duration(media.path, "audio/wav", AUDIO) >= 0.0


def test_a_cover_picture_is_no_film(folder: Path) -> None:
    path = folder / "cover.mp4"
    with av.open(str(path), "w", format="mp4") as container:
        sound = container.add_stream("aac", rate=48000)
        cover = container.add_stream("mjpeg", rate=1)
        assert isinstance(sound, av.AudioStream)
        assert isinstance(cover, av.VideoStream)
        sound.layout = "mono"
        cover.width, cover.height, cover.pix_fmt, cover.disposition = 64, 48, "yuvj420p", Disposition.attached_pic
        container.mux(cover.encode(av.VideoFrame(64, 48, "yuvj420p")))
        for number in range(48):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 48000, number * 1024
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    assert probe_duration(str(path), "video/mp4", AUDIO) == pytest.approx(1.0, abs=0.1)
    with pytest.raises(UnsupportedMedia, match="video"):
        probe_duration(str(path), "video/mp4", VIDEO)


@pytest.mark.parametrize("cut", [0, 1, 8, 100, 1000])
@pytest.mark.parametrize(("ending", "muxer", "encoder", "content_type"), [*SOUND_FORMATS, *FILM_FORMATS])
def test_a_stump_is_measured_or_refused_but_never_breaks(
    folder: Path, cut: int, ending: str, muxer: str, encoder: str, content_type: str
) -> None:
    whole = folder / f"whole.{ending}"
    if not whole.exists():
        (make_sound(whole, 1.0, muxer, encoder) if content_type in SOUNDS else make_film(whole, tenths(1.0), muxer, encoder))
    stump = folder / "stump"
    stump.write_bytes(whole.read_bytes()[:cut])
    with contextlib.suppress(UnsupportedMedia):
        assert probe_duration(str(stump), content_type, AUDIO if content_type in SOUNDS else VIDEO) <= 1.2


def test_film_without_its_table_of_contents_is_refused(folder: Path) -> None:
    film = make_film(folder / "whole2.mp4", tenths(3.0)).read_bytes()
    (folder / "half.mp4").write_bytes(film[: film.index(b"moov") - 4])
    with pytest.raises(UnsupportedMedia):
        probe_duration(str(folder / "half.mp4"), "video/mp4", VIDEO)


@pytest.fixture
def trap() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


@pytest.mark.parametrize("content_type", sorted(DEMUXERS))
def test_text_that_refers_elsewhere_opens_nothing(
    folder: Path, trap: socket.socket, monkeypatch: pytest.MonkeyPatch, content_type: str
) -> None:
    monkeypatch.chdir(folder)
    make_film(folder / "local.mp4", tenths(1.0))
    url = f"http://127.0.0.1:{trap.getsockname()[1]}/a.ts"
    texts = [
        "ffconcat version 1.0\nfile local.mp4\n",
        f"ffconcat version 1.0\nfile {url}\n",
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n",
        f"[playlist]\nFile1={url}\nNumberOfEntries=1\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=a\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><BaseURL>{url}</BaseURL></Period></MPD>',
    ]
    for name, text in zip(("a.m3u8", "b.ffconcat", "c.m3u8", "d.pls", "e.sdp", "f.mpd"), texts, strict=True):
        (folder / name).write_text(text)
        for media_type in (AUDIO, VIDEO):
            with pytest.raises(UnsupportedMedia):
                probe_duration(str(folder / name), content_type, media_type)
    with pytest.raises(BlockingIOError):
        trap.accept()
