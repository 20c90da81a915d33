"""The use case: from a URL to a stream of media that are of the right kind, size and length, or one error that says why not."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from fetcher_svc.budget import Budget
from fetcher_svc.origin import Answer, Origin
from fetcher_svc.patience import Patience
from mesh.errors import FileTooLarge, MeshError, UnsupportedMedia
from mesh.interceptors import SECONDS_BUCKETS
from mesh.media import MediaType
from mesh.media_file import MediaFile, MediaPath
from mesh.media_type import LIMITS, MEBIBYTE, SNIFF_BYTES, accepts, limited_as, sniff

CHUNK_BYTES: Final = 256 * 1024
SPOOLED_CHUNK_BYTES: Final = MEBIBYTE
ARCHIVE_SIGNATURE: Final = b"PK\x03\x04"
ARCHIVE_TYPE: Final = "application/zip"

Probe = Callable[[MediaPath, str, MediaType], Awaitable[float]]
"""How many seconds a file of this content type runs; raises DurationTooLong or UnsupportedMedia."""

_log = logging.getLogger(__name__)

FETCHES = Counter("mediamesh_fetches_total", "Fetches by how they ended.", ["media_type", "code"])
BYTES = Counter("mediamesh_fetched_bytes_total", "Bytes of bodies that came in.", ["media_type"])
SECONDS = Histogram(
    "mediamesh_fetch_seconds", "Time from the first look at a URL to its last byte.", ["media_type"], buckets=SECONDS_BUCKETS
)
HELD_BYTES = Gauge("mediamesh_fetch_held_bytes", "Room taken by sound and film whose duration is not known yet.")


@dataclass(frozen=True, slots=True)
class Head:
    content_type: str
    size_bytes: int | None = None
    duration_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Tail:
    sha256: str
    size_bytes: int


Parts = AsyncGenerator[Head | bytes | Tail, None]
"""A head, then chunks, then a tail; without a tail the media are not whole. Closing it stops everything at once."""


class Fetcher:
    def __init__(
        self, origin: Origin, probe: Probe, patience: Patience, max_fetches: int, max_held_bytes: int, max_archive_bytes: int = MEBIBYTE
    ) -> None:
        self._origin = origin
        self._probe = probe
        self._patience = patience
        self._fetches = Budget(max_fetches)
        self._held_bytes = Budget(max_held_bytes)
        HELD_BYTES.set_function(self._held_bytes.taken)
        self._max_archive_bytes = max_archive_bytes

    async def fetch(self, url: str, media_type: MediaType, remaining_seconds: float) -> Parts:
        async with self._opened(url, media_type, remaining_seconds) as answer:
            _refuse_declared_size(answer, f"one {media_type}", LIMITS[media_type].max_bytes)
            first_bytes = await _read_first(answer, LIMITS[media_type].max_bytes)
            content_type = _recognize(first_bytes, media_type)
            kind = limited_as(media_type, content_type)
            _refuse_declared_size(answer, f"one {kind}", LIMITS[kind].max_bytes)
            make_parts = _pass_on if kind is MediaType.IMAGE else self._probe_first
            async with aclosing(make_parts(answer, first_bytes, content_type, kind)) as parts:
                async for part in parts:
                    yield part

    async def fetch_archive(self, url: str, remaining_seconds: float) -> Parts:
        """A ZIP archive of media; what is in it is for others to find out."""
        async with self._opened(url, None, remaining_seconds) as answer:
            _refuse_declared_size(answer, "an archive", self._max_archive_bytes)
            first_bytes = await _read_first(answer, self._max_archive_bytes)
            if not first_bytes.startswith(ARCHIVE_SIGNATURE):
                raise UnsupportedMedia("is no ZIP archive" if first_bytes else "is an empty file")
            async with aclosing(_stream(answer, first_bytes, ARCHIVE_TYPE, self._max_archive_bytes)) as parts:
                async for part in parts:
                    yield part

    @asynccontextmanager
    async def _opened(self, url: str, media_type: MediaType | None, remaining_seconds: float) -> AsyncIterator[Answer]:
        deadline = self._patience.deadline(media_type, remaining_seconds)
        with _logged(url, str(media_type or "archive")) as record, self._fetches.take():
            target = self._origin.target(url)
            record["origin"] = f"{target.scheme}://{target.host}"
            async with self._origin.open(target, deadline) as answer:
                try:
                    yield answer
                finally:
                    BYTES.labels(record["medium"]).inc(answer.received_bytes)

    async def _probe_first(self, answer: Answer, first_bytes: bytes, content_type: str, media_type: MediaType) -> Parts:
        """Sound and film are kept until it is known how long they run."""
        max_bytes = LIMITS[media_type].max_bytes
        with self._held_bytes.take(answer.declared_bytes or max_bytes), MediaFile() as media:
            media.write(first_bytes)
            while piece := await answer.read(max_bytes):
                media.write(piece)
            media.seal()
            duration_seconds = await self._probe(media.path, content_type, media_type)
            yield Head(content_type, media.size_bytes, duration_seconds)
            for chunk in _chunks(media.path):
                yield chunk
            yield Tail(media.sha256, media.size_bytes)


def _pass_on(answer: Answer, first_bytes: bytes, content_type: str, media_type: MediaType) -> Parts:
    """Pictures leave while they come in."""
    return _stream(answer, first_bytes, content_type, LIMITS[media_type].max_bytes)


async def _stream(answer: Answer, first_bytes: bytes, content_type: str, max_bytes: int) -> Parts:
    yield Head(content_type, answer.declared_bytes)
    digest = hashlib.sha256()
    chunk = bytearray(first_bytes)
    while piece := await answer.read(max_bytes):
        chunk += piece
        if len(chunk) >= CHUNK_BYTES:
            digest.update(chunk)
            yield bytes(chunk)
            chunk.clear()
    if chunk:
        digest.update(chunk)
        yield bytes(chunk)
    yield Tail(digest.hexdigest(), answer.received_bytes)


def _chunks(path: str) -> Iterator[bytes]:
    with Path(path).open("rb", buffering=0) as file:
        while chunk := file.read(SPOOLED_CHUNK_BYTES):
            yield chunk


def _refuse_declared_size(answer: Answer, what: str, max_bytes: int) -> None:
    if answer.declared_bytes is not None and answer.declared_bytes > max_bytes:
        raise FileTooLarge(f"is {answer.declared_bytes:,} bytes large; {what} may have {max_bytes:,} bytes ({max_bytes // MEBIBYTE} MB)")


async def _read_first(answer: Answer, max_bytes: int) -> bytes:
    """As much as telling the type takes, or all there is."""
    first = bytearray()
    while len(first) < SNIFF_BYTES and (piece := await answer.read(max_bytes)):
        first += piece
    return bytes(first)


def _recognize(first_bytes: bytes, media_type: MediaType) -> str:
    if not first_bytes:
        raise UnsupportedMedia("is an empty file")
    content_type = sniff(first_bytes)
    if content_type is None:
        raise UnsupportedMedia(f"is no type of file that is supported as {media_type}")
    if not accepts(media_type, content_type):
        raise UnsupportedMedia(f"is {content_type}, which is not supported as {media_type}")
    return content_type


@contextmanager
def _logged(url: str, medium: str) -> Iterator[dict[str, str]]:
    """One line a fetch. A URL's path and query may hold secrets: they are there as a digest."""
    started = time.monotonic()
    digest = hashlib.sha256(url.encode(errors="surrogatepass")).hexdigest()[:12]
    record = {"origin": "", "url_sha256": digest, "medium": medium, "outcome": "stopped"}
    try:
        yield record
        record["outcome"] = "fetched"
    except MeshError as problem:
        record["outcome"] = problem.code
        raise
    finally:
        spent = time.monotonic() - started
        record["seconds"] = f"{spent:.3f}"
        FETCHES.labels(medium, {"fetched": "ok"}.get(record["outcome"], record["outcome"])).inc()
        SECONDS.labels(medium).observe(spent)
        _log.info("fetch", extra=record)
