"""Rows R: where an origin may send the fetcher. Each hop is judged as the first one is."""

from __future__ import annotations

import pytest

from tests.hostile.rows import rows
from tests.hostile.world import PUBLIC, World
from tests.pictures import encoded, photo
from tests.raw_origin import answer, redirect

MAX_HOPS = 5

REFUSED = [
    pytest.param(location, status, id=f"{row} {status} {location}")
    for row, locations in {
        "R01": (
            *(("http://127.0.0.1/photo.jpg", "302 Found"), ("http://[::1]/photo.jpg", "307 Temporary Redirect")),
            *(("http://169.254.169.254/photo.jpg", "308 Permanent Redirect"), ("//169.254.169.254/photo.jpg", "301 Moved")),
            *(("http://localhost/photo.jpg", "303 See Other"), ("http://u:p@www.example.com/photo.jpg", "302 Found")),
            *(("http://www.example.com:22/photo.jpg", "302 Found"), ("http://2130706433/photo.jpg", "302 Found")),
        ),
        "R02": (("file:///etc/passwd", "302 Found"), ("gopher://www.example.com/", "302 Found"), ("data:image/png;base64,AA", "302 Found")),
    }.items()
    for location, status in locations
]


@pytest.mark.parametrize(("location", "status"), REFUSED)
def test_redirect_to_what_may_not_be_fetched_is_refused_and_not_dialled(world: World, location: str, status: str) -> None:
    url = world.internet.say("/away", redirect(location, status))
    before = len(world.internet.dialled)
    given, dials = world.match(url, url)
    assert (given.status, given.code) == (400, "invalid_url")
    # Once for either side, unless one was given up before it came to that.
    assert 1 <= dials <= 2
    assert set(world.internet.dialled[before:]) == {PUBLIC}


@pytest.mark.parametrize("hops", rows({"R03": ("loop", 6)}))
def test_too_many_redirects_are_a_failed_fetch(world: World, hops: str | int) -> None:
    if hops == "loop":
        url = world.internet.say("/hop/0", redirect("/hop/0"))
    else:
        for hop in range(6):
            url = world.internet.say(f"/hop/{hop}", redirect(f"/hop/{hop + 1}"))
        world.internet.say("/hop/6", answer(encoded(photo(1), "PNG")))
        url = "http://www.example.com/hop/0"
    before = len(world.internet.http.requests)
    assert world.code(url) == "fetch_failed"
    asked = [request for request in world.internet.http.requests[before:] if b"/hop/" in request]
    assert len(asked) == 1 + MAX_HOPS


def test_five_redirects_are_followed(world: World) -> None:
    for hop in range(MAX_HOPS):
        world.internet.say(f"/five/{hop}", redirect(f"/five/{hop + 1}"))
    world.internet.serve(f"/five/{MAX_HOPS}", encoded(photo(1), "PNG"))
    assert world.match(world.photo_url, "http://www.example.com/five/0")[0].status == 200


@pytest.mark.parametrize("location", rows({"R04": ("http://www.example.com/photo.jpg", "http://example.com/photo.jpg")}))
def test_redirect_from_https_to_http_is_refused(world: World, location: str) -> None:
    world.internet.https.say("/down", redirect(location))
    before = len(world.internet.http.requests)
    given, _ = world.match("https://www.example.com/down", "https://www.example.com/down")
    assert (given.status, given.code) == (422, "fetch_failed")
    assert len(world.internet.http.requests) == before


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(answer(b"", "302 Found"), id="R05 no Location"),
        pytest.param(answer(b"", "302 Found", "Location: "), id="R05 empty Location"),
        pytest.param(answer(b"", "302 Found", "URI: http://www.example.com/photo.jpg"), id="R05 URI only"),
        pytest.param(answer(b"", "300 Multiple Choices", "Location: /photo.jpg"), id="R05 300"),
        pytest.param(answer(b"", "302 Found", "Location: /photo.jpg", "Location: /copy.webp"), id="R05 two Locations"),
        pytest.param(answer(b"", "304 Not Modified", "Location: /photo.jpg"), id="R05 304"),
        pytest.param(answer(b"x", "404 Not Found", "Refresh: 0; url=/photo.jpg"), id="R05 Refresh"),
    ],
)
def test_what_is_no_redirect_is_not_followed(world: World, response: bytes) -> None:
    url = world.internet.say("/nowhere", response)
    given, dials = world.match(url, url)
    assert (given.status, given.code) == (422, "fetch_failed")
    assert 1 <= dials <= 2


@pytest.mark.parametrize("location", rows({"R06": ("../b.jpg", "/d/b.jpg", "//www.example.com/d/b.jpg", "b.jpg?x=1#y", "./e/../../b.jpg")}))
def test_relative_redirect_to_the_same_host_is_followed(world: World, location: str) -> None:
    body = encoded(photo(1), "PNG")
    for path in ("/d/b.jpg", "/d/e/b.jpg?x=1", "/b.jpg"):
        world.internet.serve(path, body)
    url = world.internet.say("/d/e/a.jpg", redirect(location))
    assert world.match(url, world.photo_url)[0].status == 200


@pytest.mark.parametrize("hops", rows({"R07": ("two",)}))
def test_cookie_is_never_sent_back(world: World, hops: str) -> None:
    cookie = "Set-Cookie: canary=cookie; Path=/; Domain=example.com"
    first = world.internet.say("/cookie/1", answer(b"", "302 Found", "Location: /cookie/2", cookie))
    world.internet.serve("/cookie/2", encoded(photo(1), "PNG"), cookie)
    for _ in range(2):
        assert world.match(first, world.photo_url)[0].status == 200
    asked = [request for request in world.internet.http.requests if b"/cookie/" in request]
    assert len(asked) == 4
    assert not [request for request in asked if b"cookie:" in request.lower()]
