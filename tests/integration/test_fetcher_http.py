"""The fetcher against origins on loopback: real sockets, real TLS, a real name server; every connect of the process is seen."""

from __future__ import annotations

import asyncio
import datetime
import gzip
import hashlib
import io
import ipaddress
import logging
import socket
import ssl
import struct
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import aiohttp
import av
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fetcher_svc.address_policy import AddressPolicy
from fetcher_svc.connector import AddressRefused, PinnedConnector, Resolver
from fetcher_svc.fetcher import CHUNK_BYTES, SPOOLED_CHUNK_BYTES, Fetcher, Head, Tail
from fetcher_svc.origin import Origin
from fetcher_svc.patience import Patience
from fetcher_svc.probe import probe_duration
from fetcher_svc.url_grammar import parse_url
from mesh.errors import DeadlineExceeded, FetchFailed, FileTooLarge, InvalidUrl, MeshError, Overloaded, UnsupportedMedia
from mesh.media import MediaType
from mesh.media_file import MediaPath
from tests.name_server import NXDOMAIN, REFUSED, SERVFAIL, SILENT, NameServer, Records
from tests.raw_origin import RawOrigin, answer, redirect

IMAGE, VIDEO, AUDIO = MediaType.IMAGE, MediaType.VIDEO, MediaType.AUDIO

PNG = b"\x89PNG\r\n\x1a\n" + bytes(9000)
NOWHERE = ("127.0.0.1:9",)
"""A name server that is not there, for tests that need none."""

SOON_SECONDS = 8.0
"""On a machine that has others to serve; what does not end soon does not end, or takes the usual ten."""

HURRIED = Patience(connect_seconds=0.5, image_seconds=1.0, audio_or_video_seconds=1.0, slow_after_seconds=0.2)

_dialled: list[object] = []


def _note_connect(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect":
        _dialled.append(arguments[1])


# Cannot be removed again, and need not be: it only remembers.
sys.addaudithook(_note_connect)


@pytest.fixture
def dialled() -> list[object]:
    """Every address that this process connects to."""
    _dialled.clear()
    return _dialled


@pytest.fixture
async def origin() -> AsyncIterator[RawOrigin]:
    async with RawOrigin() as running:
        yield running


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    async with a_fetcher() as running:
        yield running


async def probe_here(path: MediaPath, content_type: str, media_type: MediaType) -> float:
    return await asyncio.to_thread(probe_duration, path, content_type, media_type)


@asynccontextmanager
async def a_fetcher(
    allow: tuple[str, ...] = ("127.0.0.0/8",),
    name_servers: tuple[str, ...] = NOWHERE,
    patience: Patience = Patience(),  # noqa: B008  # frozen
    max_fetches: int = 8,
    max_fetches_per_host: int = 8,
    max_held_bytes: int = 2**28,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Fetcher]:
    policy = AddressPolicy.allowing(allow)
    async with Resolver(policy, name_servers) as resolver:
        outside = Origin(policy, resolver, patience, max_fetches_per_host, tls)
        yield Fetcher(outside, probe_here, patience, max_fetches, max_held_bytes)


async def fetch(fetcher: Fetcher, url: str, media_type: MediaType = IMAGE, remaining_seconds: float = 30.0) -> tuple[Head, bytes, Tail]:
    async with aclosing(fetcher.fetch(url, media_type, remaining_seconds)) as parts:
        head, *chunks, tail = [part async for part in parts]
    assert isinstance(head, Head)
    assert isinstance(tail, Tail)
    body = b"".join(chunk for chunk in chunks if isinstance(chunk, bytes))
    assert all(CHUNK_BYTES <= len(chunk) <= SPOOLED_CHUNK_BYTES for chunk in chunks[:-1] if isinstance(chunk, bytes))
    assert (tail.sha256, tail.size_bytes) == (hashlib.sha256(body).hexdigest(), len(body))
    return head, body, tail


async def refusal(fetcher: Fetcher, url: str, media_type: MediaType = IMAGE, remaining_seconds: float = 30.0) -> MeshError:
    with pytest.raises(MeshError) as problem:
        await fetch(fetcher, url, media_type, remaining_seconds)
    return problem.value


# ---- what works ------------------------------------------------------------------------------------------------------


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


# ---- URLs that are refused without a connect ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://10.1.2.3/a.png",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/",
        "http://100.100.100.200/",
        "http://168.63.129.16/",
        "http://192.0.0.192/",
        "http://8.8.8.8:22/",
        "http://8.8.8.8:6379/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://localhost/",
        "http://example.com@127.0.0.1/",
        "file:///etc/passwd",
        "http://exa mple.com/",
        "http://" + "a" * 64 + ".com/",
        "",
    ],
)
async def test_a_refused_url_is_never_dialled(fetcher: Fetcher, dialled: list[object], url: str) -> None:
    assert isinstance(await refusal(fetcher, url), InvalidUrl)
    assert dialled == []


