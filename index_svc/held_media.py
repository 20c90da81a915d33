"""Files in memory for as long as something is done with them, within one budget of bytes."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from index_svc.store.media import CHUNK_BYTES
from mesh.errors import Overloaded
from mesh.media_file import MediaFile


class HeldMedia:
    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0

    @contextmanager
    def room(self) -> Iterator[Room]:
        """Nothing at first; what it has come to is free again when the block ends."""
        room = Room(self)
        try:
            yield room
        finally:
            room.shrink(room.size_bytes)

    def take(self, size_bytes: int) -> None:
        if self._bytes + size_bytes > self._max_bytes:
            raise Overloaded()
        self._bytes += size_bytes

    def give_back(self, size_bytes: int) -> None:
        self._bytes -= size_bytes


class Room:
    """What one file takes."""

    def __init__(self, held: HeldMedia) -> None:
        self._held = held
        self.size_bytes = 0

    def grow(self, size_bytes: int) -> None:
        self._held.take(size_bytes)
        self.size_bytes += size_bytes

    def shrink(self, size_bytes: int) -> None:
        self._held.give_back(size_bytes)
        self.size_bytes -= size_bytes


async def read_held(media: MediaFile) -> AsyncIterator[bytes]:
    """The bytes of a file in memory, chunk by chunk."""
    descriptor = os.open(media.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while chunk := os.read(descriptor, CHUNK_BYTES):
            yield chunk
    finally:
        os.close(descriptor)
