"""Where an origin may send the fetcher."""

from __future__ import annotations

import pytest

from fetcher_svc.fetcher import Fetcher
from mesh.errors import FetchFailed, InvalidUrl
from tests.integration.fetcher_svc.fetching import PNG, fetch, refusal
from tests.raw_origin import RawOrigin, answer, redirect


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
