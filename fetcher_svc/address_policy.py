"""Which addresses may be dialled: public ones on web ports, and what the operator names.

Invariant: a verdict depends on the address's own bytes and these tables only, never on `ipaddress.is_global`, whose answer
differs between Python's patch levels (CVE-2024-4032) and is True for 168.63.129.16, 192.0.0.192, NAT64, 6to4 and fec0::/10.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

WEB_PORTS: Final = frozenset({80, 443, 8080, 8443})

# IANA's special-purpose registry, and Azure's host agent.
_NOT_PUBLIC_IPV4: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this host
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # carriers' NAT; Alibaba's metadata
            "127.0.0.0/8",  # loopback
            "168.63.129.16/32",  # Azure's host agent
            "169.254.0.0/16",  # link-local; most clouds' metadata
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocol assignments; Oracle's metadata
            "192.0.2.0/24",  # documentation
            "192.31.196.0/24",  # AS112
            "192.52.193.0/24",  # AMT
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",  # private
            "192.175.48.0/24",  # AS112
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, broadcast
        ),
    )
)

# Mapped, compatible, NAT64, unique-local, link-local and multicast addresses lie outside, so none of them needs a row below.
_GLOBAL_UNICAST_IPV6: Final = IPv6Network("2000::/3")
_NOT_PUBLIC_IPV6: Final = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments, Teredo
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4: holds an IPv4 address
            "2620:4f:8000::/48",  # AS112
            "3fff::/20",  # documentation
        ),
    )
)

_ISATAP: Final = (bytes.fromhex("00005efe"), bytes.fromhex("02005efe"))
"""Interface ids that hold an IPv4 address, RFC 5214 section 6.1."""

METADATA: Final = frozenset(
    map(
        ip_address,
        (
            "169.254.169.254",  # AWS, Azure, GCP and most others
            "169.254.170.2",  # AWS ECS
            "169.254.170.23",  # AWS EKS
            "fd00:ec2::254",  # AWS
            "fd00:ec2::23",  # AWS EKS
            "fd20:ce::254",  # GCP
            "100.100.100.200",  # Alibaba
            "168.63.129.16",  # Azure
            "192.0.0.192",  # Oracle
        ),
    )
)
"""Hand out credentials to whoever asks; no setting lets these through."""
_METADATA_IPV4: Final = tuple(address.packed for address in METADATA if address.version == 4)

_HOST_NAME: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """The rule, and its one exception: networks and host names that may be fetched although they are not public."""

    allowed_networks: tuple[Network, ...] = ()
    allowed_names: frozenset[str] = frozenset()

    @classmethod
    def allowing(cls, entries: tuple[str, ...]) -> AddressPolicy:
        """The policy with these CIDRs and host names as exceptions; raises ValueError that names each entry that is neither."""
        networks, names, problems = [], set(), []
        for entry in entries:
            name = entry.lower().removesuffix(".")
            try:
                networks.append(ip_network(entry))
            except ValueError as problem:
                if "/" not in entry and _HOST_NAME.fullmatch(name) and not name.rpartition(".")[2].isdigit():
                    names.add(name)
                else:
                    problems.append(f"{entry!r} is neither a network nor a host name: {problem}")
        if problems:
            raise ValueError("; ".join(problems))
        return cls(tuple(networks), frozenset(names))

    @property
    def has_exceptions(self) -> bool:
        return bool(self.allowed_networks or self.allowed_names)

    def may_dial(self, host: str, address: Address, port: int) -> bool:
        """Whether a URL of this host, literal or name, may be fetched from this address and port."""
        if is_metadata(address) or getattr(address, "scope_id", None):
            return False
        if host in self.allowed_names or any(address in network for network in self.allowed_networks):
            return True
        return is_public(address) and port in WEB_PORTS

    def may_ask_for_port(self, host: str, port: int) -> bool:
        """Whether any address of this name could be dialled on this port; False before a name server is asked."""
        return port in WEB_PORTS or host in self.allowed_names or bool(self.allowed_networks)


def is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_IPV4)
    return (
        address in _GLOBAL_UNICAST_IPV6
        and address.scope_id is None
        and address.packed[8:12] not in _ISATAP
        and not any(address in network for network in _NOT_PUBLIC_IPV6)
    )


def is_metadata(address: Address) -> bool:
    """Also where an IPv6 address carries it inside (mapped, NAT64, 6to4), as an allowed network might hold such addresses."""
    return address in METADATA or any(metadata in address.packed for metadata in _METADATA_IPV4)
