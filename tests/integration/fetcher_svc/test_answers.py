"""What a good answer becomes, and answers that hold no media."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from fetcher_svc.fetcher import Fetcher, Head
from mesh.errors import FetchFailed, UnsupportedMedia
from tests.integration.fetcher_svc.fetching import AUDIO, CAPS, IMAGE, PNG, SOON_SECONDS, VIDEO, a_wav, fetch, refusal
from tests.raw_origin import RawOrigin, answer


async def test_a_picture_comes_with_its_type_size_and_digest(fetcher: Fetcher, origin: RawOrigin) -> None:
    body = PNG + bytes(range(256)) * 4000
    head, got, _ = await fetch(fetcher, origin.say("/a.txt?b=%2F", answer(body, "200 OK", "Content-Type: text/plain")))
    assert (head, got) == (Head("image/png", len(body), None), body)


async def test_the_request_is_the_same_for_everyone(fetcher: Fetcher, origin: RawOrigin) -> None:
    await fetch(fetcher, origin.say("/a%2Fb?X=%2Fa", answer(PNG)))
    lines = origin.requests[0].decode().split("\r\n")
    assert lines[0] == "GET /a%2Fb?X=%2Fa HTTP/1.1"
    assert sorted(lines[1:]) == sorted(
        [f"Host: 127.0.0.1:{origin.port}", "Accept: */*", "Accept-Encoding: identity", "User-Agent: mediamesh", "Connection: close", "", ""]
    )


@pytest.mark.parametrize("pieces", [1, 3, 9000])
async def test_a_chunked_answer_without_a_length_works(fetcher: Fetcher, origin: RawOrigin, pieces: int) -> None:
    step = len(PNG) // pieces
    chunks = [PNG[at : at + step] for at in range(0, len(PNG), step)]
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    head, got, _ = await fetch(fetcher, origin.say("/", answer(b"", "200 OK", "Transfer-Encoding: chunked", length=False), body))
    assert (head.size_bytes, got) == (None, PNG)


async def test_an_answer_in_crumbs_is_given_up_before_it_costs_more_than_its_bytes(fetcher: Fetcher, origin: RawOrigin) -> None:
    crumbs = b"%x\r\n%s\r\n" % (len(PNG), PNG) + b"1\r\n\0\r\n" * 40_000 + b"0\r\n\r\n"
    with pytest.raises(FetchFailed, match="pieces that are too small"):
        await fetch(fetcher, origin.say("/", answer(b"", "200 OK", "Transfer-Encoding: chunked", length=False), crumbs))


async def test_an_answer_that_ends_with_its_connection_works(fetcher: Fetcher, origin: RawOrigin) -> None:
    head, got, _ = await fetch(fetcher, origin.say("/", b"HTTP/1.0 200 OK\r\n\r\n" + PNG))
    assert (head.size_bytes, got) == (None, PNG)


async def test_an_answer_said_to_be_uncompressed_works(fetcher: Fetcher, origin: RawOrigin) -> None:
    assert (await fetch(fetcher, origin.say("/", answer(PNG, "200 OK", "Content-Encoding: Identity"))))[1] == PNG


async def test_a_type_is_told_from_first_bytes_that_come_one_by_one(fetcher: Fetcher, origin: RawOrigin) -> None:
    start = answer(b"", "200 OK", f"Content-Length: {len(PNG)}", length=False)
    url = origin.say("/", start, *[PNG[at : at + 1] for at in range(20)], PNG[20:])
    assert (await fetch(fetcher, url))[1] == PNG


async def test_bytes_behind_the_declared_length_are_not_media(fetcher: Fetcher, origin: RawOrigin) -> None:
    assert (await fetch(fetcher, origin.say("/", answer(PNG) + b"HTTP/1.1 200 OK\r\n\r\n")))[1] == PNG


async def test_film_comes_with_its_duration(fetcher: Fetcher, origin: RawOrigin, film: bytes) -> None:
    head, got, _ = await fetch(fetcher, origin.say("/", answer(film)), VIDEO)
    assert (head.content_type, head.size_bytes, got) == ("video/mp4", len(film), film)
    assert head.duration_seconds == pytest.approx(2.0)


async def test_sound_comes_with_its_duration_though_no_length_is_declared(fetcher: Fetcher, origin: RawOrigin) -> None:
    sound = a_wav(44 + 176_400 * 3)
    head, got, _ = await fetch(fetcher, origin.say("/", b"HTTP/1.1 200 OK\r\n\r\n" + sound), AUDIO)
    assert (head.content_type, head.size_bytes, got) == ("audio/wav", len(sound), sound)
    assert head.duration_seconds == pytest.approx(3.0)


async def test_two_fetches_share_no_connection(fetcher: Fetcher, origin: RawOrigin) -> None:
    url = origin.say("/", answer(PNG, "200 OK", "Connection: keep-alive"))
    await fetch(fetcher, url)
    await fetch(fetcher, url)
    assert origin.connections == 2


@pytest.mark.parametrize(
    "response",
    [answer(PNG, f"{status} What") for status in (201, 203, 206, 226, 400, 401, 403, 404, 410, 429, 500, 502, 503, 599, 999)]
    + [b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 304 Not Modified\r\n\r\n", answer(PNG, "206 Partial", "Content-Range: bytes 0-9/99")],
    ids=lambda response: response[:12].decode(),
)
async def test_only_status_200_is_media(fetcher: Fetcher, origin: RawOrigin, response: bytes) -> None:
    assert isinstance(await refusal(fetcher, origin.say("/", response)), FetchFailed)


BANNER = b"SSH-2.0-OpenSSH_9.6"


@pytest.mark.parametrize(
    "response",
    [
        b"",
        BANNER + b"\r\n",
        b"RTSP/1.0 400 Bad Request\r\nServer: " + BANNER + b"\r\n\r\n",
        PNG,
        b"HTTP/0.9 200 OK\r\n\r\n" + PNG,
        b"HTTP/2.0 200 OK\r\n\r\n" + PNG,
        b"HTTP/1.1 2000 OK\r\n\r\n" + PNG,
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + PNG[:2],
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n" + PNG,
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n" + PNG,
        b"HTTP/1.1 200 OK\r\nContent-Length: 9008\r\nContent-Length: 9\r\n\r\n" + PNG,
        b"HTTP/1.1 200 OK\r\nContent-Length: 9008\r\nTransfer-Encoding: chunked\r\n\r\n" + PNG,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2330\r\n" + PNG[:100],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + PNG,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2330\r\n" + PNG + b"\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n" + PNG,
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 10_000 + b"\r\n\r\n" + PNG,
        b"HTTP/1.1 200 " + BANNER + b"\r\nContent-Length: 9\x00\r\n\r\n" + PNG,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 10,
    ],
    ids=lambda response: ascii(response)[:60],
)
async def test_what_is_no_whole_http_answer_is_refused_and_never_quoted(fetcher: Fetcher, origin: RawOrigin, response: bytes) -> None:
    problem = await refusal(fetcher, origin.say("/", response))
    assert isinstance(problem, FetchFailed)
    assert "SSH" not in problem.message
    assert "127." not in problem.message


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "deflate", "gzip, gzip", "identity, gzip", "x-gzip", "GZIP", "nonsense"])
async def test_a_compressed_answer_is_refused_unread(fetcher: Fetcher, origin: RawOrigin, coding: str) -> None:
    body = gzip.compress(PNG + bytes(50_000_000), 1)
    assert isinstance(await refusal(fetcher, origin.say("/", answer(body, "200 OK", f"Content-Encoding: {coding}"))), FetchFailed)


async def test_an_empty_file_is_not_media(fetcher: Fetcher, origin: RawOrigin) -> None:
    for path, response in (("/a", answer()), ("/b", b"HTTP/1.1 200 OK\r\n\r\n")):
        for media_type in CAPS:
            problem = await refusal(fetcher, origin.say(path, response), media_type)
            assert isinstance(problem, UnsupportedMedia)
            assert "empty" in problem.message


async def test_the_wrong_type_ends_the_connection_at_once(fetcher: Fetcher, origin: RawOrigin) -> None:
    start = answer(b"", "200 OK", "Content-Type: image/png", length=False) + b"<!doctype html>" + bytes(9000)
    problem = await refusal(fetcher, origin.say_without_end("/", start, bytes(1024), pause_seconds=0.01))
    assert isinstance(problem, UnsupportedMedia)
    await asyncio.wait_for(origin.left.wait(), SOON_SECONDS)
    assert origin.sent_bytes < 65_536


async def test_a_picture_is_no_sound_and_a_film_is_no_picture(fetcher: Fetcher, origin: RawOrigin, film: bytes) -> None:
    problem = await refusal(fetcher, origin.say("/", answer(PNG)), AUDIO)
    assert isinstance(problem, UnsupportedMedia)
    assert "image/png" in problem.message
    assert isinstance(await refusal(fetcher, origin.say("/film", answer(film)), IMAGE), UnsupportedMedia)
