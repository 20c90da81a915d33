"""A fetcher in this process, what it brings from an origin, and with what it refuses."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from fetcher_svc.address_policy import AddressPolicy
from fetcher_svc.connector import Resolver
from fetcher_svc.fetcher import CHUNK_BYTES, SPOOLED_CHUNK_BYTES, Fetcher, Head, Tail
from fetcher_svc.origin import Origin
from fetcher_svc.patience import Patience
from fetcher_svc.probe import probe_duration
from mesh.errors import MeshError
from mesh.media import MediaType
from mesh.media_file import MediaPath

IMAGE, VIDEO, AUDIO = MediaType.IMAGE, MediaType.VIDEO, MediaType.AUDIO

PNG = b"\x89PNG\r\n\x1a\n" + bytes(9000)
NOWHERE = ("127.0.0.1:9",)
"""A name server that is not there, for tests that need none."""

SOON_SECONDS = 8.0
"""On a machine that has others to serve; what does not end soon does not end, or takes the usual ten."""

HURRIED = Patience(connect_seconds=0.5, image_seconds=1.0, audio_or_video_seconds=1.0, slow_after_seconds=0.2)
CAPS = {IMAGE: 15_728_640, AUDIO: 52_428_800, VIDEO: 104_857_600}


async def probe_here(path: MediaPath, content_type: str, media_type: MediaType) -> float:
    return await asyncio.to_thread(probe_duration, path, content_type, media_type)


@asynccontextmanager
async def a_fetcher(
    allow: tuple[str, ...] = ("127.0.0.0/8",),
    name_servers: tuple[str, ...] = NOWHERE,
    patience: Patience = Patience(),  # noqa: B008  # frozen
    max_fetches: int = 8,
    max_fetches_per_host: int = 8,
    max_held_bytes: int = 2**28,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Fetcher]:
    policy = AddressPolicy.allowing(allow)
    async with Resolver(policy, name_servers) as resolver:
        outside = Origin(policy, resolver, patience, max_fetches_per_host, tls)
        yield Fetcher(outside, probe_here, patience, max_fetches, max_held_bytes)


async def fetch(fetcher: Fetcher, url: str, media_type: MediaType = IMAGE, remaining_seconds: float = 30.0) -> tuple[Head, bytes, Tail]:
    async with aclosing(fetcher.fetch(url, media_type, remaining_seconds)) as parts:
        head, *chunks, tail = [part async for part in parts]
    assert isinstance(head, Head)
    assert isinstance(tail, Tail)
    body = b"".join(chunk for chunk in chunks if isinstance(chunk, bytes))
    assert all(CHUNK_BYTES <= len(chunk) <= SPOOLED_CHUNK_BYTES for chunk in chunks[:-1] if isinstance(chunk, bytes))
    assert (tail.sha256, tail.size_bytes) == (hashlib.sha256(body).hexdigest(), len(body))
    return head, body, tail


async def refusal(fetcher: Fetcher, url: str, media_type: MediaType = IMAGE, remaining_seconds: float = 30.0) -> MeshError:
    with pytest.raises(MeshError) as problem:
        await fetch(fetcher, url, media_type, remaining_seconds)
    return problem.value


def a_wav(size_bytes: int) -> bytes:
    """16-bit stereo at 44.1 kHz: 176,400 bytes a second."""
    data_bytes = size_bytes - 44
    head = b"RIFF" + struct.pack("<I", size_bytes - 8) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 2, 44100, 176_400, 4, 16)
    return head + b"data" + struct.pack("<I", data_bytes) + bytes(data_bytes)
