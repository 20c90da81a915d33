"""Which addresses are public, told from the registries' own text by arithmetic alone.

Shares nothing with fetcher_svc: other tables, another parser, no ipaddress. An address is judged as a number of so many bits.
"""

from __future__ import annotations

from typing import Final, NamedTuple

IPV4_ROWS: Final = """
    0.0.0.0/8            "This network"                        RFC 791
    10.0.0.0/8           Private-Use                           RFC 1918
    100.64.0.0/10        Shared Address Space                  RFC 6598
    127.0.0.0/8          Loopback                              RFC 1122
    169.254.0.0/16       Link Local                            RFC 3927
    172.16.0.0/12        Private-Use                           RFC 1918
    192.0.0.0/24         IETF Protocol Assignments             RFC 6890
    192.0.0.0/29         IPv4 Service Continuity Prefix        RFC 7335
    192.0.0.8/32         IPv4 dummy address                    RFC 7600
    192.0.0.9/32         Port Control Protocol Anycast         RFC 7723
    192.0.0.10/32        Traversal Using Relays around NAT     RFC 8155
    192.0.0.170/31       NAT64/DNS64 Discovery                 RFC 8880
    192.0.2.0/24         Documentation (TEST-NET-1)            RFC 5737
    192.31.196.0/24      AS112-v4                              RFC 7535
    192.52.193.0/24      AMT                                   RFC 7450
    192.88.99.0/24       6to4 Relay Anycast                    RFC 7526
    192.168.0.0/16       Private-Use                           RFC 1918
    192.175.48.0/24      Direct Delegation AS112 Service       RFC 7534
    198.18.0.0/15        Benchmarking                          RFC 2544
    198.51.100.0/24      Documentation (TEST-NET-2)            RFC 5737
    203.0.113.0/24       Documentation (TEST-NET-3)            RFC 5737
    224.0.0.0/4          Multicast                             RFC 1112
    240.0.0.0/4          Reserved                              RFC 1112
    255.255.255.255/32   Limited Broadcast                     RFC 919
    168.63.129.16/32     Azure's host agent                    its documentation
    169.254.169.254/32   metadata of most clouds               their documentation
    100.100.100.200/32   Alibaba's metadata                    its documentation
    192.0.0.192/32       Oracle's metadata                     its documentation
"""

IPV6_ROWS: Final = """
    ::/8                 Reserved by IETF                      RFC 3513
    100::/8              Reserved by IETF                      RFC 3513
    200::/7              Reserved by IETF                      RFC 4048
    400::/6              Reserved by IETF                      RFC 3513
    800::/5              Reserved by IETF                      RFC 3513
    1000::/4             Reserved by IETF                      RFC 3513
    4000::/3             Reserved by IETF                      RFC 3513
    6000::/3             Reserved by IETF                      RFC 3513
    8000::/3             Reserved by IETF                      RFC 3513
    a000::/3             Reserved by IETF                      RFC 3513
    c000::/3             Reserved by IETF                      RFC 3513
    e000::/4             Reserved by IETF                      RFC 3513
    f000::/5             Reserved by IETF                      RFC 3513
    f800::/6             Reserved by IETF                      RFC 3513
    fc00::/7             Unique Local Unicast                  RFC 4193
    fe00::/9             Reserved by IETF                      RFC 3513
    fe80::/10            Link-Scoped Unicast                   RFC 3513
    fec0::/10            Site-Local, deprecated                RFC 3879
    ff00::/8             Multicast                             RFC 3513
    ::1/128              Loopback Address                      RFC 4291
    ::/128               Unspecified Address                   RFC 4291
    ::ffff:0:0/96        IPv4-mapped Address                   RFC 4291
    ::/96                IPv4-compatible Address, deprecated   RFC 4291
    64:ff9b::/96         IPv4-IPv6 Translat.                   RFC 6052
    64:ff9b:1::/48       IPv4-IPv6 Translat.                   RFC 8215
    100::/64             Discard-Only Address Block            RFC 6666
    2001::/23            IETF Protocol Assignments             RFC 2928
    2001::/32            TEREDO                                RFC 4380
    2001:1::1/128        Port Control Protocol Anycast         RFC 7723
    2001:2::/48          Benchmarking                          RFC 5180
    2001:3::/32          AMT                                   RFC 7450
    2001:4:112::/48      AS112-v6                              RFC 7535
    2001:10::/28         ORCHID, deprecated                    RFC 4843
    2001:20::/28         ORCHIDv2                              RFC 7343
    2001:30::/28         Drone Remote ID                       RFC 9374
    2001:db8::/32        Documentation                         RFC 3849
    2002::/16            6to4                                  RFC 3056
    2620:4f:8000::/48    Direct Delegation AS112 Service       RFC 7534
    3fff::/20            Documentation                         RFC 9637
    5f00::/16            Segment Routing SIDs                  RFC 9602
    fd00:ec2::254/128    AWS's metadata                        its documentation
    fd20:ce::254/128     GCP's metadata                        its documentation
"""

# An interface identifier that holds an IPv4 address: RFC 5214, section 6.1; the bit says whether it is unique.
ISATAP_MIDDLES: Final = ("0000:5efe", "0200:5efe")


class Block(NamedTuple):
    first: int
    last: int


def number_of(text: str) -> int:
    """Dotted or colon-separated; the last two groups of the latter may be dotted."""
    if ":" not in text:
        number = 0
        for part in text.split("."):
            number = number * 256 + int(part, 10)
        return number
    head, tail, before, after = text, "", [], []
    if "." in text:
        head, _, tail = text.rpartition(":")
        dotted = number_of(tail)
        head += f":{dotted >> 16:x}:{dotted & 65535:x}"
    left, gap, right = head.partition("::")
    before = [int(group, 16) for group in left.split(":") if group]
    after = [int(group, 16) for group in right.split(":") if group]
    groups = before + [0] * (8 - len(before) - len(after)) + after if gap else before
    number = 0
    for group in groups:
        number = number << 16 | group
    return number


def text_of(number: int, bits: int) -> str:
    if bits == 32:
        return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))
    return ":".join(f"{number >> shift & 65535:x}" for shift in range(112, -1, -16))


def blocks_of(rows: str, bits: int) -> list[Block]:
    blocks = []
    for row in rows.strip().splitlines():
        address, _, length = row.split()[0].partition("/")
        size = 1 << (bits - int(length))
        first = number_of(address)
        assert first % size == 0, row
        blocks.append(Block(first, first + size - 1))
    return blocks


BLOCKS: Final = {32: blocks_of(IPV4_ROWS, 32), 128: blocks_of(IPV6_ROWS, 128)}


def is_public(number: int, bits: int) -> bool:
    if any(first <= number <= last for first, last in BLOCKS[bits]):
        return False
    return bits == 32 or f"{number >> 48 & 65535:04x}:{number >> 32 & 65535:04x}" not in ISATAP_MIDDLES


def is_public_text(text: str) -> bool:
    return is_public(number_of(text), 128 if ":" in text else 32)