async def test_loopback_is_refused_unless_it_is_allowed(origin: RawOrigin, dialled: list[object]) -> None:
    async with a_fetcher(allow=()) as strict:
        assert isinstance(await refusal(strict, origin.say("/", answer(PNG))), InvalidUrl)
    assert (dialled, origin.connections) == ([], 0)


async def test_another_port_of_a_name_is_refused_before_a_name_server_is_asked() -> None:
    async with NameServer({"example.com": ("127.0.0.1",)}) as names, a_fetcher(allow=(), name_servers=(names.address,)) as strict:
        problem = await refusal(strict, "http://example.com:6379/")
    assert isinstance(problem, InvalidUrl)
    assert "6379" in problem.message
    assert names.asked == []


# ---- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "records",
    [
        ("10.1.2.3",),
        ("127.0.0.1", "10.1.2.3"),
        ("10.1.2.3", "127.0.0.1"),
        ("127.0.0.1", "::1"),
        ("127.0.0.1", "::ffff:127.0.0.1"),
        ("127.0.0.1", "64:ff9b::7f00:1"),
        ("127.0.0.1", "169.254.169.254"),
        ("fe80::1",),
        tuple(f"127.0.0.{number}" for number in range(1, 18)),
    ],
    ids=" ".join,
)
async def test_a_name_with_any_bad_answer_is_never_dialled(records: Records, dialled: list[object]) -> None:
    async with NameServer({"example.com": records}) as names, a_fetcher(name_servers=(names.address,)) as fetcher:
        problem = await refusal(fetcher, "http://example.com/a.png")
    assert isinstance(problem, InvalidUrl)
    assert dialled == []
    assert not any(text in problem.message for text in ("10.1", "127.", "::", "169."))


async def test_a_name_with_sixteen_good_answers_is_fetched(origin: RawOrigin) -> None:
    origin.say("/", answer(PNG))
    records = tuple(f"127.0.0.{number}" for number in range(1, 17))
    async with NameServer({"example.com": records}) as names, a_fetcher(name_servers=(names.address,)) as fetcher:
        assert (await fetch(fetcher, origin.url("/", "example.com")))[1] == PNG
    assert b"Host: example.com:" in origin.requests[0]


async def test_the_address_that_was_judged_is_the_one_that_is_dialled(origin: RawOrigin, dialled: list[object]) -> None:
    origin.say("/", answer(PNG))
    answers: Iterator[Records] = iter([("127.0.0.1",), ("127.0.0.1",), ("10.1.2.3",), ("10.1.2.3",)])
    async with NameServer({"example.com": lambda: next(answers)}) as names, a_fetcher(name_servers=(names.address,)) as fetcher:
        assert (await fetch(fetcher, origin.url("/", "example.com")))[1] == PNG
        assert names.asked == ["example.com", "example.com"]
        assert isinstance(await refusal(fetcher, origin.url("/", "example.com")), InvalidUrl)
    assert dialled == [("127.0.0.1", origin.port)]


