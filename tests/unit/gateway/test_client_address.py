"""Who the client is, behind proxies that may be trusted or not."""

from __future__ import annotations

import pytest

from gateway.client_address import UNKNOWN, ClientAddresses

TRUSTED = ("10.0.0.0/8", "192.0.2.1", "fd00::/8")


@pytest.mark.parametrize(
    ("peer", "forwarded", "name"),
    [
        ("198.51.100.7", [], "198.51.100.7"),
        ("198.51.100.7", ["203.0.113.9"], "198.51.100.7"),
        ("10.1.2.3", [], "10.1.2.3"),
        ("10.1.2.3", ["203.0.113.9"], "203.0.113.9"),
        ("10.1.2.3", ["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
        ("10.1.2.3", ["1.1.1.1", "203.0.113.9, 10.9.9.9"], "203.0.113.9"),
        ("10.1.2.3", ["203.0.113.9, 192.0.2.1,10.4.4.4"], "203.0.113.9"),
        ("10.1.2.3", ["203.0.113.9, nonsense"], "10.1.2.3"),
        ("10.1.2.3", [""], "10.1.2.3"),
        ("10.1.2.3", ["203.0.113.9:4711"], "203.0.113.9"),
        ("::ffff:10.1.2.3", ["203.0.113.9"], "203.0.113.9"),
        ("fd00::1", ["[2001:db8:1:2:3::4]:443"], "2001:db8:1:2::/64"),
        ("2001:db8:1:2:aaaa::1", [], "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::1", [], "2001:db8:1:2::/64"),
        ("fe80::1%eth0", [], "fe80::/64"),
        (None, ["203.0.113.9"], UNKNOWN),
        ("not an address", [], UNKNOWN),
    ],
)
def test_forwarded_for_is_believed_as_far_as_its_writers_are_trusted(peer: str | None, forwarded: list[str], name: str) -> None:
    assert ClientAddresses(TRUSTED).name(peer, forwarded) == name


def test_nobody_is_trusted_unless_it_is_said() -> None:
    assert ClientAddresses(()).name("127.0.0.1", ["203.0.113.9"]) == "127.0.0.1"


def test_chain_of_trusted_proxies_alone_ends_at_its_first() -> None:
    assert ClientAddresses(TRUSTED).name("10.0.0.1", ["10.0.0.3, 10.0.0.2"]) == "10.0.0.3"


@pytest.mark.parametrize("text", ["", "10.0.0.0/33", "10.0.0.1/8", "proxy.example.com"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        ClientAddresses([text])
