"""The tables of address_policy against ranges written out as first and last address, from the registries' text."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher_svc.address_policy import METADATA, WEB_PORTS, Address, AddressPolicy, is_public


def words(text: str) -> list[str]:
    return text.split()


REFUSED_RANGES = """
    0.0.0.0 0.255.255.255
    10.0.0.0 10.255.255.255
    100.64.0.0 100.127.255.255
    127.0.0.0 127.255.255.255
    168.63.129.16 168.63.129.16
    169.254.0.0 169.254.255.255
    172.16.0.0 172.31.255.255
    192.0.0.0 192.0.0.255
    192.0.2.0 192.0.2.255
    192.31.196.0 192.31.196.255
    192.52.193.0 192.52.193.255
    192.88.99.0 192.88.99.255
    192.168.0.0 192.168.255.255
    192.175.48.0 192.175.48.255
    198.18.0.0 198.19.255.255
    198.51.100.0 198.51.100.255
    203.0.113.0 203.0.113.255
    224.0.0.0 255.255.255.255
    :: 1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
    2001:: 2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff
    2001:db8:: 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff
    2002:: 2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff
    2620:4f:8000:: 2620:4f:8000:ffff:ffff:ffff:ffff:ffff
    3fff:: 3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff
    4000:: ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
"""
RANGES = [tuple(map(ip_address, line.split())) for line in REFUSED_RANGES.split("\n") if line.strip()]

JUST_OUTSIDE = words("""
    1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 168.63.129.15 168.63.129.17
    169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.0 192.0.1.255 192.0.3.0
    192.31.195.255 192.31.197.0 192.52.192.255 192.52.194.0 192.88.98.255 192.88.100.0 192.167.255.255 192.169.0.0
    192.175.47.255 192.175.49.0 198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255
    2000:: 2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2001:200:: 2001:db7:ffff:ffff:ffff:ffff:ffff:ffff 2001:db9::
    2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2003:: 2620:4f:7fff:ffff:ffff:ffff:ffff:ffff 2620:4f:8001::
    3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff 3fff:1000:: 3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
""")

PUBLIC = words("""
    1.1.1.1 8.8.8.8 93.184.216.34 151.101.1.69 2606:2800:220:1:248:1893:25c8:1946 2a00:1450:4001:81b::200e 2400:cb00::1
""")

IN_DISGUISE = words("""
    ::1 :: ::ffff:127.0.0.1 ::ffff:7f00:1 ::ffff:8.8.8.8 ::127.0.0.1 ::ffff:0:127.0.0.1
    64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b::808:808 64:ff9b:1:7f00:0:100:: 64:ff9b:1:a9fe:a9:fe00::
    2002:7f00:1:: 2002:808:808:: 2001:0:4136:e378:8000:63bf:80ff:fffe
    fc00::1 fd00:ec2::254 fd20:ce::254 fe80::1 fec0::1 ff02::1 100::1 5f00::1 3fff::1 2001:10::1 2001:20::1
    2a00:1450::5efe:a00:1 2a00:1450::200:5efe:a00:1 2606:2800::5efe:7f00:1 fe80::1%eth0 2a00:1450::1%1