async def test_a_redirect_looks_the_name_up_afresh(origin: RawOrigin, dialled: list[object]) -> None:
    origin.say("/", redirect(f"http://example.com:{origin.port}/b"))
    answers: Iterator[Records] = iter([("127.0.0.1",), ("127.0.0.1",), ("10.1.2.3",), ("10.1.2.3",)])
    async with NameServer({"example.com": lambda: next(answers)}) as names, a_fetcher(name_servers=(names.address,)) as fetcher:
        assert isinstance(await refusal(fetcher, origin.url("/", "example.com")), InvalidUrl)
    assert dialled == [("127.0.0.1", origin.port)]


@pytest.mark.parametrize(
    ("records", "error"),
    [(NXDOMAIN, InvalidUrl), ((), InvalidUrl), (SERVFAIL, FetchFailed), (REFUSED, FetchFailed), (SILENT, FetchFailed)],
    ids=["does not exist", "has no address", "server fails", "server refuses", "server is silent"],
)
async def test_a_name_that_does_not_exist_is_told_from_a_name_server_that_fails(records: Records, error: type[MeshError]) -> None:
    async with NameServer({"example.com": records}) as names, a_fetcher(name_servers=(names.address,)) as fetcher:
        started = time.monotonic()
        assert type(await refusal(fetcher, "http://example.com/a.png")) is error
        assert time.monotonic() - started < SOON_SECONDS


async def test_a_name_that_gets_its_first_address_is_found_soon() -> None:
    names = NameServer({"late.example.com": ()})
    target = parse_url("http://late.example.com/")
    async with names, Resolver(AddressPolicy(), (names.address,), memory_seconds=0.0) as resolver:
        with pytest.raises(InvalidUrl):
            await resolver.resolve(target)
        names.records = {"late.example.com": ("93.184.216.34",)}
        assert await resolver.resolve(target) == (ipaddress.ip_address("93.184.216.34"),)


async def test_names_are_looked_up_absolutely() -> None:
    async with NameServer({}) as names, a_fetcher(name_servers=(names.address,)) as fetcher:
        assert isinstance(await refusal(fetcher, "http://kubernetes.default/"), InvalidUrl)
    assert set(names.asked) == {"kubernetes.default"}


async def test_an_allowed_name_may_point_anywhere_but_to_metadata(origin: RawOrigin, dialled: list[object]) -> None:
    origin.say("/", answer(PNG))
    records: dict[str, Records] = {"image-store": ("127.0.0.1",), "trap-store": ("169.254.169.254",), "example.com": ("127.0.0.1",)}
    async with NameServer(records) as names:  # noqa: SIM117
        async with a_fetcher(allow=("image-store", "trap-store"), name_servers=(names.address,)) as fetcher:
            assert (await fetch(fetcher, origin.url("/", "image-store")))[1] == PNG
            for host in ("trap-store", "example.com", "127.0.0.1", "other-store"):
                assert isinstance(await refusal(fetcher, origin.url("/", host)), InvalidUrl)
    assert dialled == [("127.0.0.1", origin.port)]


async def test_an_allowed_name_may_come_from_the_hosts_file(origin: RawOrigin) -> None:
    origin.say("/", answer(PNG))
    async with a_fetcher(allow=("localhost",)) as fetcher:
        assert (await fetch(fetcher, origin.url("/", "localhost")))[1] == PNG


async def test_no_other_name_comes_from_the_hosts_file(dialled: list[object]) -> None:
    async with NameServer({}) as names, a_fetcher(allow=("127.0.0.0/8",), name_servers=(names.address,)) as fetcher:
        assert isinstance(await refusal(fetcher, "http://localhost.example.com/"), InvalidUrl)
    assert dialled == []


