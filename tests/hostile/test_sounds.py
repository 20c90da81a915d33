"""Rows A, and V as far as they are about sound: what a recording, or a film with a sound track, may hold."""

from __future__ import annotations

import asyncio
import json
import math
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from tests.hostile.processes import cost_of, workers
from tests.hostile.test_mutations import answers_to
from tests.hostile.world import World
from tests.recordings import FORMATS, Track, film_of, recorded, silent_flac, silent_opus, wav
from tests.sounds import RATE, music, silence

MEBIBYTE = 2**20
SOON_SECONDS = 2.0
"""For one worker's processor, so that a busy machine is not taken for a slow decoder."""

SOUND = music(1, 10.0)
UNSUPPORTED, TOO_LONG = "unsupported_media", "duration_too_long"


def lying_flac() -> bytes:
    """STREAMINFO says 2^36 - 1 samples (RFC 9639, section 8.2)."""
    file = bytearray(recorded(SOUND, "flac", rate=RATE))
    struct.pack_into(">Q", file, 18, struct.unpack_from(">Q", file, 18)[0] | 2**36 - 1)
    return bytes(file)


def poisoned(value: float, at: slice) -> bytes:
    waves = SOUND.copy()
    waves[at] = value
    return recorded(waves, "wav of floats", rate=RATE)


def half(name: str) -> bytes:
    whole = recorded(SOUND, name, rate=RATE)
    return whole[: len(whole) // 2]


REFERENCES = {
    "V01 HLS": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://10.1.2.3/a.ts\n#EXT-X-ENDLIST\n",
    "V01 M3U": "#EXTM3U\nhttp://10.1.2.3/a.mp3\n",
    "V02 concat": "ffconcat version 1.0\nfile /etc/hostname\n",
    "V03 SDP": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=a\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
    "V03 RTSP": "RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n",
    "V03 DASH": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><BaseURL>http://10.1.2.3/</BaseURL></Period></MPD>',
    "V03 PLS": "[playlist]\nFile1=http://10.1.2.3/a.mp3\nNumberOfEntries=1\n",
    "V03 ASX": '<asx version="3.0"><entry><ref href="http://10.1.2.3/a.wma"/></entry></asx>',
}

REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "A01 FLAC of ten hours": (lambda: silent_flac(36_000.0), TOO_LONG),
    "A01 Opus of an hour": (lambda: silent_opus(3600.0), TOO_LONG),
    "A01 film with a gap of ten hours": (lambda: film_of([Track(SOUND, RATE, pause_after=1.0, pause_seconds=36_000.0)], "mkv"), TOO_LONG),
    "A02 FLAC that says 2^36 samples": (lying_flac, UNSUPPORTED),
    "A03 384 kHz, 64 channels": (lambda: wav(bytes(384_000), channels=64, rate=384_000), UNSUPPORTED),
    "A03 1024 channels": (lambda: wav(bytes(409_600), channels=1024), UNSUPPORTED),
    "A03 65535 channels": (lambda: wav(bytes(409_600), channels=65_535), UNSUPPORTED),
    "A03 0 Hz": (lambda: wav(bytes(9000), rate=0), UNSUPPORTED),
    "A03 1 Hz": (lambda: wav(bytes(200), rate=1), UNSUPPORTED),
    "A03 2^31 - 1 Hz": (lambda: wav(bytes(9000), rate=2**31 - 1), UNSUPPORTED),
    "A04 NaN": (partial(poisoned, math.nan, slice(RATE, RATE + 1)), UNSUPPORTED),
    "A04 NaN throughout": (partial(poisoned, math.nan, slice(None)), UNSUPPORTED),
    "A04 infinity": (partial(poisoned, -math.inf, slice(RATE, RATE + 9)), UNSUPPORTED),
    **{f"{name} as a body": (text.encode, UNSUPPORTED) for name, text in REFERENCES.items()},
    **{
        f"{name} behind an ID3": (partial(bytes.__add__, b"ID3\4\0\0\0\0\0\0", text.encode()), UNSUPPORTED)
        for name, text in REFERENCES.items()
    },
    "V09 nothing but zeros": (lambda: bytes(100_000), UNSUPPORTED),
    "V09 film without sound": (lambda: film_of([], "mp4", seconds=3.0), UNSUPPORTED),
    "V09 film without its table of contents": (lambda: without_contents(film_of([Track(SOUND, RATE)], "mp4")), UNSUPPORTED),
    **{f"half a file of {name}": (partial(half, name), UNSUPPORTED) for name in sorted(set(FORMATS) - {"aac", "ts"})},
    "picture": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(1000), UNSUPPORTED),
    "FLAC of a signature alone": (lambda: b"fLaC", UNSUPPORTED),
    "box larger than all there is": (lambda: b"\0\0\0\x18ftypM4A \0\0\2\0isomiso2\x7f\xff\xff\xffmoov" + bytes(900), UNSUPPORTED),
    "MP4 of a million boxes": (lambda: b"\0\0\0\x18ftypM4A \0\0\2\0isomiso2" + b"\0\0\0\x08skip" * 1_000_000, UNSUPPORTED),
    "FLV of a million tags": (lambda: b"FLV\1\4\0\0\0\x09\0\0\0\0" + (b"\x08" + bytes(10) + b"\0\0\0\x0b") * 1_000_000, UNSUPPORTED),
    "WAV of a million chunks": (lambda: b"RIFF\0\0\0\0WAVE" + b"junk\0\0\0\0" * 1_000_000, UNSUPPORTED),
}