""")


def is_in_a_refused_range(address: Address) -> bool:
    return any(first.version == address.version and int(first) <= int(address) <= int(last) for first, last in RANGES)


def is_isatap(address: Address) -> bool:
    return address.version == 6 and address.exploded[20:29] in ("0000:5efe", "0200:5efe")


@pytest.mark.parametrize("text", [str(end) for ends in RANGES for end in ends])
def test_both_ends_of_a_refused_range_are_refused(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", JUST_OUTSIDE)
def test_neighbours_of_a_refused_range_are_public(text: str) -> None:
    assert is_public(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_may_be_dialled_on_web_ports_only(text: str) -> None:
    address = ip_address(text)
    assert [port for port in range(65536) if AddressPolicy().may_dial(text, address, port)] == [80, 443, 8080, 8443]


@pytest.mark.parametrize("text", IN_DISGUISE)
def test_an_address_that_may_hold_another_is_refused(text: str) -> None:
    assert not AddressPolicy().may_dial(text, ip_address(text), 80)


@given(st.ip_addresses(v=4))
def test_any_ipv4_address_is_judged_as_the_ranges_say(address: IPv4Address) -> None:
    assert is_public(address) is not is_in_a_refused_range(address)


@given(st.one_of(st.ip_addresses(v=6), st.ip_addresses(network="2000::/3"), st.ip_addresses(network="2001::/16")))
def test_any_ipv6_address_is_judged_as_the_ranges_say(address: IPv6Address) -> None:
    assert is_public(address) is not (is_in_a_refused_range(address) or is_isatap(address))


def test_an_allowed_network_lifts_the_rule_on_ports_for_its_own_addresses_only() -> None:
    policy = AddressPolicy.allowing(("127.0.0.0/8", "10.1.0.0/16", "fd12::/16"))
    for text in ("127.0.0.1", "127.255.255.255", "10.1.255.255", "fd12::5"):
        assert policy.may_dial(text, ip_address(text), 9000)
    for text in ("126.255.255.255", "10.2.0.0", "10.0.255.255", "fd13::", "::ffff:127.0.0.1"):
        assert not policy.may_dial(text, ip_address(text), 9000)
    assert not policy.may_dial("10.2.0.0", ip_address("10.2.0.0"), 80)
    assert policy.may_dial("8.8.8.8", ip_address("8.8.8.8"), 443)


def test_an_allowed_name_lifts_the_rule_for_that_name_only() -> None:
    policy = AddressPolicy.allowing(("store.internal", "LOCALHOST."))
    assert policy.may_dial("store.internal", ip_address("10.0.0.9"), 9000)
    assert policy.may_dial("localhost", ip_address("127.0.0.1"), 9000)
    assert not policy.may_dial("other.internal", ip_address("10.0.0.9"), 80)
    assert not policy.may_dial("10.0.0.9", ip_address("10.0.0.9"), 80)
    assert not policy.may_dial("a.store.internal", ip_address("10.0.0.9"), 80)


@pytest.mark.parametrize(
    "text",
    words("""169.254.169.254 169.254.170.2 169.254.170.23 fd00:ec2::254 fd00:ec2::23 fd20:ce::254 100.100.100.200 168.63.129.16 192.0.0.192
    ::ffff:169.254.169.254 ::169.254.169.254 64:ff9b::a9fe:a9fe 2002:a9fe:a9fe:: 64:ff9b::a83f:8110"""),
)
def test_metadata_may_never_be_dialled_whatever_is_allowed(text: str) -> None:
    policy = AddressPolicy.allowing(("0.0.0.0/0", "::/0", "store.internal"))
    assert not policy.may_dial("store.internal", ip_address(text), 80)
    assert not policy.may_dial(text, ip_address(text), 80)


def test_everything_else_may_be_allowed() -> None:
    policy = AddressPolicy.allowing(("0.0.0.0/0", "::/0"))
    for text in ("169.254.169.253", "100.100.100.199", "fd00:ec2::255", "127.0.0.1", "::1", "64:ff9b::808:808"):
        assert policy.may_dial(text, ip_address(text), 1)


def test_an_address_with_a_scope_may_never_be_dialled() -> None:
    assert not AddressPolicy.allowing(("fe80::/10",)).may_dial("fe80::1", ip_address("fe80::1%eth0"), 80)
    assert AddressPolicy.allowing(("fe80::/10",)).may_dial("fe80::1", ip_address("fe80::1"), 80)


def test_a_single_address_is_a_network_of_one() -> None:
    policy = AddressPolicy.allowing(("10.0.0.5",))
    assert policy.may_dial("10.0.0.5", ip_address("10.0.0.5"), 80)
    assert not policy.may_dial("10.0.0.6", ip_address("10.0.0.6"), 80)


def test_every_wrong_entry_is_named() -> None:
    with pytest.raises(ValueError) as problem:
        AddressPolicy.allowing(("127.0.0.0/8", "10.0.0.1/8", "300.1.1.1", "http://x/", "10.0.0", "good.name"))
    for entry in ("'10.0.0.1/8'", "'300.1.1.1'", "'http://x/'", "'10.0.0'"):
        assert entry in str(problem.value)
    assert "127.0.0.0/8" not in str(problem.value)
    assert "good.name" not in str(problem.value)


def test_without_exceptions_no_name_can_have_another_port() -> None:
    policy = AddressPolicy()
    assert not policy.has_exceptions
    assert [port for port in range(65536) if policy.may_ask_for_port("example.com", port)] == sorted(WEB_PORTS)
    assert AddressPolicy.allowing(("10.0.0.0/8",)).may_ask_for_port("example.com", 9000)
    assert AddressPolicy.allowing(("store",)).may_ask_for_port("store", 9000)
    assert not AddressPolicy.allowing(("store",)).may_ask_for_port("example.com", 9000)


def test_no_metadata_address_is_public() -> None:
    assert not any(is_public(address) for address in METADATA)