async def test_a_pinned_connector_dials_nothing_else(origin: RawOrigin, dialled: list[object]) -> None:
    policy = AddressPolicy.allowing(("127.0.0.0/8",))
    target = parse_url(origin.say("/", answer(PNG)))
    for elsewhere in ("127.0.0.2", "10.1.2.3", "[::1]", "8.8.8.8"):
        connector = PinnedConnector(policy, target, (ipaddress.ip_address("127.0.0.1"),), ssl.create_default_context())
        async with aiohttp.ClientSession(connector=connector) as session:
            with pytest.raises(aiohttp.ClientConnectorError) as problem:
                await session.get(f"http://{elsewhere}:{origin.port}/")
            assert isinstance(problem.value.os_error, AddressRefused)
    assert dialled == []


# ---- redirects ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_a_redirect_is_followed(fetcher: Fetcher, origin: RawOrigin, status: str) -> None:
    origin.say("/b.png", answer(PNG))
    assert (await fetch(fetcher, origin.say("/a", redirect(origin.url("/b.png"), status))))[1] == PNG


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("../b.png", "/x/b.png"),
        ("b.png", "/x/y/b.png"),
        ("/b.png?c=%2F", "/b.png?c=%2F"),
        ("?c=d", "/x/y/a?c=d"),
        ("//127.0.0.1:{port}/b.png", "/b.png"),
        ("HTTP://127.0.0.1:{port}/b.png#c", "/b.png"),
        ("/süß.png", "/s%C3%BC%C3%9F.png"),
    ],
)
async def test_a_relative_redirect_is_followed(fetcher: Fetcher, origin: RawOrigin, location: str, path: str) -> None:
    origin.say(path, answer(PNG))
    assert (await fetch(fetcher, origin.say("/x/y/a", redirect(location.format(port=origin.port)))))[1] == PNG


@pytest.mark.parametrize(
    "location",
    [
        "http://10.1.2.3/",
        "http://[::1]/",
        "http://[::1]:{port}/",
        "http://169.254.169.254/latest/",
        "//169.254.169.254/",
        "http://localhost:{port}/",
        "http://0x7f.1:{port}/",
        "http://user@127.0.0.1:{port}/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:{port}/_a",
        "tcp://127.0.0.1:{port}/",
        "data:image/png;base64,AAAA",
        "http:\\\\127.0.0.1:{port}\\",
        "/a\\b",
        "/a b",
        "ht\ttp://127.0.0.1:{port}/",
        "http://[/",
        "http://127.0.0.1:{port}/" + "a" * 2048,
    ],
)
async def test_a_redirect_to_what_may_not_be_fetched_is_refused(
    fetcher: Fetcher, origin: RawOrigin, dialled: list[object], location: str
) -> None:
    url = origin.say("/", redirect(location.format(port=origin.port)))
    assert isinstance(await refusal(fetcher, url), InvalidUrl)
    assert dialled == [("127.0.0.1", origin.port)]


async def test_five_redirects_are_followed_and_a_sixth_is_not(fetcher: Fetcher, origin: RawOrigin) -> None:
    for hop in range(6):
        origin.say(f"/{hop}", redirect(f"/{hop + 1}"))
    origin.say("/6", answer(PNG))
    assert (await fetch(fetcher, origin.url("/1")))[1] == PNG
    assert isinstance(await refusal(fetcher, origin.url("/0")), FetchFailed)
    assert origin.paths[6:] == ["/0", "/1", "/2", "/3", "/4", "/5"]


async def test_a_loop_of_redirects_ends(fetcher: Fetcher, origin: RawOrigin) -> None:
    assert isinstance(await refusal(fetcher, origin.say("/", redirect("/"))), FetchFailed)
    assert origin.connections == 6


