"""Rows U: what a URL may say. A refused one is refused before anything is dialled."""

from __future__ import annotations

import pytest

from tests.hostile.rows import rows
from tests.hostile.world import World
from tests.pictures import encoded, photo

REFUSED = rows(
    {
        "U01": ("http://127.0.0.1/a.jpg", "http://[::1]/"),
        "U02": ("http://2130706433/", "http://017700000001/"),
        "U03": ("http://0x7f000001/", "http://0x7f.1/"),
        "U04": ("http://127.1/", "http://0/", "http://0.0.0.0/"),
        "U05": ("http://[::ffff:127.0.0.1]/", "http://[::ffff:a9fe:a9fe]/"),
        "U06": ("http://[64:ff9b::a9fe:a9fe]/", "http://[64:ff9b:1:a9fe:a9:fe00::]/"),
        "U07": ("http://[2002:7f00:1::]/", "http://[2001:0:4136:e378:8000:63bf:80ff:fffe]/"),
        "U08": ("http://[fe80::1%25eth0]/", "http://[fec0::1]/", "http://[ff02::1]/"),
        "U09": ("http://①②⑦.⓪.⓪.①/", "http://127。0。0。1/", "http://ⓛocalhost/"),
        "U10": ("http://example.com@127.0.0.1/", "http://u:p@example.com/"),
        "U11": ("http://example.com\\@127.0.0.1/", "http://1.1.1.1 &@2.2.2.2# @3.3.3.3/"),
        "U12": (" http://example.com/", "ht\ntp://example.com/", "http://example.com/\r\nX: y"),
        "U13": (
            *("file:///etc/passwd", "ftp://example.com/", "gopher://example.com/", "data:image/png;base64,iVBORw0KGgo="),
            *("tcp://example.com/", "ws://example.com/", "//127.0.0.1/"),
        ),
        "U14": tuple(f"http://example.com:{port}/" for port in ("22", "6379", "0", "65536", "٨٠")),
        "U15": ("http://localhost/", "http://LOCALHOST./", "http://a.localhost/"),
        "U16": (
            *("http://metadata.google.internal/", "http://169.254.169.254/", "http://[fd00:ec2::254]/"),
            *("http://100.100.100.200/", "http://192.0.0.192/", "http://168.63.129.16/"),
        ),
        "U17": ("http://image-matcher:50051/", "http://kubernetes.default.svc/"),
        "U18": (f"http://{'a' * 64}.com/", "http://a..b/", "http://xn--/", "http://example.com/" + "a" * 2981, ""),
        "U20": tuple(f"http://{address}/" for address in ("100.64.0.0", "100.127.255.255", "172.16.0.0", "172.31.255.255")),
        "U21": ("http://example.com%2eevil.com/", "http://127.0.0.1%00.example.com/"),
    }
)


@pytest.mark.parametrize("url", REFUSED)
def test_url_is_refused_and_nothing_is_dialled(world: World, url: str) -> None:
    asked = len(world.internet.names.asked)
    assert world.refusal(url) == ("invalid_url", 0)
    assert len(world.internet.names.asked) == asked


@pytest.mark.parametrize("value", rows({"U18": (None, 5, [], {}, True)}))
def test_value_that_is_no_string_is_refused_and_nothing_is_dialled(world: World, value: object) -> None:
    assert world.refusal(value) == ("invalid_request", 0)


TAKEN = rows(
    {
        "U19": ("HTTPS://EXAMPLE.com:443/x.png", "http://bücher.example-cdn.de/x.png", "http://six.example.com/x.png"),
        "U20": tuple(f"http://{address}/x.png" for address in ("100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0")),
    }
)


@pytest.mark.parametrize("url", TAKEN)
def test_public_url_is_fetched(world: World, url: str) -> None:
    body = encoded(photo(1), "PNG")
    world.internet.serve("/x.png", body)
    world.internet.https.do("/x.png", world.internet.http.saying("/x.png"))
    answer, dials = world.match(url, world.photo_url)
    assert (answer.status, dials) == (200, 2), answer
    assert answer.json["similarity_score"] > 0.9
