"""What lies between two services: a connection that carries bytes on as it likes."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Self

CHUNK_BYTES: Final = 64 * 1024
CUT_BYTES: Final = 3000
"""Within a message, whichever way it goes."""

VERY_LATE_SECONDS: Final = 5.0

Write = Callable[[asyncio.StreamWriter, bytes], Awaitable[None]] | None
"""Hands on what came, in its way; raises ConnectionError to end both sides."""


async def faithfully(writer: asyncio.StreamWriter, chunk: bytes) -> None:
    writer.write(chunk)
    await writer.drain()


async def late(writer: asyncio.StreamWriter, chunk: bytes) -> None:
    """Half a second, more or less, each time."""
    await asyncio.sleep(random.uniform(0.3, 0.7))
    await faithfully(writer, chunk)


async def very_late(writer: asyncio.StreamWriter, chunk: bytes) -> None:
    await asyncio.sleep(VERY_LATE_SECONDS)
    await faithfully(writer, chunk)


async def slowly(writer: asyncio.StreamWriter, chunk: bytes) -> None:
    """32 KB a second."""
    for start in range(0, len(chunk), 3200):
        await faithfully(writer, chunk[start : start + 3200])
        await asyncio.sleep(0.1)


async def byte_by_byte(writer: asyncio.StreamWriter, chunk: bytes) -> None:
    for byte in chunk:
        await faithfully(writer, bytes([byte]))
        await asyncio.sleep(0)


never: Final = None
"""What comes is kept until the link is another way, as the network's own retries keep it."""


async def reset(writer: asyncio.StreamWriter, chunk: bytes) -> None:
    raise ConnectionResetError


async def cut(writer: asyncio.StreamWriter, chunk: bytes) -> None:
    """The first bytes, and then no more of it, or of anything."""
    await faithfully(writer, chunk[:CUT_BYTES])
    if len(chunk) > CUT_BYTES:
        raise ConnectionAbortedError


class Link:
    """Enter it to listen on a port of loopback, and carry all that comes there to a unix socket and back; runs in a thread of its own."""

    def __init__(self, socket_path: Path) -> None:
        self._socket_path = socket_path
        self.write: Write = faithfully

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._carry, "127.0.0.1", 0), self._loop).result()
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _carry(self, near_reader: asyncio.StreamReader, near_writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_unix_connection(self._socket_path)
        except OSError:
            near_writer.close()
            return
        ways = [
            asyncio.create_task(self._copy(near_reader, far_writer)),
            asyncio.create_task(self._copy(far_reader, near_writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for writer in (near_writer, far_writer):
                _abort(writer)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(CHUNK_BYTES):
                while (write := self.write) is never:
                    await asyncio.sleep(0.02)
                await write(writer, chunk)


def _abort(writer: asyncio.StreamWriter) -> None:
    """Both sides hear of it as of a reset, where it is TCP."""
    inner = writer.get_extra_info("socket")
    if inner is not None and inner.family != socket.AF_UNIX:
        with contextlib.suppress(OSError):
            inner.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