@pytest.mark.parametrize(
    "response",
    [
        answer(b"", "302 Found"),
        answer(b"", "302 Found", "Location: "),
        answer(b"", "302 Found", "URI: /b"),
        answer(b"", "302 Found", "Location: /b", "Location: /b"),
        answer(b"", "300 Multiple Choices", "Location: /b"),
        answer(b"", "304 Not Modified", "Location: /b"),
        answer(b"", "305 Use Proxy", "Location: /b"),
        answer(b"", "399 What", "Location: /b"),
        answer(PNG, "200 OK", "Refresh: 0; url=/b")[:-1],
    ],
    ids=["nowhere", "empty", "URI", "two ways", "300", "304", "305", "399", "Refresh"],
)
async def test_what_is_no_redirect_is_not_followed(fetcher: Fetcher, origin: RawOrigin, response: bytes) -> None:
    origin.say("/b", answer(PNG))
    problem = await refusal(fetcher, origin.say("/", response))
    assert isinstance(problem, FetchFailed | InvalidUrl)
    assert origin.paths == ["/"]


async def test_cookies_are_never_kept(fetcher: Fetcher, origin: RawOrigin) -> None:
    origin.say("/a", answer(b"", "302 Found", "Location: /b", "Set-Cookie: a=1; Path=/"))
    origin.say("/b", answer(PNG, "200 OK", "Set-Cookie: b=2; Path=/"))
    await fetch(fetcher, origin.url("/a"))
    await fetch(fetcher, origin.url("/a"))
    assert len(origin.requests) == 4
    assert not any(b"cookie" in request.lower() for request in origin.requests)


# ---- sizes -------------------------------------------------------------------------------------------------------------

CAPS = {IMAGE: 15_728_640, AUDIO: 52_428_800, VIDEO: 104_857_600}


@pytest.fixture(scope="session")
def film() -> bytes:
    """Two seconds of MP4."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(20):
            frame = av.VideoFrame(64, 48, "yuv420p")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def a_wav(size_bytes: int) -> bytes:
    """16-bit stereo at 44.1 kHz: 176,400 bytes a second."""
    data_bytes = size_bytes - 44
    head = b"RIFF" + struct.pack("<I", size_bytes - 8) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 2, 44100, 176_400, 4, 16)
    return head + b"data" + struct.pack("<I", data_bytes) + bytes(data_bytes)


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


# ---- answers that hold no media -------------------------------------------------------------------------------------


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


# ---- time --------------------------------------------------------------------------------------------------------------


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


# ---- stopping ----------------------------------------------------------------------------------------------------------


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


# ---- bounds ------------------------------------------------------------------------------------------------------------


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


# ---- the environment -----------------------------------------------------------------------------------------------


async def test_proxies_and_netrc_of_the_environment_are_ignored(
    fetcher: Fetcher, origin: RawOrigin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password canary\ndefault login somebody password canary\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with RawOrigin() as trap:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, trap.url(""))
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert (await fetch(fetcher, origin.say("/", answer(PNG))))[1] == PNG
        assert trap.connections == 0
    assert b"authorization" not in origin.requests[0].lower()


async def test_logs_hold_no_path_query_or_fragment(fetcher: Fetcher, origin: RawOrigin, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    url = origin.say("/canary-path?token=canary-query", answer(PNG)) + "#canary-fragment"
    await fetch(fetcher, url)
    for bad in (url.replace("canary-path", "canary-gone"), "http://canary-user:canary-password@example.com/", "http://canary host/"):
        await refusal(fetcher, bad)
    lines = [record for record in caplog.records if record.name == "fetcher_svc.fetcher"]
    assert [vars(record)["outcome"] for record in lines] == ["fetched", "fetch_failed", "invalid_url", "invalid_url"]
    assert vars(lines[0])["origin"] == "http://127.0.0.1"
    assert vars(lines[0])["url_sha256"] == hashlib.sha256(url.encode()).hexdigest()[:12]
    assert not any("canary" in str(vars(record)) for record in caplog.records)


# ---- TLS ---------------------------------------------------------------------------------------------------------------


class Authority:
    """Signs certificates for a test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test authority")])
        self._own = self._sign(self._name, self._key, None, days=1, is_authority=True)

    @property
    def trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self._own.public_bytes(serialization.Encoding.PEM).decode())

    def serving(self, name: str, days: int = 1) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
        certificate = self._sign(subject, key, name, days, is_authority=False)
        path = self._folder / f"{name}{days}.pem"
        path.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, name: str | None, days: int, *, is_authority: bool
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=9))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        if name is not None:
            known: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
            builder = builder.add_extension(x509.SubjectAlternativeName([known]), critical=False)
        return builder.sign(self._key, hashes.SHA256())


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def test_tls_verifies_the_name_while_the_address_is_pinned(authority: Authority) -> None:
    async with (
        RawOrigin(tls=authority.serving("example.com")) as origin,
        NameServer({"example.com": ("127.0.0.1",), "example.org": ("127.0.0.1",)}) as names,
        a_fetcher(name_servers=(names.address,), tls=authority.trusting) as fetcher,
    ):
        origin.say("/", answer(PNG))
        assert (await fetch(fetcher, origin.url("/", "example.com")))[1] == PNG
        for host in ("example.org", "127.0.0.1"):
            assert isinstance(await refusal(fetcher, origin.url("/", host)), FetchFailed)
        assert len(origin.requests) == 1


