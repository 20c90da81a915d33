"""Origins that are slow or silent, and fetches that are given up or do not fit."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import aclosing

import pytest

from fetcher_svc.fetcher import Fetcher, Head
from fetcher_svc.patience import Patience
from mesh.errors import DeadlineExceeded, FetchFailed, Overloaded
from mesh.media import MediaType
from tests.integration.fetcher_svc.fetching import HURRIED, IMAGE, PNG, SOON_SECONDS, VIDEO, a_fetcher, fetch, refusal
from tests.name_server import NameServer
from tests.raw_origin import RawOrigin, answer, redirect


async def test_a_body_that_drips_is_given_up(origin: RawOrigin) -> None:
    start = answer(b"", "200 OK", "Content-Length: 1000000", length=False) + PNG
    url = origin.say_without_end("/", start, b"x", pause_seconds=0.02)
    patience = Patience(slow_after_seconds=0.2, min_bytes_per_second=100_000)
    async with a_fetcher(patience=patience) as fetcher:
        started = time.monotonic()
        problem = await refusal(fetcher, url)
        assert 0.15 < time.monotonic() - started < SOON_SECONDS
    assert isinstance(problem, FetchFailed)
    assert "KiB a second" in problem.message
    await asyncio.wait_for(origin.left.wait(), SOON_SECONDS)


async def test_a_slow_reader_is_not_taken_for_a_slow_origin(origin: RawOrigin) -> None:
    body = PNG[:8] + bytes(4_000_000)
    patience = Patience(slow_after_seconds=0.05, min_bytes_per_second=50_000_000)
    async with a_fetcher(patience=patience) as fetcher, aclosing(fetcher.fetch(origin.say("/", answer(body)), IMAGE, 30.0)) as parts:
        size_bytes = 0
        async for part in parts:
            await asyncio.sleep(0.02)
            size_bytes += len(part) if isinstance(part, bytes) else 0
    assert size_bytes == len(body)


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nA: b", answer(b"", length=False) + PNG], ids=["nothing", "header", "body"])
async def test_an_origin_that_falls_silent_is_given_up_in_time(origin: RawOrigin, start: bytes) -> None:
    url = origin.say_without_end("/", start, b"", pause_seconds=0.05)
    async with a_fetcher(patience=Patience(image_seconds=0.5)) as fetcher:
        started = time.monotonic()
        problem = await refusal(fetcher, url)
        assert time.monotonic() - started < SOON_SECONDS
    assert isinstance(problem, FetchFailed)
    assert "0.5 s" in problem.message
    await asyncio.wait_for(origin.left.wait(), SOON_SECONDS)


async def test_a_header_that_drips_is_given_up_in_time(origin: RawOrigin) -> None:
    url = origin.say_without_end("/", b"HTTP/1.1 200 OK\r\n", b"A: b\r\n", pause_seconds=0.02)
    async with a_fetcher(patience=Patience(image_seconds=0.5)) as fetcher:
        started = time.monotonic()
        assert isinstance(await refusal(fetcher, url), FetchFailed)
        assert time.monotonic() - started < SOON_SECONDS


async def test_a_flood_of_interim_answers_is_given_up_in_time(origin: RawOrigin) -> None:
    url = origin.say_without_end("/", b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 50)
    async with a_fetcher(patience=Patience(image_seconds=0.5)) as fetcher:
        started = time.monotonic()
        assert isinstance(await refusal(fetcher, url), FetchFailed)
        assert time.monotonic() - started < SOON_SECONDS


async def test_all_redirects_share_one_deadline(origin: RawOrigin) -> None:
    for hop in range(5):

        async def say(writer: asyncio.StreamWriter, hop: int = hop) -> None:
            await asyncio.sleep(0.2)
            writer.write(redirect(f"/{hop + 1}"))

        origin.do(f"/{hop}", say)
    async with a_fetcher(patience=Patience(image_seconds=0.5)) as fetcher:
        assert isinstance(await refusal(fetcher, origin.url("/0")), FetchFailed)
    assert "/0" in origin.paths
    assert "/4" not in origin.paths


async def test_the_callers_own_deadline_comes_first(fetcher: Fetcher, origin: RawOrigin) -> None:
    url = origin.say_without_end("/", b"", b"", pause_seconds=0.05)
    started = time.monotonic()
    assert isinstance(await refusal(fetcher, url, remaining_seconds=0.3), DeadlineExceeded)
    assert time.monotonic() - started < SOON_SECONDS


async def test_a_connection_that_nobody_accepts_is_given_up() -> None:
    # A listening socket whose backlog is full drops what comes after.
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        address = deaf.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        async with a_fetcher(patience=HURRIED) as fetcher:
            started = time.monotonic()
            problem = await refusal(fetcher, f"http://127.0.0.1:{address[1]}/")
            assert 0.4 < time.monotonic() - started < SOON_SECONDS
        for filler in fillers:
            filler.close()
    assert isinstance(problem, FetchFailed)


async def test_a_closed_port_is_a_failed_fetch(fetcher: Fetcher) -> None:
    problem = await refusal(fetcher, "http://127.0.0.1:1/")
    assert isinstance(problem, FetchFailed)
    assert "127." not in problem.message


@pytest.mark.parametrize("has_begun", [False, True])
@pytest.mark.parametrize("media_type", [IMAGE, VIDEO])
async def test_cancelling_closes_the_connection_at_once(
    fetcher: Fetcher, origin: RawOrigin, film: bytes, media_type: MediaType, has_begun: bool
) -> None:
    start = answer(b"", length=False) + (film if media_type is VIDEO else PNG) if has_begun else b""
    work = asyncio.create_task(fetch(fetcher, origin.say_without_end("/", start, b"x" * has_begun, pause_seconds=0.01), media_type))
    await origin.asked.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    await asyncio.wait_for(origin.left.wait(), SOON_SECONDS)


async def test_closing_the_stream_closes_the_connection_at_once(fetcher: Fetcher, origin: RawOrigin) -> None:
    parts = fetcher.fetch(origin.say_without_end("/", answer(b"", length=False) + PNG, bytes(1024), pause_seconds=0.01), IMAGE, 30.0)
    assert isinstance(await anext(parts), Head)
    await parts.aclose()
    await asyncio.wait_for(origin.left.wait(), SOON_SECONDS)


async def test_the_origin_of_film_is_let_go_before_the_film_is_passed_on(fetcher: Fetcher, origin: RawOrigin, film: bytes) -> None:
    async with aclosing(fetcher.fetch(origin.say("/", answer(film)), VIDEO, 30.0)) as parts:
        assert isinstance(await anext(parts), Head)
        await asyncio.wait_for(origin.left.wait(), SOON_SECONDS)


@pytest.mark.parametrize("bounds", [{"max_fetches": 1}, {"max_fetches_per_host": 1}], ids=str)
async def test_what_does_not_fit_is_refused_at_once_and_fits_again_later(origin: RawOrigin, bounds: dict[str, int]) -> None:
    endless = origin.say_without_end("/endless", answer(b"", length=False) + PNG, bytes(1024), pause_seconds=0.01)
    url = origin.say("/", answer(PNG))
    async with a_fetcher(**bounds) as fetcher:  # type: ignore[arg-type]
        async with aclosing(fetcher.fetch(endless, IMAGE, 30.0)) as parts:
            await anext(parts)
            started = time.monotonic()
            assert isinstance(await refusal(fetcher, url), Overloaded)
            assert time.monotonic() - started < SOON_SECONDS
        assert (await fetch(fetcher, url))[1] == PNG


async def test_hosts_do_not_crowd_each_other_out(origin: RawOrigin) -> None:
    endless = origin.say_without_end("/endless", answer(b"", length=False) + PNG, bytes(1024), pause_seconds=0.01)
    origin.say("/", answer(PNG))
    async with (
        NameServer({"example.com": ("127.0.0.1",)}) as names,
        a_fetcher(name_servers=(names.address,), max_fetches_per_host=1) as fetcher,
        aclosing(fetcher.fetch(endless, IMAGE, 30.0)) as parts,
    ):
        await anext(parts)
        assert (await fetch(fetcher, origin.url("/", "example.com")))[1] == PNG


async def test_film_that_would_not_fit_in_memory_is_refused_before_it_is_read(origin: RawOrigin, film: bytes) -> None:
    declared, undeclared = origin.say("/a", answer(film)), origin.say("/b", b"HTTP/1.1 200 OK\r\n\r\n" + film)
    async with a_fetcher(max_held_bytes=len(film)) as fetcher:
        assert (await fetch(fetcher, declared, VIDEO))[1] == film
        assert isinstance(await refusal(fetcher, undeclared, VIDEO), Overloaded)
        assert (await fetch(fetcher, declared, VIDEO))[1] == film
