"""Rows H: what an origin may answer."""

from __future__ import annotations

import asyncio
import gzip
import struct
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from tests.hostile.processes import PeakMemory, service
from tests.hostile.rows import rows
from tests.hostile.world import World
from tests.pictures import encoded, photo
from tests.raw_origin import answer
from tests.recordings import recorded
from tests.sounds import RATE, music

MEBIBYTE = 2**20
CAP_BYTES, SOUND_CAP_BYTES = 15 * MEBIBYTE, 50 * MEBIBYTE
PNG = encoded(photo(1), "PNG")
WAV = recorded(music(2, 4.0), rate=RATE)
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("length", rows({"H01": (CAP_BYTES + 1, 2**31, 2**63)}))
def test_length_over_the_cap_is_refused_before_the_body(world: World, length: int) -> None:
    left = hold(world, "/declared", answer(b"", "200 OK", f"Content-Length: {length}", length=False))
    assert world.code("http://www.example.com/declared") == "file_too_large"
    assert left.wait(10)


def hold(world: World, path: str, *pieces: bytes, again: bytes = b"", pause_seconds: float = 0.0) -> threading.Event:
    """These bytes, then others again and again or nothing at all; the event is there once whoever asked has left."""
    left = threading.Event()

    async def say(writer: asyncio.StreamWriter) -> None:
        try:
            for piece in pieces:
                writer.write(piece)
            await writer.drain()
            while not writer.is_closing():
                writer.write(again)
                await writer.drain()
                await asyncio.sleep(pause_seconds or (0 if again else 0.02))
        finally:
            left.set()

    world.internet.http.do(path, say)
    return left


@pytest.mark.parametrize(
    "ending", rows({"H02": ((1, "fetch_failed"), (16, "fetch_failed"), (100, "file_too_large"), (MEBIBYTE, "file_too_large"))})
)
def test_body_without_end_is_refused_at_the_cap_or_for_its_crumbs_and_its_origin_let_go(world: World, ending: tuple[int, str]) -> None:
    size, code = ending
    # Small chunks come many at a time, so that the origin is not what is slow.
    chunk = b"%x\r\n%s\r\n" % (size, b"\x00" * size) * max(1, 65536 // size)
    start = answer(PNG_SIGNATURE, "200 OK", "Transfer-Encoding: chunked", length=False)
    start = start.removesuffix(PNG_SIGNATURE) + b"8\r\n" + PNG_SIGNATURE + b"\r\n"
    left = hold(world, "/endless", start, again=chunk)
    assert world.code("http://www.example.com/endless") == code
    assert left.wait(10)


@pytest.mark.parametrize("body", rows({"H03": (b"\xff\xd8", PNG[:50], PNG[:-1])}))
def test_body_shorter_than_its_length_is_a_failed_fetch(world: World, body: bytes) -> None:
    length = max(100, len(body) + 1)
    url = world.internet.say("/short", answer(body, "200 OK", f"Content-Length: {length}", length=False))
    assert world.code(url) == "fetch_failed"


@pytest.mark.parametrize("coding", rows({"H04": ("gzip", "br", "zstd", "gzip, gzip", "deflate", "x-gzip", "identity, gzip", "nonsense")}))
def test_compressed_answer_is_refused_in_little_memory(world: World, coding: str) -> None:
    bomb = zlib.compress(bytes(50 * MEBIBYTE)) if coding == "deflate" else gzip.compress(bytes(50 * MEBIBYTE))
    url = world.internet.serve("/bomb", bomb, f"Content-Encoding: {coding}")
    with PeakMemory(service(world.mesh, "fetcher_svc")) as fetcher:
        assert world.code(url) == "fetch_failed"
    assert fetcher.growth_bytes < 8 * MEBIBYTE


@pytest.mark.parametrize("coding", rows({"H04": ("gzip, chunked", "gzip", "chunked, gzip", "deflate, chunked")}))
def test_compressed_transfer_is_refused(world: World, coding: str) -> None:
    squeezed = gzip.compress(PNG)
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(squeezed), squeezed)
    url = world.internet.say("/transfer", answer(b"", "200 OK", f"Transfer-Encoding: {coding}", length=False) + body)
    assert world.code(url) == "fetch_failed"


def test_slow_origins_are_given_up_in_time_and_hold_up_nobody_h05(world: World) -> None:
    body = hold(world, "/drip", answer(PNG[:30], "200 OK", "Content-Length: 9000", length=False), again=b"\0", pause_seconds=0.5)
    head = hold(world, "/drip-head", b"HTTP/1.1 200 OK\r\nX: ", again=b"y", pause_seconds=0.5)
    mute = hold(world, "/mute")
    started = time.monotonic()
    with ThreadPoolExecutor(16) as threads:
        dripping = [
            threads.submit(world.code, f"http://www.example.com/{path}") for path in ("drip", "drip-head", "mute") for _ in range(4)
        ]
        for _ in range(5):
            asked = time.monotonic()
            assert world.mesh.match(world.photo_url, world.copy_url).status == 200
            assert time.monotonic() - asked < 8
        assert {each.result() for each in dripping} == {"fetch_failed"}
    assert time.monotonic() - started < 30
    assert all(left.wait(10) for left in (body, head, mute))