async def test_tls_verifies_an_address_too(authority: Authority) -> None:
    async with RawOrigin(tls=authority.serving("127.0.0.1")) as origin, a_fetcher(tls=authority.trusting) as fetcher:
        assert (await fetch(fetcher, origin.say("/", answer(PNG))))[1] == PNG


async def test_an_expired_certificate_is_refused(authority: Authority) -> None:
    async with RawOrigin(tls=authority.serving("127.0.0.1", days=-1)) as origin, a_fetcher(tls=authority.trusting) as fetcher:
        problem = await refusal(fetcher, origin.say("/", answer(PNG)))
    assert isinstance(problem, FetchFailed)
    assert "certificate" in problem.message
    assert origin.requests == []


async def test_an_unknown_authority_is_refused(authority: Authority, fetcher: Fetcher) -> None:
    async with RawOrigin(tls=authority.serving("127.0.0.1")) as origin:
        assert isinstance(await refusal(fetcher, origin.say("/", answer(PNG))), FetchFailed)
    assert origin.requests == []


async def test_tls_to_an_origin_without_tls_is_a_failed_fetch(origin: RawOrigin) -> None:
    async with a_fetcher(patience=HURRIED) as fetcher:
        assert isinstance(await refusal(fetcher, origin.say("/", answer(PNG)).replace("http:", "https:")), FetchFailed)


async def test_a_redirect_from_https_to_http_is_refused(authority: Authority, origin: RawOrigin) -> None:
    async with RawOrigin(tls=authority.serving("127.0.0.1")) as secure, a_fetcher(tls=authority.trusting) as fetcher:
        url = secure.say("/", redirect(origin.say("/", answer(PNG))))
        assert isinstance(await refusal(fetcher, url), FetchFailed)
        assert origin.connections == 0
        assert (await fetch(fetcher, origin.say("/up", redirect(secure.say("/b", answer(PNG))))))[1] == PNG


async def test_cancelling_closes_a_tls_connection_at_once(authority: Authority) -> None:
    async with RawOrigin(tls=authority.serving("127.0.0.1")) as origin, a_fetcher(tls=authority.trusting) as fetcher:
        url = origin.say_without_end("/", answer(b"", length=False) + PNG, bytes(1024), pause_seconds=0.01)
        async with aclosing(fetcher.fetch(url, IMAGE, 30.0)) as parts:
            await anext(parts)
        await asyncio.wait_for(origin.left.wait(), SOON_SECONDS)
