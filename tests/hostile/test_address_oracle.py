"""The address policy against an oracle that shares nothing with it, and URLs of any kind: what may be dialled is public."""

from __future__ import annotations

import random
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

from hypothesis import given, settings
from hypothesis import strategies as st

from fetcher_svc.address_policy import WEB_PORTS, AddressPolicy, is_public
from fetcher_svc.url_grammar import Target, parse_url
from mesh.errors import InvalidUrl
from tests.hostile import oracle
from tests.unit.fetcher_svc.test_url_grammar import ANY_TEXT

POLICY = AddressPolicy()

EMBEDDINGS: dict[str, Callable[[int], int]] = {
    "mapped": lambda ipv4: 0xFFFF << 32 | ipv4,
    "compatible": lambda ipv4: ipv4,
    "translated": lambda ipv4: 0xFFFF << 48 | ipv4,
    "NAT64": lambda ipv4: 0x64FF9B << 96 | ipv4,
    "NAT64, local, /48": lambda ipv4: 0x64FF9B0001 << 80 | (ipv4 >> 16) << 64 | (ipv4 & 65535) << 40,
    "NAT64, local, /96": lambda ipv4: 0x64FF9B0001 << 80 | ipv4,
    "6to4": lambda ipv4: 0x2002 << 112 | ipv4 << 80,
    "Teredo": lambda ipv4: 0x20010000 << 96 | ipv4 ^ 0xFFFFFFFF,
    "Teredo's server": lambda ipv4: 0x20010000 << 96 | ipv4 << 64,
    "ISATAP": lambda ipv4: 0x2A001450 << 96 | 0x00005EFE << 32 | ipv4,
    "ISATAP, unique": lambda ipv4: 0x2A001450 << 96 | 0x02005EFE << 32 | ipv4,
}


def judged(number: int, bits: int) -> bool:
    address = IPv4Address(number) if bits == 32 else IPv6Address(number)
    assert POLICY.may_dial(str(address), address, 80) is is_public(address)
    return is_public(address)


def edges(bits: int) -> set[int]:
    """Both ends of every block of the registries, and what lies just outside."""
    ends = {number for block in oracle.BLOCKS[bits] for end in block for number in (end - 1, end, end + 1)}
    return {number for number in ends if 0 <= number < 1 << bits}


def test_policy_and_oracle_agree_at_every_edge() -> None:
    for bits in (32, 128):
        verdicts = {number: judged(number, bits) for number in edges(bits)}
        assert {oracle.text_of(number, bits): verdict for number, verdict in verdicts.items()} == {
            oracle.text_of(number, bits): oracle.is_public(number, bits) for number in verdicts
        }
        assert set(verdicts.values()) == {True, False}


def test_policy_and_oracle_agree_on_random_addresses() -> None:
    dice = random.Random(20)
    for _ in range(20_000):
        ipv4 = dice.getrandbits(32)
        assert judged(ipv4, 32) is oracle.is_public(ipv4, 32), oracle.text_of(ipv4, 32)
        # Where anything is public at all, near what is not, and with an interface identifier of any kind.
        block = dice.choice(oracle.BLOCKS[128]).first ^ 1 << dice.randrange(128)
        middle = dice.choice((0, 0x00005EFE, 0x02005EFE, dice.getrandbits(32))) << 32
        for ipv6 in (0b001 << 125 | dice.getrandbits(125), dice.getrandbits(128), block, 0x2A << 120 | dice.getrandbits(50) << 64 | middle):
            assert judged(ipv6, 128) is oracle.is_public(ipv6, 128), oracle.text_of(ipv6, 128)


def test_no_ipv4_address_is_dialled_inside_an_ipv6_one() -> None:
    dice = random.Random(21)
    numbers = edges(32) | {dice.getrandbits(32) for _ in range(500)}
    for name, embed in EMBEDDINGS.items():
        for number in numbers:
            assert not judged(embed(number), 128), (name, oracle.text_of(number, 32))
            assert not oracle.is_public(embed(number), 128), (name, oracle.text_of(number, 32))


def test_every_address_of_the_small_blocks_is_judged_as_the_registries_say() -> None:
    for first, last in oracle.BLOCKS[32]:
        if last - first < 70_000:
            assert not any(judged(number, 32) for number in range(first, last + 1))


def spellings(number: int, bits: int) -> list[str]:
    """An address as URLs may have it: plain, and in every way that some parser also takes."""
    plain = oracle.text_of(number, bits)
    if bits == 128:
        return [f"[{plain}]", f"[{plain.upper()}]", f"[{IPv6Address(number).compressed}]", f"[{IPv6Address(number).exploded}]", plain]
    parts = plain.split(".")
    return [
        *(plain, f"{plain}.", str(number), hex(number), oct(number).replace("o", ""), "%2e".join(parts), "。".join(parts)),
        *(".".join(hex(int(part)) for part in parts), ".".join(f"0{int(part):o}" for part in parts), f"{plain}%00.example.com"),
        *(
            f"www.example.com@{plain}",
            f"{plain}#@www.example.com",
            f"{plain}\\@www.example.com",
            f"[::ffff:{plain}]",
            f"[64:ff9b::{plain}]",
        ),
    ]


ADDRESSES = st.one_of(
    st.tuples(st.one_of(st.integers(0, 2**32 - 1), st.sampled_from(sorted(edges(32)))), st.just(32)),
    st.tuples(st.one_of(st.integers(0, 2**128 - 1), st.sampled_from(sorted(edges(128)))), st.just(128)),
)
HOSTS = ADDRESSES.flatmap(lambda address: st.sampled_from(spellings(*address)))
PORTS = st.one_of(st.just(""), st.builds(":{}".format, st.one_of(st.sampled_from(sorted(WEB_PORTS)), st.integers(-1, 70_000))))
URLS = st.one_of(
    ANY_TEXT,
    st.builds("{}://{}{}{}".format, st.sampled_from(("http", "https", "HTTP", "ftp")), HOSTS, PORTS, st.sampled_from(("", "/", "/a?b#c"))),
)


def read(text: str) -> Target | None:
    try:
        return parse_url(text)
    except InvalidUrl:
        return None


@settings(max_examples=1000, deadline=None)
@given(URLS)
def test_whatever_is_read_as_a_url_dials_public_addresses_on_web_ports_only(text: str) -> None:
    target = read(text)
    if target is not None and target.address is not None and POLICY.may_dial(target.host, target.address, target.port):
        assert oracle.is_public_text(target.host)
        assert oracle.number_of(target.host) == int(target.address)
        assert target.port in (80, 443, 8080, 8443)


@settings(max_examples=300, deadline=None)
@given(ADDRESSES)
def test_public_address_in_its_plain_spelling_is_read_and_dialled(address: tuple[int, int]) -> None:
    number, bits = address
    text = oracle.text_of(number, bits)
    target = read(f"http://{f'[{text}]' if bits == 128 else text}/")
    assert target is not None
    assert target.address is not None
    assert POLICY.may_dial(target.host, target.address, target.port) is oracle.is_public(number, bits)