CONFUSED = {
    "length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nxxxxxx",
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nxxxxxx",
    "signed length": b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nxxxxxx",
    "length of letters": b"HTTP/1.1 200 OK\r\nContent-Length: banner\r\n\r\nxxxxxx",
    "HTTP/0.9": PNG,
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(PNG) + PNG,
    "RTSP": b"RTSP/1.0 400 Bad Request\r\nbanner: yes\r\n\r\n",
    "SSH": b"SSH-2.0-banner\r\n",
    "SMTP": b"220 banner ESMTP\r\n",
    "Redis": b"-ERR banner\r\n",
    "no status": b"HTTP/1.1 banner\r\n\r\n",
    "long header": b"HTTP/1.1 200 OK\r\nX: " + b"banner" * 3000 + b"\r\n\r\n",
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"banner: x\r\n" * 300 + b"\r\n",
    "NUL in a header": b"HTTP/1.1 200 OK\r\nban\0ner: x\r\nContent-Length: 0\r\n\r\n",
    "bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nbanner\r\n",
    "nothing": b"",
    "random": bytes(range(256)),
}


@pytest.mark.parametrize("response", [pytest.param(raw, id=f"H06 {name}") for name, raw in CONFUSED.items()])
def test_what_is_no_http_answer_is_a_failed_fetch_and_not_echoed(world: World, response: bytes) -> None:
    given, _ = world.match(world.photo_url, world.internet.say("/confused", response))
    assert (given.status, given.code) == (422, "fetch_failed")
    assert b"banner" not in given.body


STATUSES = ("206 Partial Content", "204 No Content", "304 Not Modified", "401 Unauthorized", "403 Forbidden", "404 Not Found", "500 Error")


@pytest.mark.parametrize("status", rows({"H07": (*STATUSES, "201 Created", "203 Non-Authoritative", "410 Gone", "503 Busy", "999 What")}))
def test_only_status_200_is_media(world: World, status: str) -> None:
    body = b"" if status[:3] in ("204", "304") else PNG
    headers = ("Content-Range: bytes 0-9/10", "WWW-Authenticate: Basic realm=banner", "Retry-After: 1")
    given, dials = world.match(world.photo_url, world.internet.say("/status", answer(body, status, *headers)))
    assert (given.status, given.code) == (422, "fetch_failed")
    assert dials <= 2
    assert b"banner" not in given.body


@pytest.mark.parametrize("framing", rows({"H08": ("length", "chunks", "close")}))
def test_empty_file_is_unsupported(world: World, framing: str) -> None:
    raw = {
        "length": answer(b""),
        "chunks": answer(b"0\r\n\r\n", "200 OK", "Transfer-Encoding: chunked", length=False),
        "close": answer(b"", length=False),
    }[framing]
    assert world.code(world.internet.say("/empty", raw)) == "unsupported_media"


@pytest.mark.parametrize("declared", rows({"H09": (True, False)}))
@pytest.mark.parametrize(("size", "status"), [(CAP_BYTES, 200), (CAP_BYTES + 1, 413)])
def test_cap_is_exact(world: World, size: int, status: int, declared: bool) -> None:
    # What follows the end of a PNG is not looked at, but counts.
    url = world.internet.say("/cap", answer(PNG.ljust(size, b"\0"), length=declared))
    given, _ = world.match(world.photo_url, url)
    assert given.status == status
    if status == 413:
        assert given.code == "file_too_large"
        assert "15 MB" in given.json["error"]["message"]


@pytest.mark.parametrize("declared", rows({"H09": (True, False)}))
@pytest.mark.parametrize(("size", "status"), [(SOUND_CAP_BYTES, 200), (SOUND_CAP_BYTES + 1, 413)])
def test_cap_of_a_sound_is_exact(world: World, size: int, status: int, declared: bool) -> None:
    # So with a chunk of a WAV that nobody knows.
    junk = b"junk" + struct.pack("<I", size - len(WAV) - 8) + bytes(size - len(WAV) - 8)
    url = world.internet.say("/sound-cap", answer(WAV + junk, length=declared))
    given = world.mesh.match(world.sound_url, url, "audio")
    assert given.status == status
    if status == 413:
        assert given.code == "file_too_large"
        assert "50 MB" in given.json["error"]["message"]


def test_flood_of_interim_answers_ends_within_the_deadline_and_in_constant_memory_h10(world: World) -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"
    url = world.internet.say("/flood", *[interim * 1000] * 10, answer(PNG))
    world.match(url, world.photo_url)
    started = time.monotonic()
    with PeakMemory(service(world.mesh, "fetcher_svc")) as fetcher:
        given, _ = world.match(url, world.photo_url)
    assert given.status in (200, 422)
    assert time.monotonic() - started < 30
    assert fetcher.growth_bytes < 8 * MEBIBYTE


def test_no_fetch_has_cost_a_service_its_life(world: World) -> None:
    """The last test of this file: what came before has been survived, not recovered from."""
    started = [psutil.Process(child.pid).create_time() for child in psutil.Process(world.mesh.process.pid).children()]
    assert len(started) == 6
    assert "starting it again" not in world.mesh.log
    assert "uncaught" not in world.mesh.log
