"""An origin and a fetcher for each test; every connect of the process is seen."""

from __future__ import annotations

import io
import sys
from collections.abc import AsyncIterator

import av
import pytest

from fetcher_svc.fetcher import Fetcher
from tests.integration.fetcher_svc.fetching import a_fetcher
from tests.raw_origin import RawOrigin

_dialled: list[object] = []


def _note_connect(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect":
        _dialled.append(arguments[1])


# Cannot be removed again, and need not be: it only remembers.
sys.addaudithook(_note_connect)


@pytest.fixture
def dialled() -> list[object]:
    """Every address that this process connects to."""
    _dialled.clear()
    return _dialled


@pytest.fixture
async def origin() -> AsyncIterator[RawOrigin]:
    async with RawOrigin() as running:
        yield running


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    async with a_fetcher() as running:
        yield running


@pytest.fixture(scope="session")
def film() -> bytes:
    """Two seconds of MP4."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(20):
            frame = av.VideoFrame(64, 48, "yuv420p")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()
