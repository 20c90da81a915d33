"""Whose address a request comes from, where proxies that are trusted stand between; pure.

Anybody can send X-Forwarded-For: it is read from its end, only as far as those who wrote it are trusted.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

UNKNOWN: Final = "unknown"
_IPV6_PREFIX: Final = 64
"""What one customer is given at least: within it addresses are free."""


class ClientAddresses:
    def __init__(self, trusted_proxies: Sequence[str]) -> None:
        """Networks in CIDR notation, or addresses; raises ValueError for anything else."""
        self._trusted = [ipaddress.ip_network(text) for text in trusted_proxies]

    def name(self, peer: str | None, forwarded_for: Sequence[str]) -> str:
        """What the client is counted under: its IPv4 address, or the /64 network of its IPv6 address."""
        address = _parse(peer or "")
        hops = [hop for line in forwarded_for for hop in line.split(",")]
        while address is not None and hops and self._is_trusted(address):
            previous = _parse(hops.pop())
            if previous is None:
                break
            address = previous
        if address is None:
            return UNKNOWN
        if isinstance(address, ipaddress.IPv6Address):
            return str(ipaddress.ip_network((int(address), _IPV6_PREFIX), strict=False))
        return str(address)

    def _is_trusted(self, address: _Address) -> bool:
        return any(address in network for network in self._trusted)


def _parse(text: str) -> _Address | None:
    text = text.strip()
    if text.startswith("["):
        text = text[1:].split("]")[0]
    elif text.count(":") == 1:
        text = text.split(":")[0]
    try:
        address = ipaddress.ip_address(text.split("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
