"""Rows D: what name servers, the environment and certificates may say."""

from __future__ import annotations

import itertools
import time

import pytest

from tests.hostile.rows import rows
from tests.hostile.world import PUBLIC, PUBLIC_IPV6, SEARCH_DOMAIN, World
from tests.name_server import NXDOMAIN, SERVFAIL, SILENT, Records
from tests.raw_origin import redirect

SPOILT = rows(
    {
        "D01": (("10.1.2.3",),),
        "D02": (
            (PUBLIC, "10.1.2.3"),
            (PUBLIC, "::1"),
            ("10.1.2.3", PUBLIC),
            (PUBLIC, "64:ff9b::a9fe:a9fe"),
            (PUBLIC,) * 16 + ("127.0.0.1",),
        ),
        "D04": (("one.example.net", "two.example.net", "192.168.0.1"), ("inner.example.net", PUBLIC, "169.254.169.254")),
    }
)


@pytest.mark.parametrize("records", SPOILT)
def test_name_with_an_address_that_is_not_public_is_never_dialled(world: World, records: Records) -> None:
    assert world.refusal(f"http://{world.internet.name(records)}/photo.jpg") == ("invalid_url", 0)


@pytest.mark.parametrize("addresses", rows({"D04": (("alias.example.net", PUBLIC), ("one.example.net", "two.example.net", PUBLIC))}))
def test_aliases_of_public_addresses_are_followed(world: World, addresses: tuple[str, ...]) -> None:
    answer, dials = world.match(world.photo_url, f"http://{world.internet.name(addresses)}/photo.jpg")
    assert (answer.status, dials) == (200, 2)


def turning(world: World, private: str) -> str:
    """A name that is public for one lookup, which asks for either family, and private ever after."""
    questions = itertools.count()
    return world.internet.name(lambda: (PUBLIC, PUBLIC_IPV6) if next(questions) < 2 else (private,))


@pytest.mark.parametrize("private", rows({"D03": ("127.0.0.1", "10.1.2.3", "169.254.169.254", "::1")}))
def test_name_that_turns_private_once_it_was_judged_is_dialled_where_it_was_judged(world: World, private: str) -> None:
    before = len(world.internet.dialled)
    answer, dials = world.match(f"http://{turning(world, private)}/photo.jpg", world.photo_url)
    assert answer.status == 200
    # More than two where the families race for it.
    assert 2 <= dials <= 3
    assert set(world.internet.dialled[before:]) <= {PUBLIC, PUBLIC_IPV6}


@pytest.mark.parametrize("private", rows({"D03": ("127.0.0.1", "10.1.2.3", "169.254.169.254", "::1")}))
def test_name_that_turns_private_between_two_hops_is_not_dialled_again(world: World, private: str) -> None:
    name = turning(world, private)
    world.internet.say("/again", redirect(f"http://{name}/photo.jpg"))
    before = len(world.internet.dialled)
    assert world.code(f"http://{name}/again") == "invalid_url"
    assert set(world.internet.dialled[before:]) <= {PUBLIC, PUBLIC_IPV6}


@pytest.mark.parametrize(
    ("records", "code"),
    [
        pytest.param(NXDOMAIN, "invalid_url", id="D05 no such name"),
        pytest.param((), "invalid_url", id="D05 no address"),
        pytest.param(SERVFAIL, "fetch_failed", id="D05 failing"),
        pytest.param(SILENT, "fetch_failed", id="D05 silent"),
    ],
)
def test_name_that_cannot_be_looked_up_ends_in_time(world: World, records: Records, code: str) -> None:
    started = time.monotonic()
    assert world.refusal(f"http://{world.internet.name(records)}/") == (code, 0)
    assert time.monotonic() - started < 9


@pytest.mark.parametrize("seconds", rows({"D05": (1.5,)}))
def test_name_server_that_takes_its_time_is_waited_for(world: World, seconds: float) -> None:
    name = world.internet.name((PUBLIC,))
    world.internet.names.delays[name] = seconds
    assert world.match(f"http://{name}/photo.jpg", world.photo_url)[0].status == 200


@pytest.mark.parametrize("host", rows({"D06": ("kubernetes.default",)}))
def test_no_search_domain_completes_a_name(world: World, host: str) -> None:
    before = len(world.internet.names.asked)
    assert world.refusal(f"http://{host}/photo.jpg") == ("invalid_url", 0)
    asked = set(world.internet.names.asked[before:])
    assert asked == {host}
    assert f"{host}.{SEARCH_DOMAIN}" in world.internet.names.records


@pytest.mark.parametrize("url", rows({"D07": ("http://www.example.com/photo.jpg", "https://www.example.com/photo.jpg")}))
def test_proxies_and_netrc_of_the_environment_are_not_heeded(world: World, url: str) -> None:
    world.internet.https.do("/photo.jpg", world.internet.http.saying("/photo.jpg"))
    before = len(world.internet.dialled)
    answer, dials = world.match(url, world.copy_url)
    assert (answer.status, dials) == (200, 2)
    assert world.internet.dialled[before:] == [PUBLIC, PUBLIC]
    assert not [proxy.requests for proxy in world.internet.others if proxy.dialled]
    for request in world.internet.http.requests + world.internet.https.requests:
        assert b"canary" not in request
        assert b"authorization" not in request.lower()


@pytest.mark.parametrize(
    "host", rows({"D08": ("expired.example.com", "self-signed.example.com", "unnamed.example.com", PUBLIC, "six.example.com")})
)
def test_certificate_that_does_not_hold_is_a_failed_fetch(world: World, host: str) -> None:
    before = len(world.internet.https.requests)
    assert world.code(f"https://{host}/photo.jpg") == "fetch_failed"
    assert len(world.internet.https.requests) == before


@pytest.mark.parametrize("url", rows({"D08": ("http://www.example.com:443/photo.jpg",)}))
def test_plain_http_to_a_port_of_tls_is_a_failed_fetch(world: World, url: str) -> None:
    assert world.code(url) == "fetch_failed"