def without_contents(film: bytes) -> bytes:
    return film[: film.index(b"moov") - 4]


@pytest.mark.parametrize("name", REFUSED)
def test_file_is_refused_soon_in_little_memory_and_leads_nowhere(world: World, name: str) -> None:
    """By the fetcher, which measures it, or by the decoder behind it; and by the decoder alone, where the bytes come inline."""
    make, code = REFUSED[name]
    body = make()
    url = world.internet.serve("/hostile-sound", body)
    with world.dials() as dials:
        by_url, of_fetcher = cost_of(world.mesh, lambda: asyncio.run(answers_to(world, iter([url]), "audio")), "fetcher_svc")
        inline, of_decoder = cost_of(world.mesh, lambda: asyncio.run(answers_to(world, iter([body]), "audio")), "audio_svc")
    assert dials.count == 1
    assert by_url == inline == Counter([code])
    for cost in (of_fetcher, of_decoder):
        assert cost.cpu_seconds < SOON_SECONDS
        assert cost.growth_bytes < 50 * MEBIBYTE + 2 * len(body)


def test_playlist_named_by_its_ending_leads_nowhere_v01(world: World) -> None:
    for ending in ("m3u8", "mp3", "mp4"):
        url = world.internet.serve(f"/list.{ending}", REFERENCES["V01 HLS"].encode(), "Content-Type: application/vnd.apple.mpegurl")
        with world.dials() as dials:
            assert world.code(url, "audio") == UNSUPPORTED
        assert dials.count == 2


TAKEN: dict[str, Callable[[], bytes]] = {
    "A04 1e38": partial(poisoned, 1e38, slice(RATE, RATE + 1)),
    "A04 samples far beyond full scale": partial(poisoned, -40.0, slice(RATE, 9 * RATE)),
    "A05 silence": lambda: recorded(silence(5.0), rate=RATE),
    "A06 data of 4 GB in 244 bytes": lambda: wav(bytes(200), data_bytes=0xFFFF_FFFF),
    "A06 data of 4 GB": lambda: wav(bytes(500_000), data_bytes=0xFFFF_FFFF),
    "one sample": lambda: wav(b"\1\0", rate=RATE),
    "MP3 with an MP4 behind it": lambda: recorded(SOUND, "mp3", rate=RATE) + b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + bytes(1000),
    "MP3 with a cover of 4 MB": lambda: b"ID3\4\0\0\x02\0\0\0" + bytes(2 << 21) + recorded(SOUND, "mp3", rate=RATE),
    "half of a bare AAC": partial(half, "aac"),
    "half of a transport stream": partial(half, "ts"),
    "Opus of five minutes": lambda: silent_opus(299.9),
}


@pytest.mark.parametrize("name", TAKEN)
def test_odd_but_honest_file_is_answered_soon(world: World, name: str) -> None:
    url = world.internet.serve("/odd-sound", TAKEN[name]())
    answer, cost = cost_of(world.mesh, lambda: world.mesh.match(url, world.sound_url, "audio", include=EVERYTHING), "audio_svc")
    assert answer.status == 200, answer
    assert all(map(math.isfinite, numbers(answer.json)))
    assert cost.cpu_seconds < SOON_SECONDS


EVERYTHING = ["transform", "coverage", "hashes", "regions", "audio"]


def numbers(value: Any) -> Iterator[float]:
    """All of them, wherever in a JSON value."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from numbers(inner)
    elif isinstance(value, float | int):
        yield value


def test_silence_matches_no_other_silence_a05(world: World) -> None:
    quiet, quieter = (
        world.internet.serve(f"/silence-{seconds}", recorded(silence(seconds), name, rate=RATE))
        for seconds, name in ((8.0, "mp3"), (5.0, "wav"))
    )
    for one, two in ((quiet, quieter), (quieter, quiet), (quiet, world.sound_url)):
        given = world.mesh.match(one, two, "audio")
        assert given.status == 200
        assert (given.json["match"], given.json["similarity_score"], given.json["confidence"]) == (False, 0.0, "none")
        assert given.json["matched_segments"] == []


def test_polyglot_is_what_its_first_bytes_say(world: World) -> None:
    other = recorded(music(2, 10.0), "m4a", rate=RATE)
    url = world.internet.serve("/polyglot-sound", recorded(SOUND, "flac", rate=RATE) + other)
    assert world.mesh.match(url, world.sound_url, "audio").json["similarity_score"] > 0.9
    hidden = world.internet.serve("/hidden.m4a", other)
    assert not world.mesh.match(url, hidden, "audio").json["match"]


def test_decoders_have_come_through_alive(world: World) -> None:
    """The last test of this file."""
    assert workers(world.mesh, "audio_svc")
    assert not [line for line in world.mesh.log.splitlines() if "ended its worker" in line and json.loads(line)["service"] == "audio"]
