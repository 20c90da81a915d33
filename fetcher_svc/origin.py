"""A URL followed, over its redirects, to the one answer that holds media.

Invariant: each hop goes through the grammar, the resolver and a pinned connection afresh; what comes out are bytes and
MeshErrors, whose texts hold nothing that the origin wrote and no address that its name stands for.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from typing import Final
from urllib.parse import urljoin

import aiohttp
from aiohttp import ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, HttpVersion10, HttpVersion11
from aiohttp.http_exceptions import HttpProcessingError

from fetcher_svc.address_policy import AddressPolicy
from fetcher_svc.budget import Budget
from fetcher_svc.connector import AddressRefused, PinnedConnector, Resolver
from fetcher_svc.patience import Deadline, Patience
from fetcher_svc.url_grammar import Target, parse_url
from mesh.errors import FetchFailed, FileTooLarge, InvalidUrl

MAX_REDIRECTS: Final = 5
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})

FREE_CHUNKS: Final = 20_000
MIN_MEAN_CHUNK_BYTES: Final = 64
"""Of an answer in more chunks than that; servers that stream send kilobytes."""

HEADERS: Final = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "mediamesh"}
"""The same for every origin and caller. Any type is welcome: an origin that may choose would give each client another file."""


class Origin:
    """The outside, as far as it may be reached."""

    def __init__(
        self,
        policy: AddressPolicy,
        resolver: Resolver,
        patience: Patience,
        max_fetches_per_host: int,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._policy = policy
        self._resolver = resolver
        self._patience = patience
        self._hosts = Budget(max_fetches_per_host)
        self._tls = tls or ssl.create_default_context()

    def target(self, url: str) -> Target:
        return parse_url(url, self._policy.allowed_names)

    @asynccontextmanager
    async def open(self, target: Target, deadline: Deadline) -> AsyncIterator[Answer]:
        """The answer to read from; leaving closes the connection at once, read or not."""
        for _ in range(1 + MAX_REDIRECTS):
            with self._hosts.take(holder=target.host):
                async with self._get(target, deadline) as response:
                    if response.status not in REDIRECTS:
                        _refuse_unusable(response)
                        yield Answer(response, deadline, self._patience)
                        return
                    target = self._redirected(target, response)
        raise FetchFailed(f"could not be downloaded: it redirects more than {MAX_REDIRECTS} times")

    @asynccontextmanager
    async def _get(self, target: Target, deadline: Deadline) -> AsyncIterator[ClientResponse]:
        addresses = await deadline.bound(self._resolver.resolve(target))
        async with ClientSession(
            connector=PinnedConnector(self._policy, target, addresses, self._tls),
            cookie_jar=DummyCookieJar(),
            headers=HEADERS,
            auto_decompress=False,
            trust_env=False,
            timeout=ClientTimeout(total=None, connect=self._patience.connect_seconds),
        ) as session:
            with _translated():
                response = await deadline.bound(session.get(target.url, allow_redirects=False))
            with closing(response):  # aiohttp complains of what is thrown away half read
                yield response

    def _redirected(self, target: Target, response: ClientResponse) -> Target:
        locations = response.headers.getall("Location", [])
        if len(locations) != 1 or not locations[0]:
            raise FetchFailed("could not be downloaded: it redirects to nowhere")
        # Joining strips and repairs silently what the grammar would refuse.
        if locations[0] != locations[0].strip() or not locations[0].isprintable():
            raise InvalidUrl("redirects to what is not a reachable http(s) URL")
        try:
            onward = self.target(urljoin(str(target.url), locations[0]))
        except (InvalidUrl, ValueError) as problem:
            raise InvalidUrl("redirects to what is not a reachable http(s) URL") from problem
        if (target.scheme, onward.scheme) == ("https", "http"):
            raise FetchFailed("could not be downloaded: it redirects from https to http")
        return onward


class Answer:
    """The body of an answer, read piece by piece against one deadline, one cap and a minimum rate."""

    def __init__(self, response: ClientResponse, deadline: Deadline, patience: Patience) -> None:
        self._response = response
        self._deadline = deadline
        self._patience = patience
        self._waited_seconds = 0.0
        self._chunks = 0
        self.received_bytes = 0

    @property
    def declared_bytes(self) -> int | None:
        return self._response.content_length

    async def read(self, max_bytes: int) -> bytes:
        """The next bytes as they come, nothing at the end; raises FileTooLarge as soon as there are more than this in all."""
        clock = asyncio.get_running_loop().time
        started = clock()
        with _translated():
            piece = await self._until_too_slow(started).bound(self._next_piece())
        # Only waiting for the origin counts, not what the caller does between two reads.
        self._waited_seconds += clock() - started
        self.received_bytes += len(piece)
        if self.received_bytes > max_bytes:
            raise FileTooLarge(f"holds more than the {max_bytes:,} bytes ({max_bytes / 2**20:g} MB) that it may")
        return piece

    async def _next_piece(self) -> bytes:
        """A chunk, or what is there of it; a byte a chunk would cost a hundred times what the bytes do."""
        while True:
            piece, is_end_of_chunk = await self._response.content.readchunk()
            self._chunks += is_end_of_chunk
            if self._chunks > FREE_CHUNKS and self.received_bytes < self._chunks * MIN_MEAN_CHUNK_BYTES:
                raise FetchFailed("could not be downloaded: its server sends it in pieces that are too small")
            if piece or not is_end_of_chunk:
                return piece

    def _until_too_slow(self, now: float) -> Deadline:
        rate = self._patience.min_bytes_per_second
        patience_seconds = max(self._patience.slow_after_seconds, self.received_bytes / rate) - self._waited_seconds
        too_slow = FetchFailed(f"could not be downloaded: it comes at less than {rate / 1024:g} KiB a second")
        return self._deadline.earlier(now + patience_seconds, too_slow)


def _refuse_unusable(response: ClientResponse) -> None:
    if response.version not in (HttpVersion10, HttpVersion11):
        raise FetchFailed("could not be downloaded: its server does not speak HTTP/1.1")
    if response.status != 200:
        raise FetchFailed(f"could not be downloaded: its server answered with status {response.status}")
    codings = {coding.strip().lower() for line in response.headers.getall("Content-Encoding", []) for coding in line.split(",")}
    transfers = {coding.strip().lower() for line in response.headers.getall("Transfer-Encoding", []) for coding in line.split(",")}
    if not codings <= {"identity"} or not transfers <= {"chunked"}:
        raise FetchFailed("could not be downloaded: its server sends it compressed, although asked not to")


@contextmanager
def _translated() -> Iterator[None]:
    """The one place where what aiohttp, TLS and sockets raise becomes an error of ours."""
    try:
        yield
    except AddressRefused as problem:
        raise InvalidUrl("points at an address or port that is not public") from problem
    except aiohttp.ClientSSLError as problem:
        raise FetchFailed("could not be downloaded: no TLS connection could be made, or its certificate is not valid") from problem
    except aiohttp.ClientConnectorError as problem:
        if isinstance(problem.os_error, AddressRefused):
            raise InvalidUrl("points at an address or port that is not public") from problem
        raise FetchFailed("could not be downloaded: its server takes no connection") from problem
    except TimeoutError as problem:
        raise FetchFailed("could not be downloaded: its server took too long to accept a connection") from problem
    except aiohttp.ClientPayloadError as problem:
        raise FetchFailed("could not be downloaded: the transfer ended early or was garbled") from problem
    except (aiohttp.ClientError, HttpProcessingError, OSError, EOFError, ValueError, TypeError) as problem:
        raise FetchFailed("could not be downloaded: its server broke the connection or the protocol") from problem
