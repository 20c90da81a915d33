"""How much of each medium is taken, told beforehand or not."""

from __future__ import annotations

import asyncio
import struct

import pytest

from fetcher_svc.fetcher import Fetcher
from mesh.errors import FileTooLarge, UnsupportedMedia
from mesh.media import MediaType
from tests.integration.fetcher_svc.fetching import AUDIO, CAPS, IMAGE, PNG, SOON_SECONDS, VIDEO, a_wav, fetch, refusal
from tests.raw_origin import RawOrigin, answer


def media_of(media_type: MediaType, size_bytes: int, film: bytes) -> bytes:
    if media_type is AUDIO:
        return a_wav(size_bytes)
    if media_type is VIDEO:
        padding_bytes = size_bytes - len(film)
        return film + struct.pack(">I", padding_bytes) + b"free" + bytes(padding_bytes - 8)
    return PNG[:8] + bytes(size_bytes - 8)


@pytest.mark.parametrize("is_declared", [True, False], ids=["declared", "undeclared"])
async def test_a_still_among_films_is_passed_on_and_may_be_as_large_as_an_image(
    fetcher: Fetcher, origin: RawOrigin, film: bytes, is_declared: bool
) -> None:
    for size_bytes in (CAPS[IMAGE], CAPS[IMAGE] + 1):
        body = media_of(IMAGE, size_bytes, film)
        url = origin.say("/", answer(b"", "200 OK", *([f"Content-Length: {len(body)}"] if is_declared else []), length=False), body)
        if size_bytes == CAPS[IMAGE]:
            assert (await fetch(fetcher, url, VIDEO))[1] == body
        else:
            problem = await refusal(fetcher, url, VIDEO)
            assert isinstance(problem, FileTooLarge)
            assert f"{CAPS[IMAGE]:,}" in problem.message


@pytest.mark.parametrize("media_type", list(CAPS))
@pytest.mark.parametrize("is_declared", [True, False], ids=["declared", "undeclared"])
async def test_exactly_the_cap_is_let_through(
    fetcher: Fetcher, origin: RawOrigin, film: bytes, media_type: MediaType, is_declared: bool
) -> None:
    body = media_of(media_type, CAPS[media_type], film)
    url = origin.say("/", answer(b"", "200 OK", *([f"Content-Length: {len(body)}"] if is_declared else []), length=False), body)
    head, got, tail = await fetch(fetcher, url, media_type)
    assert got == body
    assert tail.size_bytes == CAPS[media_type]
    assert head.size_bytes == (None if media_type is IMAGE and not is_declared else CAPS[media_type])


@pytest.mark.parametrize("media_type", list(CAPS))
async def test_one_byte_more_is_refused_while_it_streams(fetcher: Fetcher, origin: RawOrigin, film: bytes, media_type: MediaType) -> None:
    url = origin.say("/", b"HTTP/1.1 200 OK\r\n\r\n", media_of(media_type, CAPS[media_type] + 1, film))
    problem = await refusal(fetcher, url, media_type)
    assert isinstance(problem, FileTooLarge)
    assert f"{CAPS[media_type]:,}" in problem.message


@pytest.mark.parametrize("media_type", list(CAPS))
async def test_one_byte_more_is_refused_by_its_declared_length(fetcher: Fetcher, origin: RawOrigin, media_type: MediaType) -> None:
    start = answer(PNG, "200 OK", f"Content-Length: {CAPS[media_type] + 1}", length=False)
    problem = await refusal(fetcher, origin.say_without_end("/", start, bytes(1024), pause_seconds=0.01), media_type)
    assert isinstance(problem, FileTooLarge)
    assert f"{CAPS[media_type]:,}" in problem.message
    assert f"{CAPS[media_type] + 1:,}" in problem.message
    await asyncio.wait_for(origin.left.wait(), SOON_SECONDS)
    assert origin.sent_bytes < 65_536


async def test_a_body_without_end_is_refused_at_the_cap(fetcher: Fetcher, origin: RawOrigin) -> None:
    start = answer(b"", "200 OK", "Transfer-Encoding: chunked", length=False) + b"%x\r\n%s\r\n" % (len(PNG), PNG)
    problem = await refusal(fetcher, origin.say_without_end("/", start, b"10000\r\n" + bytes(65_536) + b"\r\n"))
    assert isinstance(problem, FileTooLarge)
    await asyncio.wait_for(origin.left.wait(), SOON_SECONDS)
    assert origin.sent_bytes < CAPS[IMAGE] + 8 * 2**20


async def test_a_cap_holds_for_the_medium_that_is_asked_for(fetcher: Fetcher, origin: RawOrigin) -> None:
    url = origin.say("/", answer(b"", "200 OK", f"Content-Length: {CAPS[IMAGE] + 1}", length=False), PNG)
    assert isinstance(await refusal(fetcher, url, IMAGE), FileTooLarge)
    assert isinstance(await refusal(fetcher, url, AUDIO), UnsupportedMedia)
