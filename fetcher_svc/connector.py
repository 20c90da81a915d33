"""From a target to a connection: names looked up once, every address judged before, while and after it is dialled.

Invariant: a socket is only ever made for an address that AddressPolicy lets through for the target's host and port.
aiohttp asks no resolver for literals and may try several addresses at once; its socket factory sees each attempt.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final, Self

import aiodns
import pycares
from aiodns.error import ARES_EBADNAME, ARES_ENODATA, ARES_ENOTFOUND, DNSError
from aiohttp import ClientRequest, ClientTimeout, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import AddrInfoType, Connection
from aiohttp.tracing import Trace

from fetcher_svc.address_policy import Address, AddressPolicy
from fetcher_svc.url_grammar import Target
from mesh.errors import FetchFailed, InvalidUrl

LOOKUP_SECONDS: Final = 3.0
MAX_ANSWERS: Final = 16

_TRY_SECONDS: Final = 1.0
_TRIES: Final = 4
"""c-ares waits 250 ms at first for a name server that has been quick so far, then twice as long each time: these fill LOOKUP_SECONDS."""
_MEMORY_SECONDS: Final = 30.0
"""c-ares remembers for an hour that a name has no address, and cannot be told otherwise: its channel is replaced this often."""
_UNSORTED: Final = 1 << 7
"""ARES_AI_NOSORT: sorting would open a socket towards each answer before any of them was judged."""

_NO_SUCH_NAME: Final = frozenset({ARES_ENOTFOUND, ARES_ENODATA, ARES_EBADNAME})


class AddressRefused(OSError):
    """The policy does not let this address through."""


class Resolver:
    """All addresses of a target, or none: one that may not be dialled spoils the whole name. Enter it to open it."""

    def __init__(self, policy: AddressPolicy, name_servers: Sequence[str] | None = None, memory_seconds: float = _MEMORY_SECONDS) -> None:
        """`name_servers`, as address or address:port, stand in for those of /etc/resolv.conf."""
        self._policy = policy
        self._name_servers = name_servers
        self._memory_seconds = memory_seconds

    async def __aenter__(self) -> Self:
        self._open_channel()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._dns.close()

    async def resolve(self, target: Target) -> tuple[Address, ...]:
        if not self._policy.may_ask_for_port(target.host, target.port):
            raise InvalidUrl(f"is not a reachable http(s) URL: port {target.port} is not allowed")
        addresses = (target.address,) if target.address is not None else await self._look_up(target)
        if not all(self._policy.may_dial(target.host, address, target.port) for address in addresses):
            raise InvalidUrl("points at an address or port that is not public")
        return addresses

    def _channel(self) -> aiodns.DNSResolver:
        if time.monotonic() - self._opened > self._memory_seconds:
            self._open_channel()  # the old one closes itself when its last lookup lets go of it
        return self._dns

    def _open_channel(self) -> None:
        self._opened = time.monotonic()
        self._dns = aiodns.DNSResolver(
            nameservers=self._name_servers,
            timeout=_TRY_SECONDS,
            tries=_TRIES,
            flags=pycares.ARES_FLAG_NOSEARCH | pycares.ARES_FLAG_NOALIASES,
        )

    async def _look_up(self, target: Target) -> tuple[Address, ...]:
        # Absolute, so that no search domain and no hosts file applies; the operator's own names may come from the latter.
        name = target.host if target.host in self._policy.allowed_names else f"{target.host}."
        channel = self._channel()
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                answer = await channel.getaddrinfo(name, socket.AF_UNSPEC, target.port, type=socket.SOCK_STREAM, flags=_UNSORTED)
        except DNSError as problem:
            if problem.args[0] in _NO_SUCH_NAME:
                raise InvalidUrl("is not a reachable http(s) URL: its host name does not exist") from problem
            raise FetchFailed("could not be downloaded: looking up its host name failed") from problem
        except TimeoutError as problem:
            raise FetchFailed(f"could not be downloaded: looking up its host name took over {LOOKUP_SECONDS:g} s") from problem
        addresses = tuple(ip_address(node.addr[0].decode("ascii")) for node in answer.nodes)
        if not 1 <= len(addresses) <= MAX_ANSWERS:
            raise InvalidUrl("is not a reachable http(s) URL: its host name has too many addresses")
        return addresses


class PinnedConnector(TCPConnector):
    """Connects one target to these addresses of its own and to nothing else; TLS still verifies the name."""

    def __init__(self, policy: AddressPolicy, target: Target, addresses: tuple[Address, ...], tls: ssl.SSLContext) -> None:
        self._policy = policy
        self._target = target
        self._addresses = addresses
        super().__init__(
            resolver=_Pinned(addresses),
            socket_factory=self._make_socket,
            ssl=tls,
            use_dns_cache=False,
            force_close=True,
            limit=1,
        )

    async def connect(self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout) -> Connection:  # noqa: ASYNC109
        connection = await super().connect(req, traces, timeout)
        transport = connection.transport
        try:
            self._judge(transport.get_extra_info("peername") if transport else None)
        except AddressRefused:
            connection.close()
            raise
        return connection

    def _make_socket(self, address_info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = address_info
        self._judge(address)
        return socket.socket(family, kind, protocol)

    def _judge(self, address: object) -> None:
        match address:
            case (str(host), int(port), *_) if self._is_target(host, port):
                return
        raise AddressRefused("refused by policy")

    def _is_target(self, host: str, port: int) -> bool:
        address = ip_address(host)
        return address in self._addresses and port == self._target.port and self._policy.may_dial(self._target.host, address, port)


class _Pinned(AbstractResolver):
    """Answers with addresses that have been judged, whatever it is asked."""

    def __init__(self, addresses: tuple[Address, ...]) -> None:
        self._addresses = addresses

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET6 if address.version == 6 else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        return None
